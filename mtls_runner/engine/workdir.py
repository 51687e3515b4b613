"""The private directory that a run keeps its material in, and what a killed run left of it.

A run's directory is locked (``flock``) for as long as its process lives: the kernel drops the lock of a process that was
killed, so that an unlocked directory has no owner and can be removed by anyone who finds it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtls_runner.errors import LabError, UsageError
from mtls_runner.user_directory import user_directory

__all__ = ["claim", "kept_directory", "private_directory", "sweep"]

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
