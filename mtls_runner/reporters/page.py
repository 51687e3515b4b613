"""Where console lines go: plain text here, colours and a live line in :mod:`mtls_runner.reporters.live`."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, TextIO

__all__ = ["ASCII_MARKS", "MARKS", "Marks", "Page", "Piece", "PlainPage", "Style", "marks_for"]


class Style(StrEnum):
    """What a piece of text means; the page decides how that looks."""

    TEXT = "text"
    STRONG = "strong"
    DIM = "dim"
    PASS = "pass"  # noqa: S105 - a style
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"
    WARNING = "warning"


Piece = tuple[str, Style]
Marks = dict[Style, str]

MARKS: Marks = {Style.PASS: "✓", Style.FAIL: "✗", Style.ERROR: "!", Style.SKIP: "-"}
ASCII_MARKS: Marks = {Style.PASS: "ok", Style.FAIL: "FAIL", Style.ERROR: "ERROR", Style.SKIP: "skip"}


class Page(Protocol):
    """Takes finished lines, and a progress that only a terminal shows."""

    @property
    def color(self) -> bool:
        """Whether :meth:`block` may be given ANSI sequences."""
        ...

    def line(self, *pieces: Piece) -> None:
        """One line."""
        ...

    def block(self, text: str) -> None:
        """Lines that are ready as they are, with ANSI colours where ``color`` says so."""
        ...

    def progress(self, doing: str, done: int, total: int) -> None:
        """What is going on now."""
        ...

    def close(self) -> None:
        """Take the progress away; write out what is buffered."""
        ...


class PlainPage:
    """Lines without any ANSI sequence, flushed one by one so that a reader at the other end of a pipe can follow."""

    color = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, *pieces: Piece) -> None:
        """One line."""
        self._stream.write("".join(text for text, _ in pieces) + "\n")
        self._stream.flush()

    def block(self, text: str) -> None:
        """The lines as they are."""
        self._stream.write(text.rstrip("\n") + "\n")
        self._stream.flush()

    def progress(self, doing: str, done: int, total: int) -> None:
        """Nothing: a pipe gets results only."""

    def close(self) -> None:
        """Flush."""
        self._stream.flush()


def marks_for(stream: TextIO) -> Marks:
    """Unicode marks where the stream's encoding has them, words otherwise."""
    try:
        "".join(MARKS.values()).encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII_MARKS
    return MARKS
