"""One monotonic deadline that every blocking call takes."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mtls_runner.errors import DeadlineExceeded

__all__ = ["Deadline"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment ``seconds`` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self.at

    def check(self, doing: str) -> None:
        """Raise :class:`DeadlineExceeded` naming ``doing`` when no time is left."""
        if self.passed:
            raise DeadlineExceeded(f"time limit passed while {doing}")

    def within(self, seconds: float) -> Deadline:
        """The earlier of this deadline and ``seconds`` from now."""
        return Deadline(min(self.at, time.monotonic() + seconds))
