"""What was measured: each case of the catalogue at each place, as plain values that can be kept, joined and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mtls_runner.conformance.case import CatalogueCase, CatalogueFile
from mtls_runner.conformance.catalogue import Combination
from mtls_runner.conformance.difference import Change
from mtls_runner.model.observation import Conclusion, Observation, Outcome
from mtls_runner.model.verdict import Status, Verdict

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
    "measured",
    "measured_cell",
    "steady",
]

CellName = tuple[str, str, Combination]
"""File, case, place."""
MOST_REASONS = 6
"""More reasons that the evidence allows say nothing."""
_MOST_LINES = 3
_LONGEST_LINE = 400
_BY_CHANCE = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"\x1b\[[0-9;]*m", ""),  # colours, of a program that writes its log for terminals (ECMA-48, SGR)
        (r"\d{4}[-/.]\d\d[-/.]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?", "TIME"),
        (r"\b(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [A-Z]{3})?(?: \d{4})?", "TIME"),
        (r"\b\d{10}\.\d{3,}\b", "TIME"),
        (r"(?<=127\.0\.0\.1:)\d+|(?<=\[::1\]:)\d+|(?<=localhost:)\d+", "PORT"),
        (r"\bport[= ]\d+", "port PORT"),
        (r"\[?\bpid[= ]\d+(?::tid \d+)?\]?", "pid"),
        (r"\btid[= ]\d+", "tid"),
        (r"\d+#\d+: \*\d+", "N#N: *N"),
        (r"(?<=LOG\d\[)\d+(?=\])", "N"),
        (r"\b0x[0-9a-f]{6,}\b|\b[0-9A-F]{8,}(?=:error:)", "0x…"),
        (r"(?:/[\w.+-]+)*/mtls-run[\w.+-]*(?:/run-\w+)?(?=/)", "…"),
        (r"(?:/[\w.+-]+)+(?=/site-packages/)", "…"),
        (r"(?<=serial: )[0-9A-F]+\b", "…"),
        (r"(?<=\()\d{3,}(?=\))|(?<=TIME\]\[)\d+(?=\])", "N"),
        (r"\b172\.\d+\.\d+\.\d+\b", "ADDRESS"),
        (r"\bchild \d+\b", "child N"),
        (r"certificate=<[^>]{40,}(?:>|$)", "certificate=<…>"),
        (r"[A-Za-z0-9+/]{120,}=*|\b(?:[0-9a-f]{40}|[0-9a-f]{64})\b", "…"),
    )
)
"""What is another one each time, and says nothing of the reason."""


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


@dataclass(frozen=True, slots=True)
class Seen(Conclusion):
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


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """One case at one place.

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


@dataclass(frozen=True, slots=True)
class MeasuredEnd:
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
        program = self.name.partition("@")[0]
        others = [version for what, version in self.versions.items() if what != program]
        own = self.versions.get(program, "")
        inside = f"({self.library} {others[0]})" if others else ""
        return " ".join(filter(None, (self.name, own, inside)))


