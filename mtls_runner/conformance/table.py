"""What a run of the catalogue says, as texts in rows: one content for the console, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mtls_runner.conformance.case import CatalogueCase, CatalogueFile
from mtls_runner.conformance.facts import FACTS, collapsed, facts
from mtls_runner.model import HINTS, MEANINGS
from mtls_runner.model.observation import Observation, Reason
from mtls_runner.model.verdict import Status
from mtls_runner.tls import ALERTS, VERIFY_CODES
from mtls_runner.tls.rules import OPENSSL, alert_reasons

__all__ = ["COLUMNS", "OutcomeTable", "ReasonRow", "Row", "TableSection", "outcome_table"]

#: Of a row's cells, in order.
COLUMNS = tuple(FACTS)

_MOST_CHANGES = 2


@dataclass(frozen=True, slots=True)
class Row:
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


@dataclass(frozen=True, slots=True)
class TableSection:
    """One file of the catalogue."""

    name: str
    description: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """A reason, and what stands for it: OpenSSL's verify codes, alerts that mean nothing else."""

    reason: str
    meaning: str
    hint: str
    codes: tuple[str, ...]
    alerts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """All of it.

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


def outcome_table(groups: Sequence[CatalogueFile], versions: Mapping[str, str]) -> OutcomeTable:
    """Put it together.

    Args:
        groups: as :func:`mtls_runner.conformance.case.by_file` gives them.
        versions: as the run's last event gives them.
    """
    return OutcomeTable(
        versions,
        _ends(groups),
        tuple(
            TableSection(group.plan.name, " ".join(group.plan.description.split()), tuple(map(_row, group.entries)))
            for group in groups
        ),
        tuple(
            (group.plan.name, entry.name, differing)
            for group in groups
            for entry in group.entries
            if (differing := _differing(entry)) is not None
        ),
        tuple(_skips(groups)),
        tuple(_reasons()),
    )


def _ends(groups: Sequence[CatalogueFile]) -> str:
    cases = [verdict.case for group in groups for entry in group.entries for verdict in entry.verdicts.values()]
    servers = dict.fromkeys(f"{case.server.backend} ({case.server.backend.sentence})" for case in cases)
    clients = dict.fromkeys(str(case.client.tool) for case in cases if case.client is not None)
    return f"against {_listed(servers)}, with {'the client' if len(clients) == 1 else 'the clients'} {_listed(clients)}"


def _listed(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _row(entry: CatalogueCase) -> Row:
    control = entry.control
    if control is not None and not entry.is_fault and len(control.changes) > _MOST_CHANGES:
        control = None  # a case of its own, that other cases are held against
    return Row(
        entry.name,
        entry.is_fault,
        control.name if control is not None else "",
        "; ".join(map(str, control.changes)) if control is not None else "",
        tuple(facts(entry.verdicts, column) for column in COLUMNS),
        all(verdict.status in (Status.PASS, Status.SKIP) for verdict in entry.verdicts.values()),
    )


def _differing(entry: CatalogueCase) -> str | None:
    """In what places differ that were run; what one can't tell apart from another's reason is no difference."""
    seen = {where: verdict.observation for where, verdict in entry.verdicts.items() if verdict.observation is not None}
    if not any(_apart(one, other) for one, other in combinations(seen.values(), 2)):
        return None
    return collapsed({where: FACTS["outcome"](observation) for where, observation in seen.items()})


def _apart(one: Observation, other: Observation) -> bool:
    if one.outcome is not other.outcome:
        return True
    return bool(one.reasons or other.reasons) and set(one.reasons).isdisjoint(other.reasons)


def _skips(groups: Sequence[CatalogueFile]) -> Iterator[tuple[str, str]]:
    where: dict[str, list[str]] = {}
    for group in groups:
        for entry in group.entries:
            for reason in dict.fromkeys(entry.skipped.values()):
                where.setdefault(reason, []).append(f"{group.plan.name}: {entry.name}")
    for reason, names in where.items():
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
