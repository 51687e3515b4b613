"""A program's private directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A program's private directory, as this machine sees it and as the program does."""

    here: Path
    there: str

    def write(self, name: str, content: bytes, *, executable: bool = False) -> str:
        """A file that only this user can read; its path for the program."""
        path = self.here / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700 if executable else 0o600), "wb"
        ) as file:
            file.write(content)
        temporary.rename(path)
        return f"{self.there}/{name}"
