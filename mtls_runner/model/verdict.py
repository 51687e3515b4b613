"""What the lab says about a case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from mtls_runner.model.case import Case, Step
from mtls_runner.model.observation import Observation, Reason
from mtls_runner.span import Span

__all__ = ["Mismatch", "Status", "StepVerdict", "Undetermined", "Verdict", "strictly"]


class Status(StrEnum):
    """Of a case."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    ERROR = "error"
    """The lab itself broke, or nothing that it recognises happened."""
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One check that failed, as texts for people; ``observed`` is ``not observed`` where nothing was."""

    path: str
    expected: str
    observed: str
    span: Span


@dataclass(frozen=True, slots=True)
class Undetermined:
    """An expected reason that the evidence allows, as it allows others.

    Args:
        expected: what the author wrote and the evidence allows.
        others: what the evidence allows besides.
        span: where it was written.
    """

    expected: tuple[Reason, ...]
    others: tuple[Reason, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class StepVerdict:
    """The result of one step.

    Args:
        step: which.
        status: pass, fail or error; steps after one that did not pass are not done.
        observation: ``None`` where there is nothing to observe.
        mismatches: why it failed.
        error: why there is no verdict, or ``""``.
        duration: seconds, monotonic.
        undetermined: as of :class:`Verdict`.
    """

    step: Step
    status: Status
    observation: Observation | None = None
    mismatches: tuple[Mismatch, ...] = ()
    error: str = ""
    duration: float = 0.0
    undetermined: Undetermined | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one case.

    Args:
        case: which.
        status: pass, fail, error, skip.
        observation: ``None`` when nothing was run.
        mismatches: why it failed.
        skip_reason: why it was skipped, or ``""``.
        error: why there is no verdict, or ``""``; the whole text for people, without a traceback.
        duration: seconds, monotonic, without waiting for others.
        undetermined: what it holds by only as one possibility of several; ``None``: by all that there is.
        steps: of a case with steps, those that were done; ``observation`` and ``mismatches`` are then the last one's.
    """

    case: Case
    status: Status
    observation: Observation | None = None
    mismatches: tuple[Mismatch, ...] = ()
    skip_reason: str = ""
    error: str = ""
    duration: float = 0.0
    steps: tuple[StepVerdict, ...] = ()
    undetermined: Undetermined | None = None


def strictly(verdict: Verdict) -> Verdict:
    """As ``--strict`` has it: what was skipped, or holds as undetermined only, has failed."""
    loose = verdict.status is Status.SKIP or (verdict.status is Status.PASS and verdict.undetermined is not None)
    return replace(verdict, status=Status.FAIL) if loose else verdict
