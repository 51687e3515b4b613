"""2,000 cases: per case against a bare handshake, memory, and whether time grows in proportion."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.mix import scenario
from bench.process import Command, interleave, medians, mtls_run

_FEW, _MANY = 500, 2000


@benchmark("cases-2000")
def cases_2000(directory: Path, times: int) -> Iterator[Figure]:
    """The lab's share is its whole process, start included; the peer's is its loop alone."""
    for count in (_FEW, _MANY):
        (directory / f"mix-{count}.yaml").write_text(scenario(count))
    bare = [sys.executable, "-m", "bench.cases_2000.bare", str(_MANY)]
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    columns = interleave(
        [
            mtls_run(directory, f"mix-{_MANY}.yaml"),
            mtls_run(directory, f"mix-{_FEW}.yaml"),
            Command([*bare, "good"], directory, environment),
            Command([*bare, "mix"], directory, environment),
        ],
        max(3, times // 2),
    )
    many, few = (seconds * 1e3 / count for seconds, count in zip(medians(columns), (_MANY, _FEW), strict=False))
    exchange, mixed = (median(float(run.output) for run in column) * 1e3 / _MANY for column in columns[2:])
    runs = len(columns[0])
    yield Figure("2,000 cases, per case", many, exchange, "ms", "bare handshake, request, response", 1.3, runs)
    yield Figure("2,000 cases, per case", many, mixed, "ms", "bare handshakes in the same mix", None, runs)
    yield Figure("2,000 cases, per case", many, few, "ms", "500 cases, per case", 1.05, runs)
    yield Figure("2,000 cases, peak memory", median(run.peak for run in columns[0]), None, "MiB", "", 150, runs)
