"""What is laid into a container before it starts."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from mtls_runner.model.certificate import Guarded

__all__ = ["ContainerFile", "archive", "hidden", "lay", "replacement"]


class ContainerFile(Guarded, frozen=True):
    """A file of the container.

    Args:
        path: absolute, in the container.
        content: never shown.
        mode: permissions.
        name: what it is called outside, for messages.
        absent: the author's file is missing, and so it is in the container.
    """

    hidden: ClassVar = frozenset({"content"})

    path: str
    content: bytes
    mode: int = 0o644
    name: str = ""
    absent: bool = False


def archive(files: Sequence[ContainerFile], owner: int = 0) -> bytes:
    """A tar of the files; directories that the image lacks are made by the engine.

    Args:
        files: what goes in.
        owner: user id that files for their owner only belong to; root owns the others.
    """
    import tarfile  # few files go into a container this way

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            if file.absent:
                continue
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size = len(file.content)
            entry.mode = file.mode
            entry.uid = owner if not file.mode & 0o077 else 0
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def replacement(files: Sequence[ContainerFile], number: int, owner: int = 0) -> bytes:
    """A tar that puts the files in the place of those that a running container has, as ``rename`` would.

    Each comes under a hidden name beside its own, and its own name is then a hard link to it: the engine takes the old name
    away and makes the link, so that whoever opens the name gets a whole file, with an inode that the old one never had and
    a time of its own. Programs that tell files apart by these (nginx does, from 1.27.4 on) see that it is another one.

    Args:
        files: what comes.
        number: of this replacement; never twice for one container.
        owner: as for :func:`archive`.
    """
    import tarfile  # few files go into a container this way

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            if file.absent:
                continue
            entry = tarfile.TarInfo(hidden(file.path, number).lstrip("/"))
            entry.size = len(file.content)
            entry.mode = file.mode
            entry.mtime = int(time.time())
            entry.uid = owner if not file.mode & 0o077 else 0
            tar.addfile(entry, io.BytesIO(file.content))
            link = tarfile.TarInfo(file.path.lstrip("/"))
            link.type = tarfile.LNKTYPE
            link.linkname = entry.name
            link.mode, link.mtime, link.uid = entry.mode, entry.mtime, entry.uid
            tar.addfile(link)
    return buffer.getvalue()


def hidden(path: str, number: int) -> str:
    """Beside a path, where nobody looks: what comes there with that replacement."""
    directory, _, name = path.rpartition("/")
    return f"{directory}/.{name}.{number}"


def lay(file: ContainerFile, path: Path) -> None:
    """Put it there by rename: whoever opens that path gets a whole file."""
    if file.absent:
        path.unlink(missing_ok=True)
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.content)
        os.fchmod(descriptor, file.mode)
    Path(temporary).rename(path)
