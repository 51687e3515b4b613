"""Directories and files that nobody but this user can read: a user's, a run's, and what a killed run left; the user's cache.

A run's directory is locked (``flock``) for as long as its process lives: the kernel drops the lock of a process that was
killed, so that an unlocked directory has no owner and can be removed by anyone who finds it.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mtls_runner.errors import LabError, MaterialError, UsageError

__all__ = [
    "claim",
    "file_names",
    "kept_directory",
    "make_private",
    "private_directory",
    "sweep",
    "user_cache",
    "user_directory",
    "write_private",
]


def user_directory() -> Path:
    """One directory for each user, 0700, owned by that user: others can neither read nor plant anything in it.

    Raises:
        LabError: somebody else made it, or it can't be made.
    """
    base = Path(tempfile.gettempdir()) / f"mtls-run-{os.getuid()}"
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        status = base.lstat()
    except OSError as error:
        raise LabError(f"there is no place to work in: {base}: {error.strerror} (TMPDIR names another)") from error
    if not base.is_dir() or base.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise LabError(f"{base} is not a private directory of this user: remove it, or set TMPDIR")
    return base


def user_cache() -> Path:
    """``mtls-run`` in the user's cache directory, as the platform has it; the private one where there is none.

    Raises:
        LabError: as :func:`user_directory`.
    """
    from platformdirs import user_cache_path  # few runs need it

    cache = user_cache_path("mtls-run", appauthor=False)
    return cache if cache.is_absolute() else user_directory()  # "~/…": nobody knows where this user is at home


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


def write_private(path: Path, data: bytes) -> Path:
    """Write a file at once: whoever opens it by its name finds all of it.

    Raises:
        MaterialError: that is not possible.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
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


_LOCK = ".lock"
_IGNORED = ".gitignore"
_ALL = b"*\n"


def _locked(directory: Path) -> int | None:
    """A descriptor that holds the directory's lock; ``None``: somebody else does, or it is gone."""
    try:
        descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None  # its own run has just removed it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def _guarded() -> Iterator[Path]:
    """The directory of all runs of this user, which nobody else looks at or changes meanwhile.

    Raises:
        LabError: there is no such place, or nothing can be made in it.
    """
    base = user_directory()
    try:
        guard = os.open(base / ".guard", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield base
        finally:
            os.close(guard)
    except OSError as error:
        raise LabError(f"there is no place to work in: {base}: {error.strerror} (TMPDIR names another)") from error


@contextmanager
def private_directory() -> Iterator[Path]:
    """A fresh 0700 directory, gone afterwards whatever happens.

    Raises:
        LabError: there is no place that only this user can read.
    """
    with _guarded() as base:  # no sweep may see the directory between its making and its locking
        directory = Path(tempfile.mkdtemp(prefix="run-", dir=base))
        descriptor = _locked(directory)
    try:
        yield directory
    finally:
        try:
            shutil.rmtree(directory, ignore_errors=True)
        except BaseException:
            # Interrupted in the middle: finish first, there are keys in it.
            shutil.rmtree(directory, ignore_errors=True)
            raise
        finally:
            if descriptor is not None:
                os.close(descriptor)


def claim(directory: Path) -> None:
    """Make a directory that the user asked to keep, 0700, or take one that is there and empty.

    git ignores what is in it (gitignore(5)): nobody commits private keys by ``git add .``.

    Raises:
        UsageError: it holds something already, which is never overwritten, or can't be made.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(not _is_ours(path) for path in directory.iterdir()):
            raise UsageError(
                f"{directory} is not empty: nothing in it is overwritten; name another one to keep files in"
            )
        directory.chmod(0o700)
        (directory / _IGNORED).write_bytes(_ALL)
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror}") from error


def _is_ours(path: Path) -> bool:
    return path.name == _IGNORED and path.is_file() and path.read_bytes() == _ALL


@contextmanager
def kept_directory(directory: Path) -> Iterator[Path]:
    """A directory that the user asked to keep.

    Raises:
        UsageError: it can't be claimed.
    """
    claim(directory)
    yield directory


def sweep() -> list[Path]:
    """Remove directories of runs that were killed; what was removed.

    Raises:
        LabError: there is no place that only this user can read.
    """
    removed = []
    with _guarded() as base:
        for directory in base.glob("run-*"):
            descriptor = _locked(directory)
            if descriptor is not None:
                shutil.rmtree(directory, ignore_errors=True)
                os.close(descriptor)
                removed.append(directory)
    return removed
