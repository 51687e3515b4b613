"""A report that is opened before the work and replaces its predecessor only when it is whole."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from mtls_runner.errors import UsageError

__all__ = ["STANDARD_OUTPUT", "ReportFile"]

STANDARD_OUTPUT = "-"


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
        handle, name = tempfile.mkstemp(prefix=f".{self._target.name}.", dir=self._target.parent)
        self._temporary = Path(name)
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
