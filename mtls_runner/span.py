"""Where in a file something was written, and a message about that place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

__all__ = ["Diagnostic", "Severity", "Span"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
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


@dataclass(frozen=True, slots=True)
class Diagnostic:
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
