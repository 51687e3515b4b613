"""Verdicts of the catalogue → a measurement: of each what was observed, without what is another one each time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mtls_runner.conformance.case import CatalogueCase, CatalogueFile
from mtls_runner.conformance.catalogue import Combination
from mtls_runner.conformance.measurement import (
    CellKind,
    MeasuredCase,
    MeasuredCell,
    MeasuredEnd,
    MeasuredFile,
    Measurement,
    Seen,
)
from mtls_runner.model.observation import Observation, Outcome
from mtls_runner.model.verdict import Status, Verdict

__all__ = ["measured", "measured_cell", "steady"]

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


def measured(
    groups: Sequence[CatalogueFile],
    versions: Mapping[str, str],
    cells: Mapping[tuple[str, str], Mapping[Combination, MeasuredCell]],
    *,
    servers: Mapping[str, MeasuredEnd] | None = None,
    clients: Mapping[str, MeasuredEnd] | None = None,
) -> Measurement:
    """Put it together; cases and files of which nothing is known are left out.

    Args:
        groups: the catalogue's cases.
        versions: of everything that took part.
        cells: what is known, by file and case.
        servers, clients: that took part.
    """
    files = []
    for group in groups:
        plan = group.plan
        known = ((entry, cells.get((plan.name, entry.name), {})) for entry in group.entries)
        cases = tuple(_case(entry, its_own) for entry, its_own in known if its_own)
        if cases:
            files.append(MeasuredFile(plan.name, " ".join(plan.description.split()), plan.path.name, cases))
    return Measurement(tuple(files), versions, servers or {}, clients or {})


def _case(entry: CatalogueCase, cells: Mapping[Combination, MeasuredCell]) -> MeasuredCase:
    control = entry.control
    return MeasuredCase(
        entry.name,
        entry.line,
        entry.is_fault,
        control.name if control is not None else "",
        control.changes if control is not None else (),
        cells,
    )


def measured_cell(verdict: Verdict, *, as_expected: bool | None = None, key: str = "") -> MeasuredCell:
    """The cell that a verdict makes.

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
    """The words of the end that ended the exchange: its log's lines, or its error."""
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
