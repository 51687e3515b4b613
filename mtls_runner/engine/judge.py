"""From what was seen to a verdict: of a request, and of a case as a whole. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mtls_runner.engine.compare import compare
from mtls_runner.model.case import Case, Step
from mtls_runner.model.expectation import Versions
from mtls_runner.model.observation import Observation
from mtls_runner.model.verdict import Status, Verdict

__all__ = ["judge", "whole"]


def judge(case: Case, step: Step, seen: Observation, versions: Versions) -> Verdict:
    """What was seen against what the step expects.

    Args:
        case, step: what was run.
        seen: what came of it.
        versions: of both programs, for checks that count for some only; ``""``: not known.
    """
    if seen.outcome is None:
        return Verdict(case, Status.ERROR, seen, error=seen.summary, step=step)
    held = compare(step.expect, seen, versions)
    status = Status.FAIL if held.mismatches else Status.PASS
    return Verdict(case, status, seen, held.mismatches, undetermined=held.undetermined, step=step)


def whole(case: Case, done: Sequence[Verdict]) -> Verdict:
    """What the steps that were done, at least one, make of their case."""
    last = done[-1]
    seen = next((one.observation for one in reversed(done) if one.observation is not None), None)
    doubts = [one.undetermined for one in done if one.undetermined is not None]
    mismatches, error = last.mismatches, last.error
    if not case.plain:
        number = len(done)
        mismatches = tuple(replace(mismatch, step=number) for mismatch in mismatches)
        error = f"step {number} ({case.steps[number - 1].name}): {error}" if error else ""
    return Verdict(
        case,
        last.status,
        seen,
        mismatches,
        error=error,
        steps=tuple(done),
        undetermined=doubts[0] if doubts and last.status is Status.PASS else None,
    )
