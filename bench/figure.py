"""What a benchmark gives, and the list of all benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BENCHMARKS", "Benchmark", "Figure", "benchmark"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Args:
        name: what was measured.
        ours, peer: in ``unit``; ``peer`` is ``None`` where the goal is an absolute one.
        unit: ``s``, ``ms``, ``MiB``.
        peer_name: against what.
        goal: the highest ratio (or, without a peer, the highest figure) that is good; ``None``: only shown.
        samples: what the medians were taken of.
    """

    name: str
    ours: float
    peer: float | None
    unit: str
    peer_name: str
    goal: float | None
    samples: int = 1

    @property
    def ratio(self) -> float | None:
        """Ours to the peer's."""
        return None if self.peer is None else self.ours / self.peer

    @property
    def good(self) -> bool:
        """Whether the goal is reached, where there is one."""
        return self.goal is None or (self.ours if self.ratio is None else self.ratio) <= self.goal


Benchmark = Callable[[Path, int], Iterator[Figure]]

#: By name, in the order in which they are registered (and run).
BENCHMARKS: dict[str, Benchmark] = {}


def benchmark(name: str) -> Callable[[Benchmark], Benchmark]:
    """Register a function of an empty directory to work in and the number of runs to take medians of."""

    def register(function: Benchmark) -> Benchmark:
        BENCHMARKS[name] = function
        return function

    return register
