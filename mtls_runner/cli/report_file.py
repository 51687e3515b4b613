"""Reports: opened before the work, each replaces its predecessor only when it is whole, and nothing else ever."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from mtls_runner.errors import UsageError

TYPE_CHECKING = False  # typing's own costs an import
if TYPE_CHECKING:
    from mtls_runner.atomic_file import AtomicFile

__all__ = ["STANDARD_OUTPUT", "ReportFiles"]

STANDARD_OUTPUT = "-"
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
        self._files: list[AtomicFile] = []
        self._inputs = {os.path.realpath(path): path for path in inputs}
        self._options: dict[str, str] = {}

    def __enter__(self) -> ReportFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.discard()

    def open(self, option: str, path: str) -> AtomicFile:
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
        from mtls_runner.atomic_file import AtomicFile

        file = AtomicFile(path, "the report")
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
    """Whether two paths name one file: by a hard link, or by letters that the file system does not tell apart."""
    with suppress(OSError):
        return one.samefile(other)
    return False


def _is_standard_output(place: str) -> bool:
    """Whether what is written there and on standard output ends up in the same file or pipe."""
    with suppress(OSError, ValueError):
        there = Path(place).stat()
        return not stat.S_ISCHR(there.st_mode) and os.path.samestat(there, os.fstat(sys.stdout.fileno()))
    return False
