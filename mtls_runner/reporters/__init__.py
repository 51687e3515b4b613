"""What the text reporters share: how a case and why it did not pass are told, columns, and pages that take lines.

Text from elsewhere (logs, names, bodies) is escaped: a terminal must not obey it, XML must be able to hold it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Sequence
from enum import StrEnum
from functools import cache
from typing import Protocol, TextIO

from msgspec import Struct

from mtls_runner.model import listed
from mtls_runner.model.case import Case
from mtls_runner.model.verdict import Mismatch, Status, Undetermined, Verdict
from mtls_runner.snippet import width

__all__ = [
    "ASCII_MARKS",
    "MARKS",
    "STYLES",
    "WIDEST_NAME",
    "Layout",
    "Marks",
    "Page",
    "Piece",
    "PlainPage",
    "Style",
    "cause",
    "colored",
    "doubt",
    "for_xml",
    "headline",
    "is_terminal",
    "marks_for",
    "one_line",
    "shortened",
    "steady_page",
    "told_mismatches",
    "told_sentence",
    "visible",
]

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
# Bidirectional overrides and isolates, and line separators: they make a terminal show something else than what is there.
_DECEIVING = [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: f"\\x{code:02x}" for code in _CONTROLS} | {code: f"\\u{code:04x}" for code in _DECEIVING}
_ONE_LINE = {**_ESCAPES, ord("\t"): " ", ord("\n"): "\\n", ord("\r"): "\\r"}
_LINES = {code: text for code, text in _ESCAPES.items() if code not in (ord("\t"), ord("\n"))}


@cache
def _not_xml() -> re.Pattern[str]:
    """Everything but the Char production of XML 1.0 (https://www.w3.org/TR/xml/#charsets); compiling it takes some ms."""
    return re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def visible(text: str) -> str:
    """Control characters as escapes, line feeds and tabs left as they are."""
    return text if text.isascii() and text.isprintable() else text.translate(_LINES)


def one_line(text: str) -> str:
    """Control characters and line feeds as escapes."""
    return text if text.isascii() and text.isprintable() else text.translate(_ONE_LINE)


def for_xml(text: str) -> str:
    """What XML 1.0 can't hold as escapes (``\\x1b``)."""
    return _not_xml().sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def shortened(text: str, cells: int) -> str:
    """The text, cut to that many cells with an ellipsis."""
    if width(text) <= cells:
        return text
    kept = ""
    for character in text:
        if width(kept + character) > cells - 1:
            break
        kept += character
    return kept.rstrip() + "…"


WIDEST_NAME = 72
"""Cells; a longer name pushes its own line to the right, not everybody's."""


def _backend(case: Case) -> str:
    return case.server.backend.name


def _tool(case: Case) -> str:
    return case.client.tool.name if case.client is not None else ""


def _tls(case: Case) -> str:
    return str(case.tls) if case.tls is not None else ""


# The column, how it is read, and the matrix parameters that put it into a case's name already.
_FACTS: tuple[tuple[str, Callable[[Case], str], frozenset[str]], ...] = (
    ("server", _backend, frozenset(("server.backend",))),
    ("client", _tool, frozenset(("client.tool",))),
    ("", _tls, frozenset(("client.tls", "server.tls"))),
)


class Layout(Struct, frozen=True):
    """How the cases of one file are laid out.

    Args:
        name_width: cells of the name column.
        common: what all cases share, for the heading (``python server``, ``curl client``, ``TLSv1.3``).
        columns: readers and widths of what differs and does not stand in the names.
    """

    name_width: int
    common: tuple[str, ...]
    columns: tuple[tuple[Callable[[Case], str], int], ...]

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Layout:
        """The layout for these cases."""
        common: list[str] = []
        columns: list[tuple[Callable[[Case], str], int]] = []
        for label, read, parameters in _FACTS:
            values = {read(case) for case in cases}
            if len(values) == 1:
                common.extend(f"{value} {label}".rstrip() for value in values if value)
            elif len(values - {""}) > 1 and not all(_named(case, read, parameters) for case in cases):
                columns.append((read, max(map(len, values))))
            elif "" in values and len(values) == 2 and label:  # a server's own expectation has no client
                common.extend(f"{value} {label}".rstrip() for value in values if value)
        widths = [width(one_line(case.name)) for case in cases]
        fitting = [cells for cells in widths if cells <= WIDEST_NAME]
        return cls(max(fitting, default=0), tuple(common), tuple(columns))

    def row(self, case: Case) -> tuple[str, str]:
        """The name, padded, and the other columns."""
        name = one_line(case.name)
        cells = "".join(f"{read(case):<{space}}  " for read, space in self.columns)
        return name + " " * max(0, self.name_width - width(name)), cells


def _named(case: Case, read: Callable[[Case], str], parameters: frozenset[str]) -> bool:
    return not read(case) or any(name in parameters for name, _ in case.parameters)


def cause(verdict: Verdict) -> Hashable:
    """Equal for cases of one file that failed for the same cause, which is told once.

    Such as a server that did not start, a case that a matrix multiplies, or the same unexpected outcome.
    """
    seen = verdict.observation
    if seen is not None and any(mismatch.path == "outcome" for mismatch in verdict.mismatches):
        return (verdict.case.server.id, seen.summary, seen.hint)
    return (verdict.mismatches, verdict.error, verdict.skip_reason if verdict.status is Status.FAIL else "")


def told_mismatches(verdict: Verdict) -> Sequence[Mismatch]:
    """The mismatches to tell: where the outcome differs, those that only follow from that are left out."""
    found = verdict.mismatches
    if not any(one.path == "outcome" for one in found):
        return found
    return [one for one in found if one.seen]


def headline(verdict: Verdict) -> str:
    """One line about a case or a step: who refused whom and why, or what went wrong instead."""
    match verdict.status:
        case Status.SKIP:
            return one_line(f"skipped: {verdict.skip_reason}")
        case Status.ERROR:
            return one_line(verdict.error.strip().partition("\n")[0] or "the lab broke")
        case Status.FAIL if verdict.mismatches:
            first, *others = told_mismatches(verdict)
            more = f" (and {len(others)} more)" if others else ""
            return one_line(f"{told_sentence(first, verdict)}{more}")
        case Status.FAIL:
            if verdict.undetermined is not None:
                return one_line(f"{doubt(verdict.undetermined)}, which --strict forbids")
            return one_line(f"skipped, which --strict forbids: {verdict.skip_reason}")
        case Status.PASS if verdict.step is None and not verdict.case.plain:
            steps = f"{len(verdict.steps)} steps" if len(verdict.steps) > 1 else "1 step"
            return f"{steps}, undetermined" if verdict.undetermined is not None else steps
    if verdict.observation is None and verdict.step is not None:
        from mtls_runner.model.step_changes import what_was_done

        return one_line(what_was_done(verdict.case, verdict.step))
    return _seen(verdict)


def doubt(undetermined: Undetermined) -> str:
    """``undetermined: this end can't tell unknown-ca from self-signed, path-length``."""
    return f"undetermined: this end can't tell {' or '.join(undetermined.expected)} from {listed(undetermined.others)}"


def _seen(done: Verdict) -> str:
    if done.observation is None:
        return ""
    if done.undetermined is None:
        return one_line(done.observation.summary)
    alert = f" (alert {done.observation.alert})" if done.observation.alert else ""
    return one_line(f"{done.observation.outcome}{alert}, {doubt(done.undetermined)}")


def told_sentence(mismatch: Mismatch, verdict: Verdict) -> str:
    """What does not hold, on one line, with the step that it is about."""
    where = ""
    if mismatch.step is not None:
        where = f"step {mismatch.step} ({verdict.case.steps[mismatch.step - 1].name}), "
    return one_line(f"{where}{mismatch.told}")


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
    COMMAND = "command"
    """To be copied: its line is not broken, so that a shell takes it as one."""


STYLES = {Status.PASS: Style.PASS, Status.FAIL: Style.FAIL, Status.ERROR: Style.ERROR, Status.SKIP: Style.SKIP}
"""How a case stands out that has this status."""

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

    @property
    def columns(self) -> int | None:
        """Cells of the terminal; ``None``: there is none."""
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
    columns = None

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


def steady_page(color: str, stream: TextIO) -> Page:
    """A page whose lines stay as they are written; ``color`` as for :func:`colored`. Only colours load rich."""
    if not colored(color, stream):
        return PlainPage(stream)
    from mtls_runner.reporters.live import RichPage

    return RichPage(stream, color=True, live=False)


def marks_for(stream: TextIO) -> Marks:
    """Unicode marks where the stream's encoding has them, words otherwise."""
    try:
        "".join(MARKS.values()).encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII_MARKS
    return MARKS


def is_terminal(stream: TextIO) -> bool:
    """A terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colored(when: str, stream: TextIO) -> bool:
    """For ``always``, ``never`` or ``auto``: then on a terminal, unless ``NO_COLOR`` is set (https://no-color.org)."""
    if when == "auto":
        return is_terminal(stream) and not os.environ.get("NO_COLOR")
    return when == "always"
