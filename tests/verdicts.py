"""Runs one scenario and says what came of it."""

from __future__ import annotations

from pathlib import Path

from mtls_runner import Overrides, Plan, Verdict, load
from mtls_runner.engine import RunOptions, run
from mtls_runner.model.verdict import CaseFinished

__all__ = ["verdicts_by_name", "verdicts_of"]


def verdicts_of(
    scenario: Path | Plan, overrides: Overrides | None = None, options: RunOptions | None = None
) -> list[Verdict]:
    """Of every case, in the order in which they ended."""
    plan = load(scenario, overrides or Overrides()) if isinstance(scenario, Path) else scenario
    return [event.verdict for event in run([plan], options or RunOptions()) if isinstance(event, CaseFinished)]


def verdicts_by_name(
    scenario: Path | Plan, overrides: Overrides | None = None, options: RunOptions | None = None
) -> dict[str, Verdict]:
    """Of every case by its name."""
    return {verdict.case.name: verdict for verdict in verdicts_of(scenario, overrides, options)}
