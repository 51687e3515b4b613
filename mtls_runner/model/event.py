"""What the engine tells the reporters, in order: ``RunStarted``, anything else, and always ``RunFinished``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mtls_runner.model.case import Case, Plan
from mtls_runner.model.verdict import Status, Verdict

__all__ = [
    "CaseFinished",
    "CaseStarted",
    "Event",
    "Noted",
    "PlanFinished",
    "PlanStarted",
    "Progress",
    "RunFinished",
    "RunStarted",
]


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Before anything runs."""

    plans: tuple[Plan, ...]
    total: int


@dataclass(frozen=True, slots=True)
class PlanStarted:
    """A file's cases come next."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Noted:
    """What a person should know though it stops nothing: an own certificate has expired, nginx warns of its configuration, …"""

    plan: Plan
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Something that takes time is being done (``making RSA keys``, ``starting nginx``); ``done`` of ``total``, if known."""

    doing: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class CaseStarted:
    """A case begins."""

    case: Case


@dataclass(frozen=True, slots=True)
class CaseFinished:
    """A case has its verdict."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class PlanFinished:
    """A file is done; ``kept`` is where its material was left (``--keep``)."""

    plan: Plan
    kept: Path | None = None


@dataclass(frozen=True, slots=True)
class RunFinished:
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
