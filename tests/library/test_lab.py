"""The fixtures for authors of TLS clients, driven as such an author drives them."""

from __future__ import annotations

import http.client
import socket
import ssl
import stat
from pathlib import Path

import pytest

from mtls_runner import DeadlineExceeded, UsageError
from mtls_runner.pytest_plugin import MtlsCase, MtlsLab

CLIENTS = "clients.yaml"


def get(host: str, port: int, context: ssl.SSLContext, name: str = "localhost") -> bytes:
    """A client of the plainest kind."""
    with socket.create_connection((host, port), 10) as plain, context.wrap_socket(plain, server_hostname=name) as tls:
        tls.sendall(b"GET /it HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        parts = []
        while part := tls.recv(4096):
            parts.append(part)
        return b"".join(parts)


def test_called_with_a_scenario_it_serves(mtls_lab: MtlsLab) -> None:
    lab = mtls_lab(CLIENTS)
    assert get(lab.host, lab.port, lab.context("good")).endswith(b"hello")
    assert lab.last.accepted
    assert lab.last.refused_because is None
    assert lab.last.client_subject == "CN=good"
    assert lab.last.request is not None
    assert (lab.last.request.path, lab.last.server_name) == ("/it", "localhost")
    assert lab.url == f"https://localhost:{lab.port}/"


@pytest.mark.mtls_scenario(CLIENTS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("leaf", "reason"), [(None, "no-certificate"), ("expired", "expired"), ("foreign", "self-signed")]
)
def test_the_server_says_whom_it_refused_and_why(
    mtls_lab: MtlsLab, leaf: str | None, reason: str, version: ssl.TLSVersion
) -> None:
    context = mtls_lab.context(leaf)
    context.minimum_version = context.maximum_version = version
    with pytest.raises(OSError):  # noqa: PT011 - TLS 1.3: an alert, or a reset, by luck
        get(mtls_lab.host, mtls_lab.port, context)
    assert mtls_lab.last.outcome == "server-refused"
    assert mtls_lab.last.refused_because == reason
    assert mtls_lab.last.alert_from == "server"
    assert not mtls_lab.last.accepted
    assert len(mtls_lab.connections()) == 1


@pytest.mark.mtls_scenario(CLIENTS)
def test_a_client_that_refuses_is_told_by_its_alert(mtls_lab: MtlsLab) -> None:
    stranger = ssl.create_default_context(cafile=mtls_lab.client("foreign").certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        get(mtls_lab.host, mtls_lab.port, stranger)
    assert (mtls_lab.last.outcome, mtls_lab.last.alert) == ("client-refused", "unknown_ca")
    assert mtls_lab.last.refused_by_client_because is None
    assert {"unknown-ca", "self-signed", "path-length"} <= set(mtls_lab.last.reasons)
    assert "expired" not in mtls_lab.last.reasons
    assert mtls_lab.last.refused_because is None
    with pytest.raises(ssl.SSLCertVerificationError):
        get(mtls_lab.host, mtls_lab.port, mtls_lab.context("good"), name="example.test")
    assert (mtls_lab.last.outcome, mtls_lab.last.reason) == ("client-refused", None)
    assert "name-mismatch" in mtls_lab.last.reasons
    assert len(mtls_lab.connections()) == 2


@pytest.mark.mtls_scenario(CLIENTS)
def test_no_version_in_common_and_no_tls_at_all(mtls_lab: MtlsLab) -> None:
    context = mtls_lab.context("good")
    context.set_ciphers("AES128-SHA256:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        get(mtls_lab.host, mtls_lab.port, context)
    assert mtls_lab.last.outcome == "no-agreement"
    assert "cipher" in mtls_lab.last.reasons
    with socket.create_connection((mtls_lab.host, mtls_lab.port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        plain.recv(100)
    assert (mtls_lab.last.outcome, mtls_lab.last.reason) == ("no-connection", "not-tls")
    with socket.create_connection((mtls_lab.host, mtls_lab.port), 10) as plain:
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(100):  # until the server, having accepted it, is done with it
            pass
    assert (mtls_lab.last.outcome, mtls_lab.last.reason, mtls_lab.last.alert) == ("no-connection", "closed", None)
    assert len(mtls_lab.connections()) == 3


@pytest.mark.mtls_scenario(CLIENTS)
def test_a_key_with_a_passphrase_is_there_in_both_forms(mtls_lab: MtlsLab) -> None:
    client = mtls_lab.client("sealed")
    assert client.passphrase is not None
    assert b"ENCRYPTED" in Path(client.encrypted_key).read_bytes()
    assert b"ENCRYPTED" not in Path(client.key).read_bytes()
    for path in (client.key, client.encrypted_key, client.pem):
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    for arguments in (client.paths, (client.pem,), (client.certificate, client.encrypted_key, "correct horse")):
        context = ssl.create_default_context(cafile=mtls_lab.trust)
        context.load_cert_chain(*arguments)
        get(mtls_lab.host, mtls_lab.port, context)
        assert mtls_lab.last.client_subject == "CN=sealed"
    get(mtls_lab.host, mtls_lab.port, client.context())
    assert len(mtls_lab.connections()) == 4
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(client.certificate, client.encrypted_key, "wrong")
    plain = mtls_lab.client("good")
    assert (plain.key, plain.passphrase) == (plain.encrypted_key, None)
    assert "correct horse" not in repr(client)


def test_connections_of_earlier_tests_are_not_seen(mtls_lab: MtlsLab) -> None:
    first = mtls_lab(CLIENTS)
    get(first.host, first.port, first.context("good"))
    again = mtls_lab(CLIENTS)
    assert again.port == first.port
    with pytest.raises(DeadlineExceeded, match="no connection reached server 'server'"):
        again.connections(within=0.01)
    assert first.last.accepted


def test_without_a_scenario_it_says_what_to_do(mtls_lab: MtlsLab) -> None:
    with pytest.raises(UsageError, match=r"call it.*or mark the test"):
        _ = mtls_lab.url
    with pytest.raises(UsageError, match=r"no scenario 'nowhere\.yaml' beside test_lab\.py"):
        mtls_lab("nowhere.yaml")
    with pytest.raises(UsageError, match="no authority or leaf 'goof': one of ca, server, good"):
        mtls_lab(CLIENTS).client("goof")
    with pytest.raises(UsageError, match="there is no server 'other': one of server"):
        mtls_lab(CLIENTS, server="other")


def test_scenarios_are_found_above_the_test_too(mtls_lab: MtlsLab) -> None:
    lab = mtls_lab("scenarios/wrong-certificates.yaml")
    with pytest.raises(OSError):  # noqa: PT011
        get(lab.host, lab.port, lab.context("for-servers"))
    assert lab.last.refused_because == "wrong-purpose"


@pytest.mark.mtls_scenario(CLIENTS)
def test_every_case_with_a_client_of_ones_own(mtls_case: MtlsCase) -> None:
    try:
        get(mtls_case.lab.host, mtls_case.lab.port, mtls_case.context(), mtls_case.server_name)
        answered = True
    except OSError:
        answered = False
    assert answered == mtls_case.accepted
    mtls_case.check()


@pytest.mark.mtls_scenario("clients.yaml", "scenarios/basic.yaml")
def test_once_for_each_scenario(mtls_lab: MtlsLab) -> None:
    with pytest.raises(OSError):  # noqa: PT011
        get(mtls_lab.host, mtls_lab.port, mtls_lab.context())
    assert mtls_lab.last.refused_because == "no-certificate"


def ask_in_turns(lab: MtlsLab) -> None:
    """One client's connection stays, another one comes and goes, and the first one asks again; then who was last is known."""
    staying = http.client.HTTPSConnection(lab.host, lab.port, context=lab.context("good"), timeout=10)
    staying.request("GET", "/one")
    assert staying.getresponse().read() == b"hello"
    leaving = http.client.HTTPSConnection(lab.host, lab.port, context=lab.context("sealed"), timeout=10)
    leaving.request("GET", "/other")
    assert leaving.getresponse().read() == b"hello"
    leaving.close()
    assert lab.last.client_subject == "CN=sealed"
    staying.request("GET", "/two")
    assert staying.getresponse().read() == b"hello"
    for _ in range(2):  # kept alive, then closed
        assert lab.last.client_subject == "CN=good"
        assert [one.request.path for one in lab.connections() if one.request is not None] == ["/two", "/other"]
        staying.close()


@pytest.mark.mtls_scenario(CLIENTS)
def test_who_asked_last_is_last(mtls_lab: MtlsLab) -> None:
    ask_in_turns(mtls_lab)


@pytest.mark.mtls_scenario("declared.yaml")
def test_a_connection_that_is_kept_is_one_where_a_log_tells_of_requests(mtls_lab: MtlsLab) -> None:
    ask_in_turns(mtls_lab)
    get(mtls_lab.host, mtls_lab.port, mtls_lab.context("good"))
    assert [one.client_subject for one in mtls_lab.connections()] == ["CN=good", "CN=sealed", "CN=good"]


@pytest.mark.mtls_scenario(CLIENTS)
def test_what_an_assertion_shows_of_a_connection(mtls_lab: MtlsLab) -> None:
    get(mtls_lab.host, mtls_lab.port, mtls_lab.context("good"))
    assert repr(mtls_lab.last) == "<connection: accepted, CN=good, TLSv1.3, GET /it>"
    with pytest.raises(OSError):  # noqa: PT011
        get(mtls_lab.host, mtls_lab.port, mtls_lab.context("expired"))
    assert repr(mtls_lab.last) == (
        "<connection: server-refused: expired (alert certificate_expired from the server); the server says: "
        "CERTIFICATE_VERIFY_FAILED, CN=good, TLSv1.3>"
    )
