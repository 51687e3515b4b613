"""Verdicts in the files' order, however many jobs made them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import Verdict

__all__ = ["FileOrder"]


class FileOrder:
    """Holds a verdict back until all cases before it have theirs, so that a report looks the same for every ``-j``."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self._plans = {case.id: plan for plan in plans for case in plan.cases}
        self._waiting: dict[str, Verdict] = {}
        self._ids = iter(self._plans)
        self._next = next(self._ids, None)

    def plan(self, verdict: Verdict) -> Plan:
        """The file that the case is from."""
        return self._plans[verdict.case.id]

    def add(self, verdict: Verdict) -> Iterator[Verdict]:
        """Take one in; yield those whose turn it now is."""
        self._waiting[verdict.case.id] = verdict
        while self._next is not None and self._next in self._waiting:
            yield self._waiting.pop(self._next)
            self._next = next(self._ids, None)

    def rest(self) -> Iterator[Verdict]:
        """Those still held back when a run ends early, in order."""
        if self._next is not None:
            for case_id in (self._next, *self._ids):
                if case_id in self._waiting:
                    yield self._waiting.pop(case_id)
            self._next = None
