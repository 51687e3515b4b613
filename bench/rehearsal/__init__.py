"""A year ahead with twenty certificates, each with dates of its own: each date is run just before and just after."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.process import Broken
from mtls_runner import load
from mtls_runner.rehearse.rehearsal import rehearse

_CERTIFICATES = 20


def _scenario() -> str:
    leaves = [f"  c{n}: {{usage: client, not_after: +{15 + 17 * n}d}}" for n in range(_CERTIFICATES - 1)]
    cases = [f"  - {{name: of c{n}, client: c{n}, expect: accepted}}" for n in range(_CERTIFICATES - 1)]
    head = ["ca: {subject: CN=Root, days: 3650}", "leaves:", "  server: {usage: server, not_after: +350d}"]
    return "\n".join((*head, *leaves, "server: {certificate: server, trust: ca}", "cases:", *cases, ""))


@benchmark("rehearsal")
def rehearsal(directory: Path, times: int) -> Iterator[Figure]:
    """Of 20 dates, each with a lab before and one after it; every one has to be told."""
    path = directory / "year.yaml"
    path.write_text(_scenario())
    plan = load(path)
    taken = []
    for _ in range(min(times, 3)):
        began = time.perf_counter()
        found = rehearse(plan, timedelta(days=365), datetime.now(UTC))
        taken.append(time.perf_counter() - began)
        told = [sentence for change in found.changes for sentence in change.sentences]
        if found.broken or len(found.changes) != _CERTIFICATES or len(told) < _CERTIFICATES:
            raise Broken(f"{len(found.changes)} dates, {len(told)} sentences {found.broken}")
    yield Figure("a year, 20 certificates", median(taken), None, "s", "", 60.0, len(taken))
