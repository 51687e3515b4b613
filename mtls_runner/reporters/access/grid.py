"""The table as rows and columns, and its words: the same on the console, in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from mtls_runner.model import plural
from mtls_runner.reporters.access.table import AccessTable, Cell, Door, Kind, State

__all__ = ["UNTRIED", "Grid", "alarm", "grid", "headline", "lines", "public", "said", "unproved"]

UNTRIED = "·"


class Grid(Struct, frozen=True):
    """A table of texts: clients against doors.

    Args:
        corner: what the first column holds.
        columns: headings of the others.
        rows: each with its label.
    """

    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def grid(table: AccessTable) -> Grid:
    """Whatever there is more of, clients or doors, stands in rows."""
    empty = Cell()
    if len(table.doors) > len(table.clients):
        rows = tuple(
            (_label(door), tuple(door.cells.get(client, empty) for client in table.clients)) for door in table.doors
        )
        return Grid("door", table.clients, rows)
    rows = tuple((client, tuple(door.cells.get(client, empty) for door in table.doors)) for client in table.clients)
    return Grid("client", tuple(map(_label, table.doors)), rows)


def _label(door: Door) -> str:
    """A door of which not everything is proved is marked."""
    return f"{door.label} ?" if door.remark else door.label


def said(state: State) -> str:
    """One word, and why."""
    match state.kind:
        case Kind.OPEN:
            text = f"open ({state.text})" if state.text else "open"
        case Kind.ALARM:
            text = f"OPEN! ({state.text})" if state.text else "OPEN!"
        case Kind.CLOSED:
            text = f"closed: {state.text}" if state.text else "closed"
        case Kind.OTHER | Kind.NOT_RUN:
            text = state.text
    return f"{text}, not as expected" if state.unexpected else text


def lines(cell: Cell) -> Sequence[str]:
    """The lines of a cell: each state, and where it was seen if that differs."""
    return [f"{said(state)} [{where}]" if where else said(state) for state, where in cell.states] or [UNTRIED]


def alarm(door: Door, client: str, objections: Sequence[str]) -> str:
    """A sentence about somebody who got in."""
    return f"{client} gets in at {door.label}, though {' and '.join(objections)}"


def unproved(door: Door) -> str:
    """A sentence about a door."""
    return f"{door.label}: {door.remark}"


def public(table: AccessTable) -> str:
    """A sentence about doors that are open by their description; ``""``: there are none."""
    if not table.public:
        return ""
    return f"{'; '.join(door.label for door in table.public)}: asks for no certificate, by its description"


def headline(table: AccessTable) -> str:
    """How much it is about, and how many of the doors are proved to be open to some and closed to others."""
    doors, clients = len(table.doors), len(table.clients)
    proved = sum(door.proved for door in table.doors)
    counted = f"{plural(clients, 'client')}, {plural(doors, 'door')}"
    return f"{counted}: {proved} proved to be open to some and closed to others" if doors else "nobody connects"
