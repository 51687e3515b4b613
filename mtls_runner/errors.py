"""What is told when something is wrong: a message about a place in a file, and every exception that is raised on purpose.

::

    MtlsRunError
    ├── UsageError            the command line, or a call of the API, is wrong        (exit 2)
    ├── ScenarioError         scenario files or lab.yaml are invalid: .diagnostics    (exit 2)
    └── LabError              the lab itself is broken: no verdict can be given       (exit 3)
        ├── MaterialError     keys or certificates can't be made, read or stored
        │   └── FileUnusable  an end can't be given a file of the user's: .reason
        ├── EngineError       the container engine can't be reached or refuses
        ├── ServerUnusable    a server can't start with what it was given: .reason
        ├── DeadlineExceeded  a time limit of the lab's own passed
        └── Interrupted       a thread's work is not wanted any more

A refusal by a server or a client is never an exception: it is what the lab is there to observe."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from mtls_runner.model import Reason


__all__ = [
    "DeadlineExceeded",
    "Diagnostic",
    "EngineError",
    "FileUnusable",
    "Interrupted",
    "LabError",
    "MaterialError",
    "MtlsRunError",
    "ScenarioError",
    "ServerUnusable",
    "Severity",
    "Span",
    "UsageError",
    "did_you_mean",
    "without_warnings",
]


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """``; did you mean 'curl'?``, for the end of a message; ``""``: nothing that is known comes close."""
    import difflib  # only where something is wrong

    close = difflib.get_close_matches(given, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class Span(Struct, frozen=True, order=True):
    """A half-open range of characters in a text file.

    Lines and columns count from 1, as editors and compilers print them; columns count Unicode
    code points. ``end_line``/``end_column`` name the first position *after* the range.
    """

    path: Path
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class Severity(StrEnum):
    """How bad a diagnostic is. ``--strict`` turns warnings into errors."""

    ERROR = "error"
    WARNING = "warning"


class Diagnostic(Struct, frozen=True):
    """One message for the person who wrote the file.

    Args:
        message: what is wrong, without position and without the author's secret values.
        span: the place; ``None`` only where there is no file to point at.
        expected: what would have been right ("one of: none, optional, required").
        suggestion: a close match ("did you mean 'passphrase'?" is made of it), or ``""``.
        severity: error or warning.
        readable: the file can be parsed; of another one, more is masked where its lines are shown.
    """

    message: str
    span: Span | None = None
    expected: str = ""
    suggestion: str = ""
    severity: Severity = Severity.ERROR
    readable: bool = True


class MtlsRunError(Exception):
    """Base of all."""

    exit_code = 3


class UsageError(MtlsRunError):
    """The command line, or a call of the API, is wrong."""

    exit_code = 2


class ScenarioError(MtlsRunError):
    """A file that a person wrote is invalid; all its mistakes are in ``diagnostics``."""

    exit_code = 2

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(f"{d.span}: {d.message}" if d.span else d.message for d in self.diagnostics))


class LabError(MtlsRunError):
    """The lab itself is broken, so that no verdict can be given."""


class MaterialError(LabError):
    """Keys or certificates can't be made, read or stored."""


class FileUnusable(MaterialError):
    """An end can't be given a file of the user's: it would hang there, or nothing can convert it to what the end loads.

    Args:
        message: with the file's name.
        reason: ``missing-file``, …
    """

    def __init__(self, message: str, *, reason: Reason) -> None:
        self.reason = reason
        super().__init__(message)


class EngineError(LabError):
    """The container engine can't be reached, lacks the image or refuses; the text names the next step.

    Args:
        message: what is wrong.
        image: the reference of the image that it is about; ``""``: it is about none.
    """

    def __init__(self, message: str, *, image: str = "") -> None:
        self.image = image
        super().__init__(message)


class ServerUnusable(LabError):
    """A server can't start with the configuration or material it was given.

    Args:
        message: what the server itself said.
        reason: ``wrong-passphrase``, …
        log: the server's own words, line by line.
        ended: it could not read its files again, and has ended.
    """

    def __init__(self, message: str, *, reason: Reason, log: Sequence[str] = (), ended: bool = False) -> None:
        self.reason = reason
        self.log = tuple(log)
        self.ended = ended
        super().__init__(message)


class DeadlineExceeded(LabError):
    """A time limit of the lab's own passed."""


class Interrupted(LabError):
    """A thread's work is not wanted any more: nobody looks at what comes of it."""


_WARNINGS = threading.RLock()


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """What Python and libraries warn of in this block is told to nobody: odd certificates and old versions are a lab's business.

    One thread at a time, since what is ignored is so in the whole process (before Python 3.14).
    """
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
