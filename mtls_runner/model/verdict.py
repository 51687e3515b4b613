"""What the lab says about a case."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mtls_runner.model.case import Case, Step
from mtls_runner.model.observation import Observation
from mtls_runner.span import Span

__all__ = ["Mismatch", "Status", "StepVerdict", "Verdict"]


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
class StepVerdict:
    """The result of one step.

    Args:
        step: which.
        status: pass, fail or error; steps after one that did not pass are not done.
        observation: ``None`` where there is nothing to observe.
        mismatches: why it failed.
        error: why there is no verdict, or ``""``.
        duration: seconds, monotonic.
    """

    step: Step
    status: Status
    observation: Observation | None = None
    mismatches: tuple[Mismatch, ...] = ()
    error: str = ""
    duration: float = 0.0


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
