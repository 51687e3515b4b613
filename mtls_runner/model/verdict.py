"""What the lab says about a case, and what the engine tells reporters: ``RunStarted``, anything else, always ``RunFinished``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from mtls_runner.errors import Span
from mtls_runner.model.case import Case, Plan, Step
from mtls_runner.model.observation import Observation, Reason

__all__ = [
    "WRONG",
    "CaseFinished",
    "CaseStarted",
    "Event",
    "Mismatch",
    "Noted",
    "PlanFinished",
    "PlanStarted",
    "Progress",
    "RunFinished",
    "RunStarted",
    "Status",
    "Undetermined",
    "Verdict",
    "strictly",
]


class Status(StrEnum):
    """What a case, or a step, came to."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    ERROR = "error"
    """The lab itself broke, or nothing that it recognises happened."""
    SKIP = "skip"


WRONG = (Status.FAIL, Status.ERROR)
"""Of a case that did not end well."""


class Mismatch(Struct, frozen=True):
    """One check that failed, as texts for people.

    Args:
        path: what was looked at.
        expected, observed: what was written, and what was seen; ``not observed`` where nothing was.
        span: where it was written.
        step: the number, from 1, of the step that it is about, where its case has several.
        seen: there was something to compare; where there was not, that may only follow from another outcome.
    """

    path: str
    expected: str
    observed: str
    span: Span
    step: int | None = None
    seen: bool = True

    @property
    def told(self) -> str:
        """``status: expected 200, observed 403``; ``client_subject: expected CN=client, not observed``."""
        observed = self.observed if self.observed == "not observed" else f"observed {self.observed}"
        return f"{self.path}: expected {self.expected}, {observed}"


class Undetermined(Struct, frozen=True):
    """An expected reason that the evidence allows, as it allows others.

    Args:
        expected: what the author wrote and the evidence allows.
        others: what the evidence allows besides.
        span: where it was written.
    """

    expected: tuple[Reason, ...]
    others: tuple[Reason, ...]
    span: Span


class Verdict(Struct, frozen=True):
    """What the lab says about a request, or about a step that makes none; and about a case, which is what its steps make it.

    Args:
        case: which.
        status: pass, fail, error, skip; of a case, that of the last step that was done.
        observation: ``None`` when there is nothing to observe; of a case, the last one that there is.
        mismatches: why it failed.
        skip_reason: why it was skipped, or ``""``.
        error: why there is no verdict, or ``""``; the whole text for people, without a traceback.
        duration: seconds, monotonic, without waiting for others.
        steps: of a case, those that were done; after one that did not pass no other is.
        undetermined: what it holds by only as one possibility of several; ``None``: by all that there is.
        step: what it is about; ``None``: the whole case.
        span: the line of the file that is to blame for the error; ``None``: the case itself is shown.
        unusable: why its server did not start, where that is the error; ``None``: it did, or what broke is the lab.
        dated: of a case, the moment that its material was made at, from which relative dates count; aware. ``None``: none was.
    """

    case: Case
    status: Status
    observation: Observation | None = None
    mismatches: tuple[Mismatch, ...] = ()
    skip_reason: str = ""
    error: str = ""
    duration: float = 0.0
    steps: tuple[Verdict, ...] = ()
    undetermined: Undetermined | None = None
    step: Step | None = None
    span: Span | None = None
    unusable: Reason | None = None
    dated: datetime | None = None


def strictly(verdict: Verdict) -> Verdict:
    """As ``--strict`` has it: what was skipped, or holds as undetermined only, has failed."""
    loose = verdict.status is Status.SKIP or (verdict.status is Status.PASS and verdict.undetermined is not None)
    return replace(verdict, status=Status.FAIL) if loose else verdict


class RunStarted(Struct, frozen=True):
    """Before anything runs.

    Args:
        plans, total: what is going to be run, and how many cases that is.
        typed: the options that changed what happens, to be typed again for one of its cases (``--backend nginx``).
    """

    plans: tuple[Plan, ...]
    total: int
    typed: tuple[str, ...] = ()


class PlanStarted(Struct, frozen=True):
    """A file's cases come next."""

    plan: Plan


class Noted(Struct, frozen=True):
    """What a person should know though it stops nothing: an own certificate has expired, nginx warns of its configuration, …"""

    plan: Plan
    text: str


class Progress(Struct, frozen=True):
    """Something that takes time is being done (``making RSA keys``, ``starting nginx``); ``done`` of ``total``, if known."""

    doing: str
    done: int = 0
    total: int = 0


class CaseStarted(Struct, frozen=True):
    """A case begins."""

    case: Case


class CaseFinished(Struct, frozen=True):
    """A case has its verdict."""

    verdict: Verdict


class PlanFinished(Struct, frozen=True):
    """A file is done.

    Args:
        plan: of the file.
        kept: where its material was left (``--keep``).
        known: the plan with the user's own certificates and CRLs as their files are; ``None``: there are none.
    """

    plan: Plan
    kept: Path | None = None
    known: Plan | None = None


class RunFinished(Struct, frozen=True):
    """Always the last one.

    Args:
        counts: how many cases had each status; cases that never ran count nowhere.
        duration: seconds.
        interrupted: by Ctrl-C or SIGTERM.
        error: what broke the run as a whole, or ``""``.
        versions: of everything that took part (``curl`` → ``7.88.1``).
        undetermined: how many cases the evidence fits, and other reasons too.
    """

    counts: Mapping[Status, int]
    duration: float
    interrupted: bool = False
    error: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    undetermined: int = 0


Event = RunStarted | PlanStarted | Noted | Progress | CaseStarted | CaseFinished | PlanFinished | RunFinished
