"""Takes a run's events and keeps its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mtls_runner.conformance.case import CatalogueFile, by_file
from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import CaseFinished, Event, Progress, RunFinished, RunStarted, Verdict

__all__ = ["Collector", "Told"]

Told = Callable[[str, int, int], None]
"""Told about progress: doing what, how many done, of how many."""


class Collector:
    """Implements :class:`mtls_runner.model.port.Reporter`.

    Args:
        told: about progress; ``None``: nobody is.
    """

    def __init__(self, told: Told | None = None) -> None:
        self._told = told
        self._plans: tuple[Plan, ...] = ()
        self._total = 0
        self.verdicts: list[Verdict] = []
        self.end: RunFinished | None = None

    def handle(self, event: Event) -> None:
        """One event."""
        match event:
            case RunStarted():
                self._plans, self._total = event.plans, event.total
            case Progress() if self._told is not None:
                self._told(event.doing, len(self.verdicts), self._total)
            case CaseFinished():
                self.verdicts.append(event.verdict)
                if self._told is not None:
                    self._told(event.verdict.case.server.backend.name, len(self.verdicts), self._total)
            case RunFinished():
                self.end = event

    def close(self) -> None:
        """There is nothing to write."""

    @property
    def groups(self) -> tuple[CatalogueFile, ...]:
        """What is known so far, by file and case."""
        return by_file(self._plans, self.verdicts)

    @property
    def versions(self) -> Mapping[str, str]:
        """Of everything that took part; empty before the end."""
        return self.end.versions if self.end is not None else {}
