"""How long ``mtls-run --help`` takes against an interpreter that does nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure, benchmark
from bench.process import Command, interleave, medians, mtls_run


@benchmark("startup")
def startup(directory: Path, times: int) -> Iterator[Figure]:
    """Both are short, so that more runs are taken."""
    nothing = Command([sys.executable, "-c", "pass"], directory, {})
    runs = max(15, 3 * times)
    ours, peer = medians(interleave([mtls_run(directory, "--help"), nothing], runs))
    yield Figure("mtls-run --help", ours * 1e3, peer * 1e3, "ms", "python -c pass", 2.5, runs)
