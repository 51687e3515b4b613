"""The results for programs: every case in every place, with what was seen there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtls_runner.conformance.case import CatalogueCase, CatalogueFile
from mtls_runner.conformance.catalogue import Combination
from mtls_runner.model.verdict import Status, Verdict

__all__ = ["Json", "json_form"]

Json = str | int | float | bool | None | list["Json"] | Mapping[str, "Json"]

_TOLD = (
    "outcome",
    "reason",
    "alert",
    "alert_from",
    "status",
    "curl_exit",
    "ssl_verify_result",
    "server_verify_code",
    "client_verify",
    "tls_version",
)


def json_form(groups: Sequence[CatalogueFile], versions: Mapping[str, str]) -> Json:
    """A value that ``json.dumps`` takes."""
    verdicts = [verdict for group in groups for entry in group.entries for verdict in entry.verdicts.values()]
    return {
        "groups": [
            {
                "name": group.plan.name,
                "description": " ".join(group.plan.description.split()),
                "file": str(group.plan.path),
                "entries": [_entry(entry) for entry in group.entries],
            }
            for group in groups
        ],
        "summary": {
            "faults": sum(entry.is_fault for group in groups for entry in group.entries),
            **{status.value: sum(verdict.status is status for verdict in verdicts) for status in Status},
            "versions": dict(versions),
        },
    }


def _entry(entry: CatalogueCase) -> Json:
    control = entry.control
    return {
        "name": entry.name,
        "line": entry.line,
        "fault": entry.is_fault,
        "control": control.name if control is not None else None,
        "changes": [{"path": change.path, "control": change.before, "here": change.after} for change in control.changes]
        if control is not None
        else [],
        "cells": [_cell(where, verdict) for where, verdict in entry.verdicts.items()],
    }


def _cell(where: Combination, verdict: Verdict) -> Json:
    seen = verdict.observation
    return {
        "backend": where.backend,
        "tool": where.tool or None,
        "tls": where.tls or None,
        "verdict": verdict.status.value,
        "observed": {name: getattr(seen, name) for name in _TOLD} if seen is not None else None,
        "mismatches": [
            {"path": mismatch.path, "expected": mismatch.expected, "observed": mismatch.observed}
            for mismatch in verdict.mismatches
        ],
        "skip_reason": verdict.skip_reason or None,
        "error": verdict.error or None,
    }
