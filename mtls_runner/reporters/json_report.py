"""``--json``: one line of the file for each case, written as it comes; ``schema/report.schema.json`` describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TextIO

from mtls_runner.model.case import Check, Expectation, Match, Matcher, Step
from mtls_runner.model.observation import ClientView, Observation, ServerView
from mtls_runner.model.verdict import CaseFinished, Event, Mismatch, RunFinished, RunStarted, Status, Verdict
from mtls_runner.snippet import MASK, is_secret

__all__ = ["FORMAT", "JsonReporter"]

Json = str | int | float | bool | None | list["Json"] | Mapping[str, "Json"]

FORMAT = 2
"""Of the report; what each has is in ``schema/report.schema.json``."""
_MOST_BODY = 65536
"""Bytes of a body that go into the report."""
_VIEWS = frozenset({"client", "server", "body", "received"})
_OBSERVED = tuple(name for name in Observation.__struct_fields__ if name not in _VIEWS)


class JsonReporter:
    """Writes the report.

    Args:
        stream: where to; the caller opens and closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = 0
        self._separator = f'{{"format": {FORMAT}, "cases": ['

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished):
            self._write(event.verdict)
        elif isinstance(event, RunStarted):
            self._total = event.total
        elif isinstance(event, RunFinished):
            self._end(event)

    def close(self) -> None:
        """Flush."""
        self._stream.flush()

    def _write(self, verdict: Verdict) -> None:
        self._stream.write(self._separator + "\n" + json.dumps(_case(verdict)))
        self._separator = ","

    def _end(self, event: RunFinished) -> None:
        opening = self._separator if self._separator != "," else ""
        counts = {str(status): event.counts.get(status, 0) for status in Status}
        summary: Json = {
            "total": self._total,
            **counts,
            "undetermined": event.undetermined,
            "not_run": self._total - sum(counts.values()),
            "duration_s": round(event.duration, 6),
            "interrupted": event.interrupted,
            "lab_error": event.error or None,
            "versions": dict(event.versions),
        }
        self._stream.write(f'{opening}\n], "summary": {json.dumps(summary)}}}\n')


def _case(verdict: Verdict) -> Json:
    case = verdict.case
    done = (*verdict.steps, *[None] * (len(case.steps) - len(verdict.steps)))
    return {
        "id": case.id,
        "file": str(case.span.path),
        "line": case.span.line,
        "name": case.name,
        "backend": case.server.backend.name,
        "tool": case.client.tool.name if case.client is not None else None,
        "tls": str(case.tls) if case.tls is not None else None,
        "tags": list(case.tags),
        **_told(case.expect, verdict),
        "skip_reason": verdict.skip_reason or None,
        "steps": [_step(*one) for one in zip(case.steps, done, strict=True)] if not case.plain else [],
    }


def _told(expect: Expectation, verdict: Verdict | None) -> dict[str, Json]:
    """What came of a case, or of a step; ``None``: it was not come to."""
    seen = verdict.observation if verdict is not None else None
    return {
        "verdict": str(verdict.status) if verdict is not None else None,
        "duration_s": round(verdict.duration, 6) if verdict is not None else None,
        "expected": _expected(expect),
        "observed": _observed(seen) if seen is not None else None,
        "mismatches": _mismatches(verdict.mismatches) if verdict is not None else [],
        "undetermined": _undetermined(verdict) if verdict is not None else None,
        "error": (verdict.error or None) if verdict is not None else None,
    }


def _mismatches(mismatches: Sequence[Mismatch]) -> list[Json]:
    return [
        {
            "path": mismatch.path,
            "step": mismatch.step,
            "expected": mismatch.expected,
            "observed": mismatch.observed,
            "file": str(mismatch.span.path),
            "line": mismatch.span.line,
            "column": mismatch.span.column,
        }
        for mismatch in mismatches
    ]


def _undetermined(verdict: Verdict) -> Json:
    return _plain(verdict.undetermined.others) if verdict.undetermined is not None else None


def _step(step: Step, done: Verdict | None) -> Json:
    return {
        "name": step.name,
        "action": str(step.action),
        "line": step.span.line,
        "resume": step.resume + 1 if step.resume is not None else None,
        "reuse": step.reuse + 1 if step.reuse is not None else None,
        **_told(step.expect, done),
    }


def _expected(expectation: Expectation) -> Json:
    """In the form that the author may write: values, ``{contains: …}``, lists of alternatives, ``where``."""
    always: dict[str, Json] = {}
    where: list[Json] = []
    for check in expectation.checks:
        if check.only_for:
            when: Json = dict(check.only_for.as_written)
            where.append({"when": when, "expect": {check.path: _alternatives(check)}})
        else:
            always[check.path] = _alternatives(check)
    if where:
        always["where"] = where
    return always


def _alternatives(check: Check) -> Json:
    if is_secret(check.path.partition(".")[2]):
        return MASK
    values = [_matcher(matcher) for matcher in check.alternatives]
    return values[0] if len(values) == 1 else values


def _matcher(matcher: Matcher) -> Json:
    value = _plain(matcher.value)
    return value if matcher.kind is Match.EQUALS else {str(matcher.kind): value}


def _observed(seen: Observation) -> Json:
    observed: dict[str, Json] = {name: _plain(getattr(seen, name)) for name in _OBSERVED}
    observed["upstream"] = dict(seen.upstream) if seen.upstream is not None else None
    for name in ("headers", "upstream_headers"):
        fields: Sequence[tuple[str, str]] | None = getattr(seen, name)
        observed[name] = None if fields is None else [[key, MASK if is_secret(key) else value] for key, value in fields]
    observed["reason"] = _plain(seen.reason)
    observed["determined"] = seen.determined
    observed["curl_exit_predicted"] = seen.predicted
    observed["body"] = _text(seen.body)
    observed["body_size"] = len(seen.body) if seen.body is not None else None
    observed["received"] = _text(seen.received)
    observed["client"] = _client(seen.client) if seen.client is not None else None
    observed["server"] = _server(seen.server) if seen.server is not None else None
    return observed


def _text(octets: bytes | None) -> str | None:
    return octets[:_MOST_BODY].decode("utf-8", "backslashreplace") if octets is not None else None


def _plain(value: object) -> Json:
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    if value is None or isinstance(value, bool | int):
        return value
    return str(value)


def _client(view: ClientView) -> Json:
    return {
        "tool": view.tool,
        "tool_version": view.tool_version,
        "phase": str(view.phase),
        "error": view.error or None,
        "error_symbol": view.error_symbol or None,
        "command": view.command or None,
    }


def _server(view: ServerView) -> Json:
    return {
        "source": view.source,
        "handshake_complete": view.handshake_complete,
        "error": view.error or None,
        "error_symbol": view.error_symbol or None,
        "server_name": view.server_name,
        "refused_status": view.refused_status,
    }
