"""nginx in a container: with its log against without it, and the first verdict against doing it by hand.

Both need a container engine with the image that ``MTLS_RUN_IMAGE`` names. As a process: the first verdict against the embedded
server's.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.process import Broken, mtls_run
from mtls_runner import load
from mtls_runner.deadlines import Deadline
from mtls_runner.engine.lab import Lab
from mtls_runner.errors import LabError
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.verdict import Status
from mtls_runner.pki.keys import KeyPool
from mtls_runner.servers.container.engine import Engine
from mtls_runner.servers.container.spec import ContainerSpec
from mtls_runner.servers.nginx.ahead import plain

_CASES = 200
_SCENARIO = """\
name: nginx
ca: {subject: CN=Lab Root CA}
leaves:
  server: {subject: CN=localhost}
  client: {subject: CN=client, usage: client}
server: {backend: nginx, certificate: server, trust: [ca]}
cases:
  - {name: good, client: {tool: curl, certificate: client}, expect: accepted}
  - {name: none, client: {tool: curl}, expect: {server-refused: no-certificate}}
"""


def _plan(directory: Path) -> Plan:
    path = directory / "nginx.yaml"
    path.write_text(_SCENARIO)
    return load(path)


def _curl(lab: Lab, case: Case, port: int) -> list[str]:
    """What a person types for a case."""
    command = ["curl", "--silent", "--output", "/dev/null", "--cacert", str(lab.material.bundle(["ca"]))]
    if case.client is not None and case.client.certificate is not None:
        credential = lab.material.credential(case.client.certificate)
        command += ["--cert", str(credential.certificate_path), "--key", str(credential.key_path)]
    return [*command, f"https://localhost:{port}/"]


@benchmark("nginx-cases")
def nginx_cases(directory: Path, times: int) -> Iterator[Figure]:
    """Curl cases on one nginx, each with its log lines and its verdict, and a shell loop of the same curls against it."""
    plan = _plan(directory)
    with Lab(plan, pool=KeyPool()) as lab:
        try:
            for case in plan.cases:
                lab.prepare(case)
            port = lab.server(plan.cases[0].server).address.port
        except LabError as error:
            raise Broken(str(error)) from error
        curls = "; ".join(shlex.join(_curl(lab, case, port)) for case in plan.cases)
        loop = f"i=0; while [ $i -lt {_CASES // len(plan.cases)} ]; do {curls}; i=$((i+1)); done"

        def ours() -> float:
            began = time.perf_counter()
            for number in range(_CASES):
                verdict = lab.run(plan.cases[number % len(plan.cases)])
                if verdict.status is not Status.PASS:
                    raise Broken(f"{verdict.case.id}: {verdict.status} {verdict.error}")
            return time.perf_counter() - began

        def peer() -> float:
            began = time.perf_counter()
            subprocess.run(["sh", "-ec", loop], check=True, timeout=300)
            return time.perf_counter() - began

        ours(), peer()
        rounds = [(ours(), peer()) for _ in range(times)]
    lab_seconds, shell_seconds = (median(column) for column in zip(*rounds, strict=True))
    yield Figure(f"{_CASES} curl cases on nginx", lab_seconds, shell_seconds, "s", "shell loop of curls", 1.3, times)


_BY_HAND = """
container=$(docker run --detach --publish 127.0.0.1::443 --volume "$1:/etc/mtls-run:ro" "$MTLS_RUN_IMAGE" \
    nginx -c /etc/mtls-run/nginx.conf -g 'daemon off;')
trap 'docker rm --force "$container" >/dev/null' EXIT
port=$(docker port "$container" 443/tcp)
shift
until "$@" "https://localhost:${port##*:}/"; do :; done
echo first
"""


@benchmark("nginx-first")
def nginx_first(directory: Path, times: int) -> Iterator[Figure]:
    """From the start of the process to the line of the first verdict; by hand: from ``docker run`` to a curl that succeeds.

    What nobody can do without is shown beside it: the engine makes and starts such a container.
    """
    if "MTLS_RUN_IMAGE" not in os.environ:
        raise Broken("set MTLS_RUN_IMAGE to an nginx image that is here")
    plan = _plan(directory)
    mounted = directory / "mounted"
    mounted.mkdir()
    with Lab(plan, pool=KeyPool()) as lab:
        server = lab.material.credential("server")
        for name, source in (("server.crt", server.chain_path), ("server.key", server.key_path)):
            if source is not None:
                (mounted / name).write_bytes(source.read_bytes())
        (mounted / "client-ca.crt").write_bytes(lab.material.bundle(["ca"]).read_bytes())
        from mtls_runner.servers.nginx.backend import NginxBackend

        (mounted / "nginx.conf").write_text(NginxBackend().configuration(plan.cases[0].server, lab.material))
        *curl, _ = _curl(lab, plan.cases[0], 0)
        by_hand = ["sh", "-c", _BY_HAND, "sh", str(mounted), *curl]
        ours = [*mtls_run(directory, "-k", "good", str(directory / "nginx.yaml")).arguments]
        _until(ours, "accepted"), _until(by_hand, "first")
        engine = Engine.connect()
        spec = plain(engine.image(os.environ["MTLS_RUN_IMAGE"]))
        rounds = [
            (_until(ours, "accepted"), _until(by_hand, "first"), _started(engine, spec)) for _ in range(max(9, times))
        ]
    lab_seconds, hand_seconds, engine_seconds = (median(column) for column in zip(*rounds, strict=True))
    yield Figure("first verdict on nginx", lab_seconds, hand_seconds, "s", "docker run + curl", 1.6, len(rounds))
    yield Figure("first verdict on nginx", lab_seconds, None, "s", "", 1.0, len(rounds))
    yield Figure("a container, made and started", engine_seconds, hand_seconds, "s", "the same", None, len(rounds))


def _started(engine: Engine, spec: ContainerSpec) -> float:
    """What the engine needs, asked as the lab asks it."""
    began = time.perf_counter()
    with engine.run(spec, Deadline.after(60)):
        return time.perf_counter() - began


@benchmark("nginx-process-first")
def nginx_process_first(directory: Path, times: int) -> Iterator[Figure]:
    """From the start of the process to the line of the first verdict: nginx as a process, and the embedded server."""
    _plan(directory)
    ours, embedded = (
        [*mtls_run(directory, *where, "--tool", "python", "-k", "good", str(directory / "nginx.yaml")).arguments]
        for where in (("--runtime", "process"), ("--backend", "python"))
    )
    _until(ours, "accepted"), _until(embedded, "accepted")
    rounds = [(_until(ours, "accepted"), _until(embedded, "accepted")) for _ in range(max(15, times))]
    seconds, peer = (median(column) for column in zip(*rounds, strict=True))
    yield Figure("first verdict on nginx as a process", seconds, peer, "s", "embedded server", 1.15, len(rounds))


def _until(command: list[str], word: str) -> float:
    """Seconds from the start to the first line of output with that word; the command must then end well."""
    began = time.perf_counter()
    seconds = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not seconds and word in line:
                seconds = time.perf_counter() - began
    if process.returncode or not seconds:
        raise Broken(f"{command[0]} ended with {process.returncode}")
    return seconds
