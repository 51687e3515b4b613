"""Reporters tell who gets in where when a run has come to its end; this one on the console."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TextIO

from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import CaseFinished, Event, PlanFinished, PlanStarted, RunFinished, Verdict
from mtls_runner.reporters import Page, Piece, Style, one_line
from mtls_runner.reporters.access.grid import Grid, alarm, grid, headline, lines, public, unproved
from mtls_runner.reporters.access.table import AccessTable, Cell, Kind, access_table, entries
from mtls_runner.snippet import width

__all__ = ["AccessConsole", "AccessFile", "AccessReporter"]

_STYLES = {
    Kind.OPEN: Style.PASS,
    Kind.ALARM: Style.FAIL,
    Kind.CLOSED: Style.TEXT,
    Kind.OTHER: Style.WARNING,
    Kind.NOT_RUN: Style.DIM,
    None: Style.DIM,
}
_GAP = 2


class AccessReporter:
    """What all of them have in common."""

    def __init__(self) -> None:
        self._started = datetime.now(UTC)
        self._found: list[tuple[Plan, list[Verdict]]] = []

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, PlanStarted):
            self._found.append((event.plan, []))
        elif isinstance(event, CaseFinished):
            self._found[-1][1].append(event.verdict)
        elif isinstance(event, PlanFinished):
            plan, verdicts = self._found[-1]
            self._found[-1] = (event.known or plan, verdicts)
        elif isinstance(event, RunFinished):
            tables = [self._made(plan, verdicts) for plan, verdicts in self._found]
            self.write([table for table in tables if table.doors], event)

    def _made(self, plan: Plan, verdicts: list[Verdict]) -> AccessTable:
        dated = next((verdict.dated for verdict in verdicts if verdict.dated is not None), self._started)
        return access_table(plan, entries(verdicts), dated)

    def write(self, tables: list[AccessTable], end: RunFinished) -> None:
        """All of a run, once it is over.

        Args:
            tables: of the files of which cases connect.
            end: how it ended.
        """
        raise NotImplementedError


class AccessFile(AccessReporter):
    """Those that write into a file.

    Args:
        stream: where to; the caller opens and closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def close(self) -> None:
        """Flush."""
        self._stream.flush()


class AccessConsole(AccessReporter):
    """Shows who gets in where on the console.

    Args:
        page: where to.
        columns: how wide a line may be; ``None``: as wide as it gets.
    """

    def __init__(self, page: Page, columns: int | None) -> None:
        super().__init__()
        self._page = page
        self._columns = columns

    def write(self, tables: list[AccessTable], end: RunFinished) -> None:  # noqa: ARG002 - others tell of it
        """Each with its file's name above it."""
        for table in tables:
            self._page.line()
            self._page.line(
                (one_line(f"who gets in where: {table.plan.path}"), Style.STRONG),
                (f"  {headline(table)}", Style.DIM),
            )
            for part in _parts(grid(table), self._columns):
                self._grid(part)
            for found in table.alarms:
                self._page.line((one_line(f"  look: {alarm(*found)}"), Style.FAIL))
            for door in table.unproved:
                self._page.line((one_line(f"  ? {unproved(door)}"), Style.WARNING))
            if table.public:
                self._page.line((one_line(f"  {public(table)}"), Style.DIM))

    def close(self) -> None:
        """Write out what is buffered."""
        self._page.close()

    def _grid(self, part: Grid) -> None:
        widths = _widths(part)
        self._page.line()
        heading = _row([part.corner, *part.columns], widths)
        self._page.line((heading.rstrip(), Style.DIM))
        for label, cells in part.rows:
            texts = [lines(cell) for cell in cells]
            for number in range(max(map(len, texts), default=1)):
                pieces: list[Piece] = [(_padded(label if number == 0 else "", widths[0]), Style.STRONG)]
                for cell, text, room in zip(cells, texts, widths[1:], strict=True):
                    shown = text[number] if number < len(text) else ""
                    pieces.append((_padded(shown, room), _style(cell, number)))
                last, style = pieces.pop()
                self._page.line(*pieces, (last.rstrip(), style))


def _style(cell: Cell, number: int) -> Style:
    return _STYLES[cell.states[number][0].kind if number < len(cell.states) else None]


def _widths(part: Grid) -> list[int]:
    first = max(map(width, [one_line(part.corner), *(one_line(label) for label, _ in part.rows)]))
    others = [
        max(width(one_line(text)) for text in [heading, *(line for _, cells in part.rows for line in lines(cells[at]))])
        for at, heading in enumerate(part.columns)
    ]
    return [first + 2 + _GAP, *(room + _GAP for room in others)]


def _padded(text: str, room: int) -> str:
    shown = one_line(text)
    return shown + " " * (room - width(shown))


def _row(texts: list[str], widths: list[int]) -> str:
    return "".join(_padded(text, room) for text, room in zip(texts, widths, strict=True))


def _parts(whole: Grid, columns: int | None) -> Iterator[Grid]:
    """As many columns at a time as there is room for, at least one."""
    first, *others = _widths(whole)
    chosen: list[int] = []
    for at, room in enumerate(others):
        if chosen and columns is not None and first + sum(others[each] for each in chosen) + room - _GAP > columns:
            yield _columns(whole, chosen)
            chosen = []
        chosen.append(at)
    yield _columns(whole, chosen)


def _columns(whole: Grid, chosen: list[int]) -> Grid:
    return Grid(
        whole.corner,
        tuple(whole.columns[at] for at in chosen),
        tuple((label, tuple(cells[at] for at in chosen)) for label, cells in whole.rows),
    )
