"""Files that take their predecessor's place only when they are whole, whatever happens before."""

from __future__ import annotations

import fcntl
import glob
import os
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from mtls_runner.errors import UsageError

__all__ = ["AtomicFile"]

_SUFFIX = ".unfinished"
_LEAST_AGE = 60.0
"""Seconds; a younger one may be in the making, and not be locked yet."""


class AtomicFile:
    """A file that is written beside its predecessor, and takes its place when it is whole.

    Args:
        path: where to; ``-`` is standard output. What is no regular file (a pipe, a device) is written directly.
        what: it is, in messages ("the report").

    Raises:
        UsageError: it can't be written there.
    """

    def __init__(self, path: str, what: str) -> None:
        self._target = Path(os.path.realpath(path))  # a link stays a link
        self._temporary: Path | None = None
        try:
            self.stream = self._open(path)
        except OSError as error:
            raise UsageError(f"can't write {what} {path}: {error.strerror}") from error

    def _open(self, path: str) -> TextIO:
        if path == "-":
            return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        if self._target.exists() and not self._target.is_file():
            return self._target.open("w", encoding="utf-8")
        if self._target.exists() and not os.access(self._target, os.W_OK):
            raise PermissionError(0, "it is write-protected")
        prefix = f".{self._target.name}."
        _sweep(self._target.parent, prefix)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=_SUFFIX, dir=self._target.parent)
        self._temporary = Path(name)
        with suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._as_before(handle)
        return os.fdopen(handle, "w", encoding="utf-8")

    def _as_before(self, handle: int) -> None:
        """The old file's owner, as far as that may be set, and its permissions; or those of any new file."""
        if self._target.exists():
            known = self._target.stat()
            with suppress(OSError):
                os.fchown(handle, known.st_uid, known.st_gid)
            os.fchmod(handle, stat.S_IMODE(known.st_mode))
        else:
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(handle, 0o666 & ~mask)

    def keep(self) -> None:
        """It is whole: put it in its place."""
        if self._temporary is not None:
            self.stream.flush()
            os.fsync(self.stream.fileno())  # or a crash may leave an empty file under the new name
        self.stream.close()
        if self._temporary is not None:
            self._temporary.replace(self._target)
            self._temporary = None

    def discard(self) -> None:
        """It is not: leave the old one where it is. Does nothing after :meth:`keep`."""
        with suppress(OSError):  # flushing to a full disk or a closed pipe fails again
            self.stream.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None


def _sweep(directory: Path, prefix: str) -> None:
    """Remove what killed runs left of this file: the kernel has dropped their locks."""
    for left in directory.glob(f"{glob.escape(prefix)}*{_SUFFIX}"):
        with suppress(OSError), left.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _LEAST_AGE:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
