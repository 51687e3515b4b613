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
    root = Path(__file__).parent.parent.parent
    columns = interleave(
        [
            mtls_run(directory, f"mix-{_MANY}.yaml"),
            mtls_run(directory, f"mix-{_FEW}.yaml"),
            Command([sys.executable, "-m", "bench.cases_2000.bare", str(_MANY)], directory, {"PYTHONPATH": str(root)}),
        ],
        max(3, times // 2),
    )
    many, few, _ = medians(columns)
    bare = median(float(run.output) for run in columns[2])
    runs = len(columns[0])
    yield Figure(
        "2,000 cases, per case", many / _MANY * 1e3, bare / _MANY * 1e3, "ms", "bare ssl handshake + HTTP", 1.3, runs
    )
    yield Figure("2,000 cases, peak memory", median(run.peak for run in columns[0]), None, "MiB", "", 150, runs)
    yield Figure("2,000 cases, per case", many / _MANY * 1e3, few / _FEW * 1e3, "ms", "500 cases, per case", 1.05, runs)
