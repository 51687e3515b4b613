"""A directory that nobody else can read, with names that people can."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from mtls_runner.errors import MaterialError

__all__ = ["file_names", "make_private", "write_private"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST = 80


def file_names(ids: Iterable[str]) -> dict[str, str]:
    """A safe file name (without an ending) for each id, as like it as can be.

    Characters that a shell, a configuration file or a file system may take amiss become ``_``. Two ids never get the same
    name, nor names that differ in case only, which some file systems take for the same.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for certificate in ids:
        plain = _UNSAFE.sub("_", certificate)[:_LONGEST].lstrip(".-") or "_"
        name, number = plain, 1
        while name.casefold() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.casefold())
        names[certificate] = name
    return names


def make_private(directory: Path) -> None:
    """Make the directory, 0700, with its parents; one that is there gets closed to others.

    Raises:
        MaterialError: that is not possible.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise MaterialError(f"{directory}: {error.strerror}") from error


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> Path:
    """Write a file at once: whoever opens it by its name finds all of it.

    Raises:
        MaterialError: that is not possible.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MaterialError(f"{path}: {error.strerror}") from error
    return path
