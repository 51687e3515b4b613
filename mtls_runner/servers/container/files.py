"""What is laid into a container before it starts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["ContainerFile", "archive"]


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A file of the container: absolute path, content (never shown), permissions."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644


def archive(files: Sequence[ContainerFile], owner: int = 0) -> bytes:
    """A tar of the files; directories that the image lacks are made by the engine.

    Args:
        files: what goes in.
        owner: user id that files for their owner only belong to; root owns the others.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size = len(file.content)
            entry.mode = file.mode
            entry.uid = owner if not file.mode & 0o077 else 0
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()
