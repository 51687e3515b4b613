"""A thousand requests over one connection, against curl with the same requests on one connection."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.process import Broken
from mtls_runner import load
from mtls_runner.engine.lab import Lab
from mtls_runner.model.verdict import Status
from mtls_runner.pki.keys import KeyPool

_REQUESTS = 1000
_SCENARIO = f"""\
name: one connection
ca: {{subject: CN=Lab Root CA}}
leaves:
  server: {{subject: CN=localhost}}
  client: {{subject: CN=client, usage: client}}
server: {{certificate: server, trust: [ca], backend: nginx, runtime: process}}
cases:
  - name: a thousand requests
    client: client
    steps:
      - expect: accepted
      - {{reuse: true, connect: {{repeat: {_REQUESTS - 1}}}, expect: accepted}}
"""


@benchmark("one-connection")
def one_connection(directory: Path, times: int) -> Iterator[Figure]:
    """To one nginx that runs already; each of our requests is judged by what both ends saw of it."""
    path = directory / "one.yaml"
    path.write_text(_SCENARIO)
    plan = load(path)
    (case,) = plan.cases
    with Lab(plan, pool=KeyPool()) as lab:
        address = lab.server(case.server).address
        assert case.client is not None
        own = lab.material.presented("client", case.client.chain)
        config = directory / "curl.conf"
        trust = lab.material.bundle(["ca"])
        options = [f'cacert = "{trust}"', f'cert = "{own.certificate}"', f'key = "{own.key}"', "http1.1", "silent"]
        options.append(f'connect-to = "localhost:{address.port}:127.0.0.1:{address.port}"')
        asked = [f'url = "https://localhost:{address.port}/"', 'output = "/dev/null"'] * _REQUESTS
        config.write_text("\n".join([*options, *asked]) + "\n")

        def ours() -> float:
            began = time.perf_counter()
            verdict = lab.run(case)
            if verdict.status is not Status.PASS:
                raise Broken(f"{case.id}: {verdict.status} {verdict.error}")
            return time.perf_counter() - began

        def curls() -> float:
            began = time.perf_counter()
            done = subprocess.run(
                ["curl", "--disable", "--config", config, "--write-out", "%{num_connects}"],
                capture_output=True,
                text=True,
                check=True,
            )
            if done.stdout.count("1") != 1:
                raise Broken(f"curl made other than one connection: {done.stdout[:80]}")
            return time.perf_counter() - began

        ours(), curls()
        rounds = [(ours(), curls()) for _ in range(times)]
    mine, peer = (median(column) * 1000 for column in zip(*rounds, strict=True))
    yield Figure("1,000 requests over one connection", mine, peer, "ms", "curl, the same on one connection", 1.2, times)
