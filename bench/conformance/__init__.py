"""The whole catalogue: every fault and control, both backends, both clients, both TLS versions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.process import Broken, interleave, mtls_run

__all__ = ["conformance"]

_RUNS = 3
"""It takes long, and varies little."""


@benchmark("conformance")
def conformance(directory: Path, times: int) -> Iterator[Figure]:
    """Two cases at once. The first, untimed round fills the key pool; nginx runs in containers."""
    told = directory / "told.json"
    command = mtls_run(directory, "conformance", "--jobs", "2", "--json", str(told))
    (runs,) = interleave([command], min(times, _RUNS))
    summary = json.loads(told.read_text("utf-8"))["summary"]
    if summary["unexpected"] or summary["broken"] or summary["faults"] < 60:
        raise Broken(f"the catalogue did not pass: {summary}")
    cells = summary["seen"]
    seconds = median(run.seconds for run in runs)
    yield Figure(f"{summary['faults']} faults, {cells} handshakes", seconds, None, "s", "", 60, len(runs))
    yield Figure("each, start and certificates included", 1000 * seconds / cells, None, "ms", "", None, len(runs))
