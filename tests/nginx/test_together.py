"""Several servers in one container: as if each had its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from mtls_runner import Overrides, Status, load
from mtls_runner.deadlines import Deadline
from mtls_runner.engine.lab import Lab as EngineLab
from mtls_runner.errors import ServerUnusable
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.pki import Store
from mtls_runner.servers.container.engine import RUN_LABEL, Engine
from mtls_runner.servers.nginx.backend import NginxBackend
from tests.container_engine import IMAGE, docker_client
from tests.named import tool

from .conftest import Lab, MakeServer


def containers(backend: NginxBackend) -> int:
    """How many of the backend's run are there."""
    engine: Engine = backend._connected()
    with docker_client() as client:
        return len(client.containers(all=True, filters={"label": f"{RUN_LABEL}={engine.run_id}"}))


@pytest.fixture
def backend(engine: Engine) -> NginxBackend:  # noqa: ARG001 - skips without one
    return NginxBackend()


def test_servers_that_were_expected_share_a_container_and_keep_their_settings(
    backend: NginxBackend, lab: Lab, make_server: MakeServer, store: Store
) -> None:
    strict, optional, other = (
        make_server(runtime=None, id="strict"),
        make_server(runtime=None, id="optional", client_auth=ClientAuth.OPTIONAL),
        make_server(runtime=None, id="other", trust=("other",)),
    )
    backend.expect((strict, optional, other))
    with ExitStack() as stack:
        running = {
            spec.id: stack.enter_context(backend.serve(spec, store, Deadline.after(60)))
            for spec in (other, strict, optional)
        }
        assert containers(backend) == 1
        assert len({server.address.port for server in running.values()}) == 3

        def judged(spec: ServerSpec, certificate: str | None) -> tuple[Outcome | None, Reason | None, str | None]:
            seen = lab.probe(running[spec.id], spec, ClientSpec(tool("python"), certificate=certificate, trust=("ca",)))
            assert seen.server is not None
            return seen.judgement.outcome, seen.judgement.reason, seen.server.client_verify

        # In turns, so that each has the others' lines before its own in the one log.
        for _ in range(2):
            assert judged(strict, "good") == (Outcome.ACCEPTED, None, "SUCCESS")
            assert judged(optional, None) == (Outcome.ACCEPTED, None, "NONE")
            assert judged(strict, None) == (Outcome.SERVER_REFUSED, Reason.NO_CERTIFICATE, "NONE")
            assert judged(other, "foreign") == (Outcome.ACCEPTED, None, "SUCCESS")
            assert judged(other, "good")[:2] == (Outcome.SERVER_REFUSED, Reason.UNKNOWN_CA)
    assert containers(backend) == 0


LISTENS = """\
server {{ listen 8443 ssl; {0} return 200 one; }}
server {{ listen 8444 ssl; ssl_verify_client on; ssl_client_certificate /c/ca.crt; {0} return 200 two; }}
server {{ listen 8445 ssl; {0} return 200 three; }}
"""
CASES = """\
ca: {}
leaves: {server: {}, client: {usage: client}}
servers:
  one:
    backend: nginx
    config: own.conf
    client_auth: none
    port: 8443
    files: {/c/s.crt: server.certificate, /c/s.key: server.key, /c/ca.crt: ca.certificate}
    certificate: server
  two: {like: one, port: 8444, client_auth: required}
  three: {like: one, port: PORT}
cases:
  - {name: one, server: one, expect: {outcome: accepted, body: one}}
  - {name: two, server: two, client: client, expect: {outcome: accepted, body: two, client_subject: CN=client}}
  - {name: nobody, server: two, expect: {server-refused: no-certificate}}
  - {name: three, server: three, expect: {outcome: accepted, body: three}}
"""


@pytest.mark.parametrize(("port", "shared", "held"), [(8445, 1, 4), (8446, 3, 3)])
@pytest.mark.usefixtures("engine")
def test_several_listens_of_one_configuration_share_an_nginx(port: int, shared: int, held: int, tmp_path: Path) -> None:
    """Where nothing listens on one of the ports, each server is started by itself, and only that one does not start."""
    (tmp_path / "own.conf").write_text(LISTENS.format("ssl_certificate /c/s.crt; ssl_certificate_key /c/s.key;"))
    (tmp_path / "own.yaml").write_text(CASES.replace("PORT", str(port)))
    plan = load(tmp_path / "own.yaml", Overrides(image=IMAGE))
    with EngineLab(plan) as lab:
        verdicts = [lab.run(case) for case in plan.cases]
        engine = cast(NginxBackend, lab.servers.backend(plan.cases[0].server.backend))
        assert containers(engine) == shared - (held < 4)  # the one that did not start is gone
    assert [verdict.status for verdict in verdicts].count(Status.PASS) == held, verdicts
    assert held == 4 or "nothing listens on port 8446" in verdicts[3].error


def test_servers_that_nobody_spoke_of_have_a_container_each(
    backend: NginxBackend, make_server: MakeServer, store: Store
) -> None:
    with ExitStack() as stack:
        for spec in (make_server(runtime=None, id="one"), make_server(runtime=None, id="two")):
            stack.enter_context(backend.serve(spec, store, Deadline.after(60)))
        assert containers(backend) == 2


def test_one_that_cannot_start_takes_no_other_with_it(
    backend: NginxBackend, lab: Lab, make_server: MakeServer, store: Store
) -> None:
    good, bad = make_server(runtime=None, id="good"), make_server(runtime=None, id="bad", certificate="mismatch")
    backend.expect((good, bad))
    with backend.serve(good, store, Deadline.after(60)) as running:
        seen = lab.probe(running, good, ClientSpec(tool("python"), certificate="good", trust=("ca",)))
        assert seen.judgement.outcome is Outcome.ACCEPTED
        with pytest.raises(ServerUnusable) as told, backend.serve(bad, store, Deadline.after(60)):
            pytest.fail("a server started with another certificate's key")
        assert told.value.reason == Reason.KEY_MISMATCH
    assert containers(backend) == 0
