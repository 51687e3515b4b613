"""Takes a run's events and keeps its verdicts."""

from __future__ import annotations

from collections.abc import Callable

from mtls_runner.model.verdict import CaseFinished, Event, Progress, RunFinished, Verdict

__all__ = ["Collector", "Told"]

Told = Callable[[str, int], None]
"""Told about progress: doing what, how many cases are done."""


class Collector:
    """Implements :class:`mtls_runner.model.port.Reporter`.

    Args:
        told: about progress; ``None``: nobody is.
    """

    def __init__(self, told: Told | None = None) -> None:
        self._told = told
        self.verdicts: list[Verdict] = []
        self.end: RunFinished | None = None

    def handle(self, event: Event) -> None:
        """One event."""
        match event:
            case Progress() if self._told is not None:
                self._told(event.doing, len(self.verdicts))
            case CaseFinished():
                self.verdicts.append(event.verdict)
                if self._told is not None:
                    self._told("", len(self.verdicts))
            case RunFinished():
                self.end = event

    def close(self) -> None:
        """There is nothing to write."""
