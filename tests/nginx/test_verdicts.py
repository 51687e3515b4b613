"""What nginx makes of each client certificate, and that its log says so."""

from __future__ import annotations

import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import pytest

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import ClientSpec, Request, ServerSpec, TlsVersion
from mtls_runner.model.observation import Alert, ClientView, Direction, Outcome, Phase, Reason
from mtls_runner.servers.nginx.running import RunningNginx
from mtls_runner.tls.classify import Facts, classify
from tests.named import tool

from .conftest import Lab, MakeServer

CASES = (
    (None, Reason.NO_CERTIFICATE, None),
    ("foreign", Reason.UNKNOWN_CA, 21),
    ("twin_leaf", Reason.BAD_SIGNATURE, 7),
    ("own", Reason.SELF_SIGNED, 18),
    ("expired", Reason.EXPIRED, 10),
    ("future", Reason.NOT_YET_VALID, 9),
    ("wrong_usage", Reason.WRONG_PURPOSE, 26),
)
VERSIONS = (TlsVersion.V1_2, TlsVersion.V1_3)


def client(certificate: str | None, *versions: TlsVersion, **fields: object) -> ClientSpec:
    return ClientSpec(tool("python"), certificate=certificate, trust=("ca",), tls=versions or VERSIONS, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_certificate_is_accepted(lab: Lab, running: RunningNginx, spec: ServerSpec, version: TlsVersion) -> None:
    seen = lab.probe(running, spec, client("good", version, request=Request(path="/x?y=1")))
    assert seen.status == 200
    assert seen.judgement.outcome is Outcome.ACCEPTED
    assert seen.server is not None
    assert (seen.server.verify_code, seen.server.client_verify) == (0, "SUCCESS")
    assert seen.server.client_subject == "CN=good"
    assert seen.server.tls_version == seen.client.tls_version == version
    assert seen.server.cipher == seen.client.cipher
    assert seen.server.server_name == "localhost"
    assert seen.server.handshake_complete is True
    assert seen.server.refused_status is None
    assert seen.server.request is not None
    assert (seen.server.request.method, seen.server.request.path) == ("GET", "/x?y=1")


def test_a_name_that_nginx_spells_differently_is_told_as_the_lab_tells_it(
    lab: Lab, running: RunningNginx, spec: ServerSpec
) -> None:
    seen = lab.probe(running, spec, client("email"))
    assert seen.server is not None
    assert seen.server.client_subject == "emailAddress=a@b.test,CN=good"


@pytest.mark.parametrize(
    ("certificate", "found"),
    [
        ("twin_leaf", (Outcome.SERVER_REFUSED, Reason.BAD_SIGNATURE)),
        ("foreign", (Outcome.NO_CONNECTION, Reason.CLOSED)),
    ],
)
def test_a_signature_that_nginx_minds_before_it_has_the_rest_of_the_flight(
    certificate: str, found: tuple[Outcome, Reason], lab: Lab, running: RunningNginx, spec: ServerSpec
) -> None:
    """It goes on with certificates that are not good; what OpenSSL has left in its queue of errors ends the handshake all the
    same where it has to wait for more, as of Java, which writes each message by itself.
    """
    own, begun = lab.store.presented(certificate, client(certificate).chain), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    begun.check_hostname, begun.verify_mode = False, ssl.CERT_NONE
    begun.maximum_version = ssl.TLSVersion.TLSv1_2
    begun.load_cert_chain(own.certificate, own.key)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = begun.wrap_bio(incoming, outgoing)
    with running.watch() as watch, socket.create_connection((running.address.host, running.address.port), 5) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock.sendall(outgoing.read())
        while not outgoing.pending:
            incoming.write(sock.recv(1 << 14))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
        flight = outgoing.read()
        end = 5 + int.from_bytes(flight[3:5], "big")
        sock.sendall(flight[:end])
        if certificate == "foreign":  # nothing is minded: it waits
            sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(5)
        assert sock.recv(1) == b""
        seen = ClientView("raw", "1", Phase.HANDSHAKE, error_symbol="EOF", local_port=port)
        server = watch.view(seen, Deadline.after(10))
    judgement = classify(Facts(spec, client(certificate), seen, server))
    assert (judgement.outcome, judgement.reason) == found, server


def test_a_client_that_refuses_is_seen_by_its_alert(lab: Lab, running: RunningNginx, spec: ServerSpec) -> None:
    seen = lab.probe(running, spec, ClientSpec(tool("python"), certificate="good", trust=("other",)))
    assert (seen.judgement.outcome, seen.judgement.reason) == (Outcome.CLIENT_REFUSED, Reason.UNKNOWN_CA)
    assert seen.server is not None
    assert seen.server.alerts == (Alert(Direction.RECEIVED, "unknown_ca", 48),)
    assert seen.server.handshake_complete is False
    assert seen.server.refused_status is None


def test_no_common_version_or_cipher_is_told_by_its_symbol(lab: Lab, make_server: MakeServer) -> None:
    spec = make_server(tls=(TlsVersion.V1_2,), ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    with lab.serve(spec) as running:
        version = lab.probe(running, spec, client("good", TlsVersion.V1_3))
        cipher = lab.probe(running, spec, client("good", TlsVersion.V1_2, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"))
        twin = lab.probe(running, spec, client("good", TlsVersion.V1_2, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert (version.judgement.outcome, version.judgement.reason) == (Outcome.NO_AGREEMENT, Reason.PROTOCOL_VERSION)
    assert version.server is not None
    assert version.server.error_symbol == "UNSUPPORTED_PROTOCOL"
    assert (cipher.judgement.outcome, cipher.judgement.reason) == (Outcome.NO_AGREEMENT, Reason.CIPHER)
    assert cipher.server is not None
    assert cipher.server.error_symbol == "NO_SHARED_CIPHER"
    assert twin.status == 200


def test_tls_1_0_needs_security_level_0_at_both_ends(lab: Lab, make_server: MakeServer) -> None:
    old = (TlsVersion.V1_0, TlsVersion.V1_1)
    for level, outcome in ((0, Outcome.ACCEPTED), (2, Outcome.NO_AGREEMENT)):
        spec = make_server(tls=old, security_level=level)
        with lab.serve(spec) as running:
            seen = lab.probe(running, spec, client("good", *old, security_level=0))
        assert seen.judgement.outcome is outcome


def test_many_clients_at_once_each_get_their_own_line(lab: Lab, running: RunningNginx, spec: ServerSpec) -> None:
    cases = [*CASES, ("good", None, 0)] * 6

    def probe(case: tuple[str | None, Reason | None, int | None]) -> tuple[str | None, int | None, str | None]:
        server = lab.probe(running, spec, client(case[0])).server
        return case[0], server.verify_code if server else -1, server.request.path if server and server.request else None

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(probe, cases))
    assert seen == [(certificate, code, "/") for certificate, _, code in cases]


def test_a_client_that_never_connects_has_no_server_view_and_costs_no_wait(
    lab: Lab, running: RunningNginx, spec: ServerSpec
) -> None:
    seen = lab.probe(running, spec, client("mismatch"))
    assert seen.client.phase is Phase.PREPARE
    assert seen.server is None
    assert lab.probe(running, spec, client("good")).server is not None


def test_versions_are_known_once_a_server_ran(lab: Lab, make_server: MakeServer) -> None:
    with lab.serve(make_server(runtime=None)):
        versions = lab.backend.versions()
    assert lab.backend.versions() == versions
    assert versions["nginx"].count(".") == 2
    assert versions["openssl (nginx)"].split(".")[0] in {"1", "3", "4"}
    assert versions["docker engine"]