@dataclass(frozen=True, slots=True)
class MeasuredCase:
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


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """One file of the catalogue."""

    name: str
    description: str
    path: str
    cases: tuple[MeasuredCase, ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """All of it.

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


def measured(
    groups: Sequence[CatalogueFile],
    versions: Mapping[str, str],
    cells: Mapping[tuple[str, str], Mapping[Combination, MeasuredCell]] | None = None,
    *,
    servers: Mapping[str, MeasuredEnd] | None = None,
    clients: Mapping[str, MeasuredEnd] | None = None,
) -> Measurement:
    """Put it together; cases and files of which nothing is known are left out.

    Args:
        groups: the catalogue's cases, with their verdicts where ``cells`` is ``None``.
        versions: of everything that took part.
        cells: by file and case; ``None``: the verdicts' own.
        servers, clients: that took part.
    """
    files = []
    for group in groups:
        cases = tuple(case for entry in group.entries if (case := _case(group.plan.name, entry, cells)).cells)
        if cases:
            description = " ".join(group.plan.description.split())
            files.append(MeasuredFile(group.plan.name, description, group.plan.path.name, cases))
    return Measurement(tuple(files), versions, servers or {}, clients or {})


def _case(
    file: str, entry: CatalogueCase, cells: Mapping[tuple[str, str], Mapping[Combination, MeasuredCell]] | None
) -> MeasuredCase:
    own = (
        {where: measured_cell(verdict) for where, verdict in entry.verdicts.items()}
        if cells is None
        else cells.get((file, entry.name), {})
    )
    control = entry.control
    return MeasuredCase(
        entry.name,
        entry.line,
        entry.is_fault,
        control.name if control is not None else "",
        control.changes if control is not None else (),
        own,
    )


def measured_cell(verdict: Verdict, *, as_expected: bool | None = None, key: str = "") -> MeasuredCell:
    """Of a verdict.

    Args:
        verdict: of a case.
        as_expected: whether it ended as it should; ``None``: as the verdict says.
        key: of the measurement.
    """
    sound = verdict.status is Status.PASS if as_expected is None else as_expected
    if verdict.status is Status.SKIP:
        return MeasuredCell(CellKind.SKIPPED, why=verdict.skip_reason, key=key)
    if verdict.unusable is not None and verdict.status is Status.ERROR and as_expected is not None:
        lines = _lines(verdict.error.splitlines()[:_MOST_LINES], None)
        seen = Seen(Outcome.SERVER_UNUSABLE, (verdict.unusable,), lines=lines)
        return MeasuredCell(
            CellKind.SEEN, seen, "" if sound else "the server does not start", as_expected=sound, key=key
        )
    if verdict.status is Status.ERROR or verdict.observation is None:
        return MeasuredCell(CellKind.BROKEN, why=verdict.error, as_expected=False, key=key)
    why = "; ".join(mismatch.told for mismatch in verdict.mismatches) if not sound else ""
    return MeasuredCell(CellKind.SEEN, _seen(verdict.observation), why, as_expected=sound, key=key)


def _seen(observed: Observation) -> Seen:
    return Seen(
        observed.outcome,
        observed.reasons,
        observed.alert,
        observed.alert_from,
        observed.status,
        observed.curl_exit,
        observed.predicted,
        _verify_code(observed),
        _lines(_words(observed), observed.client.local_port if observed.client is not None else None),
    )


def _verify_code(observed: Observation) -> int | None:
    """The refusing end's; curl's is what it writes."""
    code = None
    if observed.outcome is Outcome.SERVER_REFUSED:
        code = observed.server_verify_code
    elif observed.outcome is Outcome.CLIENT_REFUSED:
        told = observed.client.verify_code if observed.client is not None else None
        code = told or observed.ssl_verify_result
    return code or None


def _words(observed: Observation) -> Sequence[str]:
    """Of the end that ended it: its log's lines, or its own last word."""
    client, server = observed.client, observed.server
    if observed.outcome in (Outcome.CLIENT_REFUSED, Outcome.CLIENT_UNUSABLE, Outcome.PROTOCOL_ERROR):
        return [client.own_words or client.error] if client is not None else []
    if observed.outcome in (Outcome.ACCEPTED, Outcome.ANSWERED, Outcome.SERVER_STARTED):
        return []
    if server is not None and server.error:
        return [server.error]
    return observed.server_log or ([client.error] if client is not None else [])


def _lines(words: Sequence[str], port: int | None) -> tuple[str, ...]:
    """The last of them, the same each time."""
    told = [line for word in words for line in word.splitlines() if line.strip()]
    if port is not None:
        told = [re.sub(rf"\b{port}\b", "PORT", line) for line in told]
    return tuple(map(steady, told[-_MOST_LINES:]))


def steady(line: str) -> str:
    """A line of a log without what is another one each time."""
    for pattern, instead in _BY_CHANCE:
        line = pattern.sub(instead, line)
    line = line.strip()
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
