"""The files that a program is given, in a private directory of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from mtls_runner.errors import FileUnusable
from mtls_runner.model.certificate import PresentedFiles
from mtls_runner.model.observation import Reason

__all__ = ["ProgramDirectory", "content_of", "presented_files"]


class ProgramDirectory(Struct, frozen=True):
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


def content_of(file: Path) -> bytes:
    """Of a file that may be the user's own.

    Raises:
        FileUnusable: it can't be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileUnusable(f"{file.name}: {error.strerror}", reason=Reason.MISSING_FILE) from error


def presented_files(
    place: ProgramDirectory, presented: PresentedFiles, leaf: Path, name: str, prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """What an end presents, as the files that programs want it in, by what they are.

    Args:
        place: where they are written.
        presented: as PEM.
        leaf: the certificate alone.
        name: of the files, without an ending.
        prefix: of all names.

    Raises:
        FileUnusable: a file of the user's can't be read.
    """
    chain, alone = content_of(presented.certificate), content_of(leaf)
    key = content_of(presented.key or presented.certificate)
    rest = chain.removeprefix(alone) if chain.startswith(alone) else b""
    yield "certificate", place.write(f"{prefix}{name}.crt", chain)
    yield "leaf", place.write(f"{prefix}leaf.crt", alone)
    if rest.strip():
        yield "intermediates", place.write(f"{prefix}intermediates.crt", rest)
    yield "key", place.write(f"{prefix}{name}.key", key)
    yield "combined", place.write(f"{prefix}{name}.pem", chain.rstrip() + b"\n" + key)
