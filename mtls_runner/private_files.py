"""Directories and files that only this user can read: the user's, a run's, what killed runs left, and a cache.

A run's directory is locked (``flock``) for as long as its process lives: the kernel drops the lock of a process that was
killed, so that an unlocked directory has no owner and can be removed by anyone who finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mtls_runner.errors import LabError, MaterialError, UsageError

__all__ = [
    "PrivateCache",
    "builds_directory",
    "claim",
    "file_names",
    "joined_name",
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


def builds_directory() -> Path:
    """``implementations`` in :func:`user_cache`, made: for what the lab compiles for programs that are declared.

    It is in :func:`user_directory` instead where nobody can write to the cache, as below a home that is read-only.

    Raises:
        LabError: as :func:`user_directory`.
    """
    found = user_cache() / "implementations"
    with contextlib.suppress(OSError):
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(found, os.W_OK):
        found = user_directory() / "implementations"
        found.mkdir(mode=0o700, exist_ok=True)
    return found


_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST, _LONGEST_JOINED = 80, 120


def file_names(ids: Iterable[str]) -> dict[str, str]:
    """A safe file name (without an ending) for each id, as close to the id as possible.

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


def joined_name(names: Sequence[str]) -> str:
    """A file name (without an ending) for one file with what all these names stand for, in this order."""
    name = "+".join(names)
    if 0 < len(name) <= _LONGEST_JOINED:
        return name
    return f"{len(names)}+{hashlib.sha256(repr(names).encode()).hexdigest()[:16]}"


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
    try:
        _write(path, path.with_name(f".{secrets.token_hex(8)}.tmp"), data)
    except OSError as error:
        raise MaterialError(f"{path}: {error.strerror}") from error
    return path


def _write(path: Path, temporary: Path, data: bytes) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(path)  # readers see the old file or the whole new one
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_DIGEST = 32
_LIMIT = 16 * 1024


class PrivateCache:
    """Files that are kept from run to run, each with the SHA-256 of its content before it.

    Args:
        directory: made on first use, 0700. Every failure to use it means that nothing is kept, never an exception.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def load(self, name: str) -> bytes | None:
        """What is kept, or ``None`` when there is nothing that can be trusted: absent, damaged, or open to others."""
        try:
            if not self._private():
                return None
            # O_NONBLOCK: opening a FIFO that someone put there must not hang
            descriptor = os.open(self.directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                    return None
                data = file.read(_LIMIT)
        except OSError:
            return None
        return data[_DIGEST:] if hashlib.sha256(data[_DIGEST:]).digest() == data[:_DIGEST] else None

    def save(self, name: str, data: bytes) -> None:
        """Keep it, if that is possible. Of several runs that save the same, the last one's stays."""
        temporary = self.directory / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._private():
                _write(self.directory / name, temporary, hashlib.sha256(data).digest() + data)
                self._sweep()
        except OSError:
            return

    def _sweep(self) -> None:
        """Remove temporary files of killed runs; those of a run that still lives stay."""
        for left in self.directory.glob(".*-*.tmp"):
            try:
                os.kill(int(left.name[1:].partition("-")[0]), 0)
            except (ProcessLookupError, OverflowError):
                left.unlink(missing_ok=True)
            except (PermissionError, ValueError):
                continue

    def _private(self) -> bool:
        """Whether the directory is the user's own and closed to others; an own one that is open gets closed."""
        status = self.directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return False
        if status.st_mode & 0o077:
            with suppress(OSError):
                self.directory.chmod(0o700)
            return not self.directory.lstat().st_mode & 0o077
        return True


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
