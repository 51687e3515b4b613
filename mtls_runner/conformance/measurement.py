"""What was measured: each case of the catalogue at each place, as plain values that can be kept, joined and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from msgspec import Struct, field

from mtls_runner.conformance.catalogue import Combination, program
from mtls_runner.conformance.difference import Change
from mtls_runner.model.observation import Conclusion

__all__ = [
    "MOST_REASONS",
    "CellKind",
    "CellName",
    "MeasuredCase",
    "MeasuredCell",
    "MeasuredEnd",
    "MeasuredFile",
    "Measurement",
    "Seen",
]

CellName = tuple[str, str, Combination]
"""File, case, place."""
MOST_REASONS = 6
"""More reasons that the evidence allows say nothing."""


class CellKind(StrEnum):
    """What is known of a cell: each is one of these."""

    SEEN = "seen"
    """A handshake, or a start, was observed."""
    SKIPPED = "skipped"
    """An end has no setting for it, or is not installed."""
    GAP = "gap"
    """Listed as one, with its reason."""
    BROKEN = "broken"
    """Nothing that the lab recognises."""


class Seen(Conclusion, frozen=True):
    """What was observed of one handshake, without what is another each time.

    Args:
        alert, alert_from, status, curl_exit, predicted: as of an :class:`~mtls_runner.model.observation.Observation`.
        verify_code: of the end that refused; curl's is what it writes.
        lines: what that end wrote.
    """

    alert: str | None = None
    alert_from: str | None = None
    status: int | None = None
    curl_exit: int | None = None
    predicted: bool = False
    verify_code: int | None = None
    lines: tuple[str, ...] = ()

    def agrees(self, other: Seen) -> bool:
        """Whether the other is the same, as far as that does not hang on who closes first: whether an alert arrives before the
        connection's end, and so curl's exit, and which reasons it leaves open, is luck in TLS 1.3; which alert it is, is not.
        """
        if (self.outcome, self.status, self.verify_code) != (other.outcome, other.status, other.verify_code):
            return False
        one, two = set(self.reasons), set(other.reasons)
        if self.alert is None and other.alert is not None:
            return two <= one
        if other.alert is None and self.alert is not None:
            return one <= two
        return self.alert == other.alert and one == two


class MeasuredCell(Struct, frozen=True):
    """What is known of one case at one place.

    Args:
        kind: what is known.
        seen: of one that was observed.
        why: of one that was not; of one that did not end as the catalogue has it, how.
        as_expected: it ended as the catalogue, and what the ends declare of themselves, have it.
        others: what else was seen when it was run again; empty: the same each time.
        key: of the case, the ends and their versions; another key is another measurement.
    """

    kind: CellKind
    seen: Seen | None = None
    why: str = ""
    as_expected: bool = True
    others: tuple[Seen, ...] = ()
    key: str = ""


class MeasuredEnd(Struct, frozen=True):
    """A server or client that took part.

    Args:
        name: as it was chosen, ``nginx@1.26``.
        title: for people.
        library: its TLS library.
        versions: its own, by its name, and those of what it brings.
    """

    name: str
    title: str
    library: str
    versions: Mapping[str, str]

    @property
    def told(self) -> str:
        """``haproxy 2.6.12 (openssl 3.0.22)``."""
        named = program(self.name)
        others = [version for what, version in self.versions.items() if what != named]
        own = self.versions.get(named, "")
        inside = f"({self.library} {others[0]})" if others else ""
        return " ".join(filter(None, (self.name, own, inside)))


class MeasuredCase(Struct, frozen=True):
    """One case of the catalogue, wherever it was measured.

    Args:
        name, line: in its file.
        fault: something else than acceptance is expected of it somewhere.
        control: the accepted case that it is held against; ``""``: none.
        changes: what it has otherwise than that.
        cells: by place.
    """

    name: str
    line: int
    fault: bool
    control: str
    changes: tuple[Change, ...]
    cells: Mapping[Combination, MeasuredCell]

    @property
    def changes_told(self) -> str:
        """In one line."""
        return "; ".join(map(str, self.changes))


class MeasuredFile(Struct, frozen=True):
    """One file of the catalogue."""

    name: str
    description: str
    path: str
    cases: tuple[MeasuredCase, ...]


class Measurement(Struct, frozen=True):
    """What was measured of the whole catalogue, or of the part that was chosen.

    Args:
        files: in the catalogue's order.
        versions: of everything that took part.
        servers, clients: that took part, by name.
    """

    files: tuple[MeasuredFile, ...]
    versions: Mapping[str, str]
    servers: Mapping[str, MeasuredEnd] = field(default_factory=dict)
    clients: Mapping[str, MeasuredEnd] = field(default_factory=dict)

    @property
    def cells(self) -> Iterator[tuple[MeasuredFile, MeasuredCase, Combination, MeasuredCell]]:
        """Every cell, with where it stands."""
        for file in self.files:
            for case in file.cases:
                for place, one in case.cells.items():
                    yield file, case, place, one

    @property
    def by_name(self) -> dict[CellName, MeasuredCell]:
        """Every cell by its name."""
        return {(file.name, case.name, place): cell for file, case, place, cell in self.cells}

    @property
    def faults(self) -> int:
        """How many faults there are."""
        return sum(case.fault for file in self.files for case in file.cases)

    @property
    def counts(self) -> dict[str, int]:
        """How many faults, cells, cells of each kind, and of those that were seen how many ended otherwise than they should
        (``unexpected``), or not the same each time (``varying``).
        """
        cells = [cell for _, _, _, cell in self.cells]
        return {
            "faults": self.faults,
            "cells": len(cells),
            **{kind.value: sum(cell.kind is kind for cell in cells) for kind in CellKind},
            "unexpected": sum(cell.seen is not None and not cell.as_expected for cell in cells),
            "varying": sum(bool(cell.others) for cell in cells),
        }
