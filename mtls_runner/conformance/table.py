"""What a run of the catalogue says, as texts in rows: one content for the console and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from msgspec import Struct

from mtls_runner.conformance.facts import FACTS, collapsed, facts
from mtls_runner.conformance.known import nameable
from mtls_runner.conformance.measurement import CellKind, MeasuredCase, Measurement, Seen
from mtls_runner.model import HINTS, MEANINGS
from mtls_runner.model.observation import Reason
from mtls_runner.tls import ALERTS, VERIFY_CODES
from mtls_runner.tls.rules import OPENSSL, alert_reasons

__all__ = ["COLUMNS", "OutcomeTable", "ReasonRow", "Row", "TableSection", "apart", "outcome_table"]

#: Of a row's cells, in order.
COLUMNS = tuple(FACTS)

_MOST_CHANGES = 2


class Row(Struct, frozen=True):
    """One case of the catalogue.

    Args:
        name: the case's.
        fault: something else than acceptance is expected of it somewhere.
        control: the accepted case that it is told against; ``""``: there is none.
        changes: what it has otherwise than its control; ``""``.
        cells: one text for each of :data:`COLUMNS`.
        passed: all that ran was as the catalogue expects.
    """

    name: str
    fault: bool
    control: str
    changes: str
    cells: tuple[str, ...]
    passed: bool


class TableSection(Struct, frozen=True):
    """One file of the catalogue."""

    name: str
    description: str
    rows: tuple[Row, ...]


class ReasonRow(Struct, frozen=True):
    """A reason, and what stands for it: OpenSSL's verify codes, alerts that mean nothing else."""

    reason: str
    meaning: str
    hint: str
    codes: tuple[str, ...]
    alerts: tuple[str, ...]


class OutcomeTable(Struct, frozen=True):
    """The catalogue's outcomes as rows of texts.

    Args:
        versions: of what took part.
        ends: the servers and clients that did, as a phrase.
        sections: in the catalogue's order.
        differences: cases whose outcome or reason is not the same everywhere: section, case, how it differs.
        skips: why something was not run, and how many cases (by case and place) it was.
        reasons: every reason that an end can have to refuse the other, and the rest.
    """

    versions: Mapping[str, str]
    ends: str
    sections: tuple[TableSection, ...]
    differences: tuple[tuple[str, str, str], ...]
    skips: tuple[tuple[str, str], ...]
    reasons: tuple[ReasonRow, ...]

    @property
    def faults(self) -> int:
        """How many faults there are."""
        return sum(row.fault for section in self.sections for row in section.rows)


def outcome_table(measurement: Measurement) -> OutcomeTable:
    """The table of a measurement."""
    files = measurement.files
    return OutcomeTable(
        measurement.versions,
        _ends(measurement),
        tuple(TableSection(file.name, file.description, tuple(map(_row, file.cases))) for file in files),
        tuple(
            (file.name, case.name, differing)
            for file in files
            for case in file.cases
            if (differing := _differing(case)) is not None
        ),
        tuple(_skips(measurement)),
        tuple(_reasons()),
    )


def _ends(measurement: Measurement) -> str:
    places = [place for _, _, place, _ in measurement.cells]
    servers, clients = dict.fromkeys(place.backend for place in places), dict.fromkeys(place.tool for place in places)
    backends = nameable().backends
    told = [f"{name} ({backends[name].sentence})" if name in backends else name for name in servers]
    named = [name for name in clients if name]
    by = f", with {'the client' if len(named) == 1 else 'the clients'} {_listed(named)}" if named else ""
    return f"against {_listed(told)}{by}"  # nobody connects to a server that only has to start


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _row(case: MeasuredCase) -> Row:
    # An accepted one that differs in much is a case of its own, that other cases are held against.
    shown = case.control and (case.fault or len(case.changes) <= _MOST_CHANGES)
    return Row(
        case.name,
        case.fault,
        case.control if shown else "",
        case.changes_told if shown else "",
        tuple(facts(case.cells, column) for column in COLUMNS),
        all(cell.as_expected for cell in case.cells.values()),
    )


def _differing(case: MeasuredCase) -> str | None:
    """In what places differ that were run; what one can't tell apart from another's reason is no difference."""
    seen = {where: cell.seen for where, cell in case.cells.items() if cell.seen is not None}
    if not any(apart(one, other) for one, other in combinations(set(seen.values()), 2)):
        return None
    return collapsed({where: FACTS["outcome"](one) for where, one in seen.items()})


def apart(one: Seen, other: Seen) -> bool:
    """Whether two differ in outcome, or in reasons that no evidence allows for both."""
    if one.outcome is not other.outcome:
        return True
    return bool(one.reasons or other.reasons) and set(one.reasons).isdisjoint(other.reasons)


def _skips(measurement: Measurement) -> Iterator[tuple[str, str]]:
    where: dict[str, dict[str, None]] = {}
    for file, case, _, cell in measurement.cells:
        if cell.kind in (CellKind.SKIPPED, CellKind.GAP):
            where.setdefault(cell.why, {})[f"{file.name}: {case.name}"] = None
    for reason, found in where.items():
        names = list(found)
        shown = f"{len(names)} cases of {', '.join(dict.fromkeys(name.partition(':')[0] for name in names))}"
        yield reason, names[0] if len(names) == 1 else shown


def _reasons() -> Iterator[ReasonRow]:
    for reason in Reason:
        yield ReasonRow(
            reason.value,
            MEANINGS[reason],
            HINTS.get(reason, ""),
            tuple(f"{code} {entry.symbol}" for code, entry in VERIFY_CODES.items() if entry.reason is reason),
            tuple(alert for alert in ALERTS.values() if reason in alert_reasons(alert, OPENSSL)),
        )
