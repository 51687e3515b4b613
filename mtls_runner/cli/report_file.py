"""Reports: opened before the work, each replaces its predecessor only when it is whole, and nothing else ever."""

from __future__ import annotations

import fcntl
import glob
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from mtls_runner.errors import UsageError

__all__ = ["STANDARD_OUTPUT", "ReportFile", "ReportFiles"]

STANDARD_OUTPUT = "-"
_SUFFIX = ".unfinished"
_LEAST_AGE = 60.0
"""Seconds; a younger one may be in the making, and not be locked yet."""
_SOURCES = frozenset(
    {".cer", ".cnf", ".conf", ".crl", ".crt", ".csr", ".der", ".key", ".p12", ".pem", ".pfx", ".py", ".yaml", ".yml"}
)
"""What labs are made of: no report is called so, whether a run reads it or not."""


class ReportFiles:
    """The reports of one command, as a context manager: what is not kept by its end is discarded.

    Args:
        inputs: files that the command reads.
    """

    def __init__(self, inputs: Iterable[Path] = ()) -> None:
        self._files: list[ReportFile] = []
        self._inputs = {os.path.realpath(path): path for path in inputs}
        self._options: dict[str, str] = {}

    def __enter__(self) -> ReportFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.discard()

    def open(self, option: str, path: str) -> ReportFile:
        """One more report.

        Args:
            option: by which it was asked for (``--json``), for messages.
            path: as typed; ``-`` is standard output.

        Raises:
            UsageError: it can't be written there, or something else would be lost.
        """
        place = STANDARD_OUTPUT if path == STANDARD_OUTPUT else os.path.realpath(path)
        before = self._options.get(place)
        if before is not None:
            raise UsageError(f"{before} and {option} both write {path}")
        if place != STANDARD_OUTPUT:
            self._refuse_sources(option, path, place)
        self._options[place] = option
        file = ReportFile(path)
        self._files.append(file)
        return file

    def _refuse_sources(self, option: str, path: str, place: str) -> None:
        read = self._inputs.get(place) or next((i for i in self._inputs.values() if _same(i, place)), None)
        if read is not None:
            raise UsageError(f"{option} {path} would replace {read}, which this command reads: name another file")
        suffixes = {Path(name).suffix.lower() for name in (path, place)} & _SOURCES
        if suffixes:
            raise UsageError(f"{option} {path}: a report does not go to a file that ends in {min(suffixes)}")
        if _is_standard_output(place):
            raise UsageError(f"{option} {path}: standard output goes there already; {option} - puts the report there")


def _same(one: Path, other: str) -> bool:
    """By another name: a hard link, or letters that the file system takes for the same."""
    with suppress(OSError):
        return one.samefile(other)
    return False


def _is_standard_output(place: str) -> bool:
    """Whether what is written there and on standard output ends up in the same file or pipe."""
    with suppress(OSError, ValueError):
        there = Path(place).stat()
        return not stat.S_ISCHR(there.st_mode) and os.path.samestat(there, os.fstat(sys.stdout.fileno()))
    return False


class ReportFile:
    """One report.

    Args:
        path: where to; ``-`` is standard output. What is no regular file (a pipe, a device) is written directly.

    Raises:
        UsageError: it can't be written there.
    """

    def __init__(self, path: str) -> None:
        self._target = Path(os.path.realpath(path))  # a link stays a link
        self._temporary: Path | None = None
        try:
            self.stream = self._open(path)
        except OSError as error:
            raise UsageError(f"can't write the report {path}: {error.strerror}") from error

    def _open(self, path: str) -> TextIO:
        if path == STANDARD_OUTPUT:
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
        os.fchmod(handle, self._mode())
        return os.fdopen(handle, "w", encoding="utf-8")

    def _mode(self) -> int:
        """The old report's permissions, or those of any new file."""
        if self._target.exists():
            return stat.S_IMODE(self._target.stat().st_mode)
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask

    def keep(self) -> None:
        """It is whole: put it in its place."""
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
    """Remove what killed runs left of this report: the kernel has dropped their locks."""
    for left in directory.glob(f"{glob.escape(prefix)}*{_SUFFIX}"):
        with suppress(OSError), left.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _LEAST_AGE:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
