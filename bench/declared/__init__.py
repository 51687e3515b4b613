"""200 cases on HAProxy as a process: each case against the same on the embedded server, both servers running already."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure, benchmark
from bench.mix import scenario
from bench.process import Broken
from mtls_runner import Overrides, Status, load, run
from mtls_runner.model.verdict import CaseFinished

_COUNT = 200


@benchmark("haproxy-case")
def haproxy_case(directory: Path, times: int) -> Iterator[Figure]:
    """From the end of the first case to the end of the last, divided by the cases between; in turns."""
    path = directory / "mix.yaml"
    path.write_text(scenario(_COUNT))
    ours, peer = [], []
    for _ in range(times):
        ours.append(_milliseconds(path, "haproxy"))
        peer.append(_milliseconds(path, "python"))
    name = "a case on HAProxy, Python client"
    yield Figure(name, statistics.median(ours), statistics.median(peer), "ms", "embedded server", 1.3, times)


def _milliseconds(path: Path, backend: str) -> float:
    ends = []
    for event in run([load(path, Overrides(backend=backend))]):
        if isinstance(event, CaseFinished):
            if event.verdict.status is not Status.PASS:
                raise Broken(f"{event.verdict.case.name}: {event.verdict.status}: {event.verdict.skip_reason}")
            ends.append(time.perf_counter())
    return (ends[-1] - ends[0]) / (len(ends) - 1) * 1000
