"""What nginx logs nothing about: sometimes there is nothing to say, and else the lab is broken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mtls_runner import Lab, LabError, Overrides, Plan, Status, load
from mtls_runner.clients.python_ssl import PythonClient
from mtls_runner.deadlines import Deadline
from mtls_runner.servers.nginx.log.lines import parse_line
from mtls_runner.servers.nginx.running import RunningNginx

from ..container_engine import IMAGE

pytestmark = pytest.mark.usefixtures("nginx_engine")

_HEAD = "ca: {}\nleaves: {server: {}, good: {usage: client}}\n"
_SERVER = "{backend: nginx, certificate: server, trust: [ca]"


def _plan(directory: Path, text: str, *, tool: str = "python", backend: str | None = None, head: str = _HEAD) -> Plan:
    path = directory / "lab.yaml.scenario.yaml"
    path.write_text(head + text)
    return load(path, Overrides(tool=tool, image=IMAGE, backend=backend))


def test_a_client_that_leaves_an_http_2_server_before_it_asks(tmp_path: Path) -> None:
    cases = (
        "cases:\n  - {name: wrong name, client: {certificate: good, server_name: other.example}, "
        "expect: {client-refused: name-mismatch}}\n  - {name: right name, client: good, expect: accepted}\n"
    )
    for alpn in ("[h2, http/1.1]", "[http/1.1]"):
        told = cases.replace("good, s", f"good, alpn: {alpn}, s")
        plan = _plan(tmp_path, f"server: {_SERVER}, alpn: {alpn}}}\n{told}", tool="curl")
        with Lab(plan) as lab:
            for case in plan.cases:
                verdict = lab.run(case)
                assert verdict.status is Status.PASS, (alpn, case.name, verdict.error, verdict.mismatches)


@pytest.fixture
def listener() -> Iterator[int]:
    """Takes a connection, reads a little and hangs up."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                connection.recv(100)
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("backend", ["python", "nginx"])
def test_a_client_that_connects_elsewhere(tmp_path: Path, listener: int, backend: str) -> None:
    text = (
        f"server: {_SERVER}}}\ncases:\n  - {{name: elsewhere, client: {{certificate: good, connect: '127.0.0.1:{listener}'}}, "
        "expect: no-connection}\n  - {name: here, client: good, expect: accepted}\n"
    )
    plan = _plan(tmp_path, text, backend=backend)
    with Lab(plan) as lab:
        for case in plan.cases:
            verdict = lab.run(case)
            assert verdict.status is Status.PASS, (case.name, verdict.error, verdict.mismatches)


def test_a_lost_line_is_found_out_where_servers_share_a_container(tmp_path: Path) -> None:
    text = (
        f"servers: {{one: {_SERVER}}}, two: {_SERVER}, verify_depth: 1}}}}\ncases:\n"
        "  - {name: one, server: one, client: good, expect: accepted}\n"
        "  - {name: two, server: two, client: good, expect: accepted}\n"
    )
    plan = _plan(tmp_path, text)
    with Lab(plan) as lab:
        assert [lab.run(case).status for case in plan.cases] == [Status.PASS, Status.PASS]
        one, two = (lab.server(case.server) for case in plan.cases)
        assert isinstance(one, RunningNginx)
        assert isinstance(two, RunningNginx)
        assert one._state is two._state  # else they do not share, and this proves nothing
        client = plan.cases[1].client
        assert client is not None
        with two.watch() as watch:
            seen = PythonClient().probe(client, two.address, lab.material, Deadline.after(10))
            while (line := two._log.take(Deadline.after(10))) is not None and parse_line(line).access is None:
                pass
            with pytest.raises(LabError, match="how this connection ended"):
                watch.view(seen, Deadline.after(1))
        assert lab.run(plan.cases[0]).status is Status.PASS


def test_one_names_ocsp_answer_is_not_anothers(tmp_path: Path) -> None:
    text = (
        "responders: {truth: {}, good: {answer: good}}\n"
        f"server: {_SERVER}, ocsp: leaf, ocsp_cache: true, virtual_hosts: {{strict: {{}}, lenient: {{ocsp_responder: good}}}}}}\n"
        "cases:\n  - {name: lenient, client: {certificate: gone, server_name: lenient, insecure: true}, expect: accepted}\n"
        "  - {name: strict, client: {certificate: gone, server_name: strict, insecure: true}, "
        "expect: {server-refused: revoked}}\n"
    )
    gone = _HEAD.replace("good: {usage: client}", "gone: {usage: client, revoked: keyCompromise, ocsp: truth}")
    plan = _plan(tmp_path, text, head=gone)
    with Lab(plan) as lab:
        for case in plan.cases:
            verdict = lab.run(case)
            assert verdict.status is Status.PASS, (case.name, verdict.error, verdict.mismatches)
