"""Cases with five steps against their five connections alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.process import Broken
from mtls_runner import load
from mtls_runner.engine.lab import Lab
from mtls_runner.model.case import Case
from mtls_runner.model.verdict import Status
from mtls_runner.pki.keys import KeyPool

_CASES = 100
_SCENARIO = """\
name: steps
ca: {subject: CN=Lab Root CA}
leaves:
  server: {subject: CN=localhost}
  client: {subject: CN=client, usage: client}
server: {certificate: server, trust: [ca]}
cases:
  - name: five steps
    client: client
    steps:
      - expect: accepted
      - expect: accepted
      - {connect: {tls: TLSv1.2}, expect: accepted}
      - {connect: {certificate: null}, expect: {server-refused: no-certificate}}
      - {connect: {tls: TLSv1.2, certificate: null}, expect: {server-refused: no-certificate}}
  - {name: one, client: client, expect: accepted}
  - {name: two, client: client, expect: accepted}
  - {name: three, client: {certificate: client, tls: TLSv1.2}, expect: accepted}
  - {name: four, client: {}, expect: {server-refused: no-certificate}}
  - {name: five, client: {tls: TLSv1.2}, expect: {server-refused: no-certificate}}
"""


@benchmark("steps")
def steps(directory: Path, times: int) -> Iterator[Figure]:
    """Both on one server that runs already, by one client."""
    path = directory / "steps.yaml"
    path.write_text(_SCENARIO)
    plan = load(path)
    together, *alone = plan.cases
    with Lab(plan, pool=KeyPool()) as lab:

        def timed(cases: list[Case]) -> float:
            began = time.perf_counter()
            for _ in range(_CASES):
                for case in cases:
                    verdict = lab.run(case)
                    if verdict.status is not Status.PASS:
                        raise Broken(f"{case.id}: {verdict.status} {verdict.error}")
            return time.perf_counter() - began

        timed([together]), timed(alone)
        rounds = [(timed([together]), timed(alone)) for _ in range(times)]
    ours, peer = (median(column) * 1000 / _CASES for column in zip(*rounds, strict=True))
    yield Figure("a case of five steps", ours, peer, "ms", "its five connections alone", 1.3, times)
