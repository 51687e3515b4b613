"""Several servers in one container: as if each had its own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import ServerUnusable
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.pki import Store
from mtls_runner.servers.container.engine import RUN_LABEL, Engine
from mtls_runner.servers.nginx.backend import NginxBackend
from tests.container_engine import docker_client
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
