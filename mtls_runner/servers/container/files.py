"""What is laid into a container before it starts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["ContainerFile", "archive"]


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A file of the container: absolute path, content (never shown), permissions. Root owns it."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644


def archive(files: Sequence[ContainerFile]) -> bytes:
    """A tar of the files; directories that the image lacks are made by the engine."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size = len(file.content)
            entry.mode = file.mode
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()
