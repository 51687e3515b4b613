"""An endpoint that already runs: nothing is started, and the server's side is not observed."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mtls_runner.clients.python_ssl import PythonClient
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.port import Client
from mtls_runner.pki import Store
from mtls_runner.servers.external import ExternalBackend
from mtls_runner.servers.nginx.running import RunningNginx
from mtls_runner.servers.python import PythonBackend
from mtls_runner.tls.classify import Facts, classify
from tests.named import backend, tool

from .conftest import Lab, MakeServer


def external(address: Address | None) -> ServerSpec:
    return ServerSpec(id="there", backend=backend("external"), certificate=None, passphrase=None, address=address)


Ended = tuple[Outcome | None, Reason | None]
"""How an exchange ended."""


def probe(
    store: Store, address: Address, certificate: str | None, name: str = "python", program: Client | None = None
) -> Ended:
    spec = external(address)
    client = ClientSpec(tool(name), certificate=certificate, trust=("ca",))
    backend = ExternalBackend()
    assert backend.cannot(spec, client) is None
    with backend.serve(spec, store, Deadline.after(10)) as there, there.watch() as watch:
        assert there.address == address
        seen = (program or PythonClient()).probe(client, there.address, store, Deadline.after(10))
        assert watch.view(seen, Deadline.after(10)) is None
    judgement = classify(Facts(spec, client, seen, None))
    return judgement.outcome, judgement.reason


def test_an_nginx_that_runs_already(lab: Lab, running: RunningNginx) -> None:
    assert probe(lab.store, running.address, "good") == (Outcome.ACCEPTED, None)
    assert probe(lab.store, running.address, None) == (Outcome.SERVER_REFUSED, Reason.NO_CERTIFICATE)
    assert probe(lab.store, running.address, "expired") == (Outcome.SERVER_REFUSED, None)  # one of many, to a stranger


Probe = Callable[[Address, str | None], Ended]


@pytest.fixture(scope="module", params=["python", "gnutls", "httpx", "node"])
def probe_by(request: pytest.FixtureRequest, store: Store) -> Iterator[Probe]:
    """One that tells what it sends; one that tells whether it was asked; and ones that tell neither."""
    traits = tool(request.param)
    if (why := traits.missing()) is not None:
        pytest.skip(why)
    with contextlib.closing(traits.make()) as program:
        yield lambda address, certificate: probe(store, address, certificate, request.param, program)


def test_a_server_that_refuses_by_alert(store: Store, make_server: MakeServer, probe_by: Probe) -> None:
    spec = make_server(options=())
    with PythonBackend().serve(spec, store, Deadline.after(10)) as there:
        assert probe_by(there.address, "good") == (Outcome.ACCEPTED, None)
        assert probe_by(there.address, None) == (Outcome.SERVER_REFUSED, Reason.NO_CERTIFICATE)
        refused = probe_by(there.address, "expired")
        assert refused == (Outcome.SERVER_REFUSED, None)  # or its CRL has, or it is not yet valid


def test_nobody_listens(probe_by: Probe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        address = Address("127.0.0.1", bound.getsockname()[1])
    assert probe_by(address, "good") == (Outcome.NO_CONNECTION, Reason.REFUSED)


@pytest.mark.parametrize(
    ("answer", "reason"), [(b"", Reason.CLOSED), (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason.NOT_TLS)]
)
def test_somebody_listens_who_speaks_no_tls(probe_by: Probe, answer: bytes, reason: Reason) -> None:
    with _answers_once(answer) as address:
        assert probe_by(address, "good") == (Outcome.NO_CONNECTION, reason)


def test_an_alert_of_a_certificate_that_was_never_sent_refuses_none(store: Store) -> None:
    """The client has one, and tells that nothing but its ClientHello was sent."""
    with _answers_once(b"\x15\x03\x03\x00\x02\x02\x2a") as address:  # bad_certificate
        assert probe(store, address, "good") == (Outcome.PROTOCOL_ERROR, Reason.ALERT)


@contextlib.contextmanager
def _answers_once(answer: bytes) -> Iterator[Address]:
    """Somebody who says the same to whatever comes first."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(30)

        def serve() -> None:
            end, _ = listener.accept()
            with end, contextlib.suppress(ConnectionResetError):  # by the client, once it has had enough
                end.recv(65536)
                end.sendall(answer)
                end.shutdown(socket.SHUT_WR)
                while end.recv(65536):
                    pass

        served = pool.submit(serve)
        yield Address("127.0.0.1", listener.getsockname()[1])
        served.result(30)


def test_what_can_not_be_asked_of_it(store: Store) -> None:
    backend = ExternalBackend()
    address = Address("127.0.0.1", 1)
    assert backend.versions() == {}
    assert "not started" in (backend.cannot(external(address), None) or "")
    assert "address" in (backend.cannot(external(None), ClientSpec(tool("python"))) or "")
    with pytest.raises(LabError, match="address"), backend.serve(external(None), store, Deadline.after(1)):
        pass
