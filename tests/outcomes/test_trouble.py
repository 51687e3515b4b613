"""Trouble that no scenario file can bring about: misbehaving peers, seen by both clients in the same way.

curl is the oracle for what the Python client says curl would have exited with.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from mtls_runner.clients.curl.client import CurlClient
from mtls_runner.clients.python_ssl import PythonClient
from mtls_runner.deadlines import Deadline
from mtls_runner.model.certificate import BasicConstraints, CertificateSpec, KeySpec, Moment
from mtls_runner.model.endpoint import Address, ClientSpec, ServerSpec, TlsVersion
from mtls_runner.model.observation import ClientView
from mtls_runner.model.port import Client, Material
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.tls.classify import Facts, classify
from tests.named import backend, tool

from . import peers

SERVER = ServerSpec(id="server", backend=backend("external"), certificate=None, passphrase=None)
CLIENT = ClientSpec(tool("python"), trust=("ca",), timeout=5.0)


def _certificate(name: str, issuer: str | None, *, ca: bool) -> CertificateSpec:
    return CertificateSpec(
        id=name,
        authority=ca,
        subject=f"CN={name}",
        issuer=issuer,
        key=KeySpec(),
        passphrase=None,
        not_before=Moment(timedelta(minutes=-5)),
        not_after=Moment(timedelta(days=1)),
        san=None if ca else ("DNS:localhost",),
        basic_constraints=BasicConstraints(ca=ca),
        key_usage=("keyCertSign",) if ca else ("digitalSignature",),
    )


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    certificates = {"ca": _certificate("ca", None, ca=True), "server": _certificate("server", "ca", ca=False)}
    return Store(tmp_path_factory.mktemp("material"), certificates, start=datetime.now(UTC), pool=KeyPool())


@pytest.fixture(scope="module")
def context(material: Material) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    credential = material.credential("server")
    context.load_cert_chain(credential.certificate_path, credential.key_path)
    return context


def probe(client: Client, spec: ClientSpec, address: Address, material: Material) -> tuple[ClientView, str]:
    view = client.probe(spec, address, material, Deadline.after(spec.timeout))
    judgement = classify(Facts(SERVER, spec, view, None))
    return view, judgement.written


@pytest.fixture(params=[PythonClient, CurlClient], ids=["python", "curl"])
def client(request: pytest.FixtureRequest) -> Client:
    made: Client = request.param()
    return made


BEFORE = {
    "closed": (peers.close_at_once, "no-connection: closed", 35),
    "reset": (peers.reset, "no-connection: reset", 35),
    "http": (peers.speak_http, "no-connection: not-tls", 35),
    "protocol_version": (peers.send_alert(2, 70), "no-agreement: protocol-version", 35),
    "handshake_failure": (
        peers.send_alert(2, 40),
        "no-agreement: [protocol-version, cipher, group, signature-algorithm]",
        35,
    ),
    "unrecognized_name": (peers.send_alert(2, 112), "no-agreement: server-name", 35),
    "no_application_protocol": (peers.send_alert(2, 120), "no-agreement: alpn", 35),
}


@pytest.mark.parametrize("version", [TlsVersion.V1_2, TlsVersion.V1_3])
@pytest.mark.parametrize("situation", BEFORE)
def test_before_the_handshake_is_done(situation: str, version: TlsVersion, client: Client, material: Material) -> None:
    behave, outcome, exit_code = BEFORE[situation]
    with peers.peer(behave) as address:
        view, seen = probe(client, replace(CLIENT, tls=(version,)), address, material)
    assert (seen, view.exit_code) == (outcome, exit_code), view


AFTER = {
    "close_notify": (peers.close_politely, "no-connection: closed", 52),
    "no close_notify": (peers.close_rudely, "no-connection: closed", 52),
    "half a response": (peers.half_a_response, "no-connection: closed", 18),
}


@pytest.mark.parametrize("version", [TlsVersion.V1_2, TlsVersion.V1_3])
@pytest.mark.parametrize("situation", AFTER)
def test_after_the_handshake(
    situation: str, version: TlsVersion, client: Client, material: Material, context: ssl.SSLContext
) -> None:
    behave, outcome, exit_code = AFTER[situation]
    with peers.peer(peers.after_handshake(context, behave)) as address:
        view, seen = probe(client, replace(CLIENT, tls=(version,)), address, material)
    assert (seen, view.exit_code) == (outcome, exit_code), view


def test_a_server_that_says_nothing(client: Client, material: Material) -> None:
    with peers.peer(peers.say_nothing) as address:
        view, seen = probe(client, replace(CLIENT, timeout=0.5), address, material)
    assert (seen, view.exit_code) == ("timed-out: handshake", 28), view


def test_a_server_that_does_not_answer(client: Client, material: Material, context: ssl.SSLContext) -> None:
    with peers.peer(peers.after_handshake(context, peers.no_response)) as address:
        view, seen = probe(client, replace(CLIENT, timeout=0.5), address, material)
    assert (seen, view.exit_code) == ("timed-out: response", 28), view


def test_nobody_listens(client: Client, material: Material) -> None:
    with peers.closed_port() as sock:
        view, seen = probe(client, CLIENT, Address("127.0.0.1", sock.getsockname()[1]), material)
    assert (seen, view.exit_code) == ("no-connection: refused", 7), view


def test_a_name_that_cannot_be_resolved(client: Client, material: Material) -> None:
    spec = replace(CLIENT, connect=Address("no-such-host.invalid", 443))
    view, seen = probe(client, spec, Address("127.0.0.1", 1), material)
    assert (seen, view.exit_code) == ("no-connection: name-not-resolved", 6), view


def test_an_alert_that_says_nothing_of_a_certificate(client: Client, material: Material) -> None:
    with peers.peer(peers.send_alert(2, 80)) as address:
        _, seen = probe(client, CLIENT, address, material)
    assert seen == "protocol-error: alert"


def test_the_negative_twin_a_server_that_answers(client: Client, material: Material, context: ssl.SSLContext) -> None:
    def answer(tls: ssl.SSLSocket) -> None:
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        peers.no_response(tls)

    with peers.peer(peers.after_handshake(context, answer)) as address:
        view, seen = probe(client, CLIENT, address, material)
    assert (seen, view.exit_code) == ("accepted", 0), view
