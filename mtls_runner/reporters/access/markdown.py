"""Who gets in where, as Markdown: for a pull request."""

from __future__ import annotations

from mtls_runner.model.verdict import RunFinished
from mtls_runner.reporters import one_line
from mtls_runner.reporters.access.grid import alarm, grid, headline, lines, public, unproved
from mtls_runner.reporters.access.report import AccessFile
from mtls_runner.reporters.access.table import AccessTable, Cell, Kind

__all__ = ["AccessMarkdown"]

_PUNCTUATION = str.maketrans(
    {character: f"\\{character}" for character in "\\`*_{}[]#|~!"} | {"<": "&lt;", "&": "&amp;"}
)


class AccessMarkdown(AccessFile):
    """Writes a table for each file, and below it what to look at."""

    def write(self, tables: list[AccessTable], end: RunFinished) -> None:
        """All of a run."""
        for table in tables:
            self._stream.write(f"### Who gets in where: {_escaped(table.plan.name)}\n\n{headline(table)}.\n\n")
            self._table(table)
            for found in table.alarms:
                self._stream.write(f"- **look:** {_escaped(alarm(*found))}\n")
            for door in table.unproved:
                self._stream.write(f"- {_escaped(unproved(door))}\n")
            if table.public:
                self._stream.write(f"- {_escaped(public(table))}\n")
            self._stream.write("\n")
        if end.error or end.interrupted:
            self._stream.write("**The run did not come to its end**: what is missing was not tried.\n")

    def _table(self, table: AccessTable) -> None:
        shown = grid(table)
        self._row([shown.corner, *map(_escaped, shown.columns)])
        self._row(["---"] * (len(shown.columns) + 1))
        for label, cells in shown.rows:
            self._row([f"**{_escaped(label)}**", *map(_cell, cells)])
        self._stream.write("\n")

    def _row(self, texts: list[str]) -> None:
        self._stream.write(f"| {' | '.join(texts)} |\n")


def _cell(cell: Cell) -> str:
    text = "<br>".join(map(_escaped, lines(cell)))
    return f"**{text}**" if cell.kind in (Kind.ALARM, Kind.OTHER) else text


def _escaped(text: str) -> str:
    """As it stands: nothing in it means anything to Markdown or HTML."""
    return one_line(text).translate(_PUNCTUATION)
