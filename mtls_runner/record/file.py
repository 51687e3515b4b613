"""Puts what was recorded into its file: whole or not at all."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from types import TracebackType

from mtls_runner.atomic_file import AtomicFile
from mtls_runner.errors import UsageError
from mtls_runner.record.recorded import Recorded

__all__ = ["RecordedFile"]


class RecordedFile:
    """A scenario file that is going to be written, as a context manager.

    It is opened before the work, so that a place where nothing can be written is told before it. What is not written by its end
    is as it was.

    Args:
        path: of the file.

    Raises:
        UsageError: it is no file, or can't be written.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no file that could be written")
        self._path = path
        self._file = AtomicFile(os.fspath(path), "the scenario")

    def __enter__(self) -> RecordedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.discard()

    def write(self, recorded: Recorded) -> None:
        """In the place of what the file has now, which must be what was recorded from.

        Raises:
            UsageError: it was changed meanwhile.
            OSError: it can't be written; the file is as it was.
        """
        data = self._path.read_bytes()
        mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        if data.removeprefix(mark) != recorded.before.encode():
            raise UsageError(f"{self._path} was changed while its cases ran: nothing was written, record it again")
        self._file.stream.write((mark + recorded.text.encode()).decode())
        self._file.keep()
