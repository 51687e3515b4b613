"""What each server, or each client, does with a case: its cells over all partners and TLS versions, in a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from mtls_runner.conformance.catalogue import Combination
from mtls_runner.conformance.measure import whole_catalogue
from mtls_runner.conformance.measurement import (
    MOST_REASONS,
    MeasuredCase,
    MeasuredCell,
    MeasuredEnd,
    MeasuredFile,
    Measurement,
    Seen,
)
from mtls_runner.conformance.scope import Side, judges
from mtls_runner.model.observation import Outcome

__all__ = ["Stand", "StandState", "judged", "judging", "let_in", "stands"]

_IN = (Outcome.ACCEPTED, Outcome.ANSWERED, Outcome.SERVER_STARTED)


class StandState(StrEnum):
    """What an end does with a case, in a word."""

    IN = "in"
    OUT = "out"
    BOTH = "both"
    """It hangs on the partner or the TLS version."""
    UNKNOWN = "unknown"


class Stand(Struct, frozen=True):
    """What one end does with a case.

    Args:
        end: which.
        cells: by place.
    """

    end: MeasuredEnd
    cells: Mapping[Combination, MeasuredCell]

    @property
    def seen(self) -> Mapping[Combination, Seen]:
        """What was observed."""
        return {place: cell.seen for place, cell in self.cells.items() if cell.seen is not None}

    @property
    def state(self) -> StandState:
        """In a word."""
        found = {let_in(seen) for seen in self.seen.values()}
        if not found:
            return StandState.UNKNOWN
        return StandState.BOTH if len(found) > 1 else StandState.IN if found == {True} else StandState.OUT

    @property
    def reasons(self) -> Sequence[str]:
        """The reasons of its refusals, each once; several in one text where it can't tell them apart."""
        refused = (seen for seen in self.seen.values() if not let_in(seen))
        return list(dict.fromkeys(_why(seen) for seen in refused))

    @property
    def lines(self) -> Sequence[str]:
        """That it, or who refused, wrote; each once."""
        return list(dict.fromkeys(line for seen in self.seen.values() if not let_in(seen) for line in seen.lines))


def let_in(seen: Seen) -> bool:
    """Whether the other end was taken."""
    return seen.outcome in _IN


def _why(seen: Seen) -> str:
    return " or ".join(seen.reasons) if 0 < len(seen.reasons) <= MOST_REASONS else "it does not say why"


def judging(measurement: Measurement) -> Iterator[tuple[MeasuredFile, MeasuredCase, frozenset[Side]]]:
    """Every case with who judges it: both sides, where the catalogue no longer has it."""
    who = {file.plan.name: judges(file.entries) for file in whole_catalogue()}
    for file in measurement.files:
        for case in file.cases:
            yield file, case, who.get(file.name, {}).get(case.name, frozenset(Side))


def judged(measurement: Measurement, side: Side) -> Iterator[tuple[MeasuredFile, MeasuredCase]]:
    """Cases that this side judges."""
    return ((file, case) for file, case, who in judging(measurement) if side in who)


def stands(measurement: Measurement, case: MeasuredCase, side: Side) -> list[Stand]:
    """The stand of every end of that side, in the measurement's order."""
    ends = measurement.servers if side is Side.SERVER else measurement.clients
    return [
        Stand(
            end,
            {
                place: cell
                for place, cell in sorted(case.cells.items())
                if (place.backend if side is Side.SERVER else place.tool) == name
            },
        )
        for name, end in ends.items()
    ]
