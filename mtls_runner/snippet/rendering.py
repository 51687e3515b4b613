"""Span + message → ``file:line:column``, the source line and a caret under it.

One renderer for invalid files and for failed expectations. What could be a secret is masked in every line shown, and what
could confuse a terminal is escaped.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter

from msgspec import Struct

from mtls_runner.errors import Diagnostic, Severity, Span
from mtls_runner.snippet import MASK, width
from mtls_runner.snippet.masking import masked

__all__ = ["render"]

#: Columns of source that are shown; longer lines are cut around the caret.
WIDTH = 100
_NARROWEST = 20
#: Characters on either side of the caret that are looked at, of lines that are much longer.
_NEAR = 1000
#: Lines of a span that are shown.
_MAX_LINES = 3
_TAB = "    "
_CUT = "…"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)")
_RESET, _BOLD, _RED, _YELLOW, _BLUE = "\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[34m"


class _Paint(Struct, frozen=True):
    """Wraps texts in colours, or leaves them alone."""

    on: bool

    def __call__(self, text: str, *codes: str) -> str:
        return f"{''.join(codes)}{text}{_RESET}" if self.on and text else text


def render(diagnostic: Diagnostic, text: str, color: bool = False, columns: int | None = None) -> str:
    """The diagnostic as lines for people, without a newline at the end.

    Args:
        diagnostic: what to say, and where.
        text: the whole file that its span points into; ``""`` when it can't be had.
        color: with ANSI colours.
        columns: cells of the terminal; ``None``: there is none, and a line of the file is shown up to a usual width.
    """
    return "\n".join(_lines(diagnostic, text, _Paint(color), columns))


def _lines(diagnostic: Diagnostic, text: str, paint: _Paint, columns: int | None) -> Iterator[str]:
    span = diagnostic.span
    room = WIDTH
    if span is not None and columns is not None:  # beside the line's number, and with both marks of a cut
        room = max(_NARROWEST, min(WIDTH, columns - len(str(span.line + _MAX_LINES)) - 6))
    hue = _RED if diagnostic.severity is Severity.ERROR else _YELLOW
    place = f"{_visible(str(span))}: " if span is not None else ""
    yield f"{paint(place, _BOLD)}{paint(f'{diagnostic.severity.value}:', _BOLD, hue)} {_visible(diagnostic.message)}"
    gutter = "  "
    if span is not None:
        shown = list(_source(text, span, masked(text, readable=diagnostic.readable), room))
        gutter = " " * (len(str(span.line + max(0, len(shown) - 1))) + 2)
        for number, line in enumerate(shown):
            yield f"{paint(f'{span.line + number:>{len(gutter) - 1}} |', _BLUE)} {line.text}".rstrip()
            if number == 0:
                yield f"{gutter}{paint('|', _BLUE)} {' ' * line.start}{paint('^' * line.length, _BOLD, hue)}"
    if diagnostic.expected:
        yield f"{gutter}{paint('=', _BLUE)} expected: {_visible(diagnostic.expected)}"
    if diagnostic.suggestion:
        yield f"{gutter}{paint('=', _BLUE)} did you mean '{_visible(diagnostic.suggestion)}'?"


class _Shown(Struct, frozen=True):
    """A line for the terminal, and the columns of its caret."""

    text: str
    start: int
    length: int


def _source(text: str, span: Span, masks: tuple[tuple[int, int], ...], room: int) -> Iterator[_Shown]:
    last = min(
        span.end_line if span.end_column > 1 or span.end_line == span.line else span.end_line - 1,
        span.line + _MAX_LINES - 1,
    )
    lines = _lines_of(text)
    for number in range(span.line, min(last, len(lines)) + 1):
        at, line = lines[number - 1]
        end = span.end_column - 1 if number == span.end_line else len(line)
        start = span.column - 1 if number == span.line else 0
        far = 0
        if len(line) > 4 * _NEAR:
            far = max(0, start - _NEAR)
            line = line[far : far + 2 * _NEAR]
        yield _shown(line, at + far, masks, start - far, end - far, room)


@lru_cache(maxsize=4)
def _lines_of(text: str) -> list[tuple[int, str]]:
    """Where each line starts, and the line without its break; none for the empty rest behind the last break."""
    return [
        (match.start(), match[0].rstrip("\r\n"))
        for match in _LINE.finditer(text)
        if match[0] or match.start() < len(text)
    ]


def _shown(line: str, offset: int, masks: tuple[tuple[int, int], ...], start: int, end: int, room: int) -> _Shown:
    cells: list[str] = []
    columns: list[int] = []  # of each character of the line, in the line shown
    at, hidden = 0, False
    secret = bytearray(len(line))
    for low, high in masks[bisect_right(masks, offset, key=itemgetter(1)) :]:
        if low >= offset + len(line):
            break
        low, high = max(low - offset, 0), min(high - offset, len(line))
        if low < high:
            secret[low:high] = b"\1" * (high - low)
    for index, character in enumerate(line):
        if secret[index]:
            columns.append(at if not hidden else at - len(MASK))
            if not hidden:
                cells.append(MASK)
                at += len(MASK)
            hidden = True
            continue
        hidden = False
        columns.append(at)
        cell = _TAB if character == "\t" else _visible(character)
        cells.append(cell)
        at += width(cell)
    columns.append(at)
    left = columns[min(start, len(line))]
    right = columns[min(max(end, start + 1), len(line))]
    if hidden and end >= len(line):
        right = at
    return _cut("".join(cells), left, max(1, right - left), room)


def _cut(text: str, start: int, length: int, room: int) -> _Shown:
    if width(text) <= room:
        return _Shown(text, start, length)
    first = max(0, min(start - room // 3, width(text) - room))
    parts: list[str] = []
    at = 0
    for character in text:
        if first <= at < first + room:
            parts.append(character)
        at += width(character)
    before = _CUT if first else ""
    after = _CUT if at > first + room else ""
    start = start - first + len(before)
    return _Shown(before + "".join(parts) + after, start, max(1, min(length, room - start)))


def _visible(text: str) -> str:
    """The text with control characters, line breaks and direction marks escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
