"""Whoever else connects: an editor that looks at every port that opens, a scanner. What they do is nobody's evidence."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from msgspec.structs import replace

from mtls_runner.clients.python_ssl import PythonClient
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ClientSpec, ServerSpec
from mtls_runner.model.observation import (
    Alert,
    ClientView,
    Direction,
    HttpResponse,
    Message,
    Outcome,
    Phase,
    Reason,
)
from mtls_runner.servers.nginx.log.attribution import can_be_of
from mtls_runner.servers.nginx.log.lines import LogLine, parse_line, server_view
from mtls_runner.servers.nginx.running import RunningNginx
from mtls_runner.tls.classify import Facts, classify
from tests.named import tool

from .conftest import Lab

GOOD = ClientSpec(tool("python"), certificate="good", trust=("ca",))
NOBODY = ClientSpec(tool("python"), certificate=None, trust=("ca",))
_SECONDS = 5


def asks(address: Address, context: ssl.SSLContext | None) -> None:
    with suppress(OSError), ExitStack() as stack:
        sock = stack.enter_context(socket.create_connection((address.host, address.port), _SECONDS))
        if context is not None:
            sock = stack.enter_context(context.wrap_socket(sock))
        sock.sendall(b"GET /stranger HTTP/1.0\r\n\r\n")
        while sock.recv(4096):
            pass


def by_tls(lab: Lab, address: Address, certificate: str | None = None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        credential = lab.store.credential(certificate)
        context.load_cert_chain(credential.certificate_path, credential.key_path)
    asks(address, context)


def with_a_good_certificate(lab: Lab, address: Address) -> None:
    by_tls(lab, address, "good")


def in_plain_text(lab: Lab, address: Address) -> None:  # noqa: ARG001
    asks(address, None)


def in_silence(lab: Lab, address: Address) -> None:  # noqa: ARG001
    socket.create_connection((address.host, address.port), _SECONDS).close()


STRANGERS = [by_tls, with_a_good_certificate, in_plain_text, in_silence]
Stranger = Callable[[Lab, Address], None]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_who_comes_between_two_connections(
    lab: Lab, running: RunningNginx, spec: ServerSpec, stranger: Stranger
) -> None:
    for _ in range(2):  # one line too many would be everybody's after it
        assert lab.probe(running, spec, GOOD).judgement.outcome is Outcome.ACCEPTED
        stranger(lab, running.address)
        assert lab.probe(running, spec, NOBODY).judgement.reason is Reason.NO_CERTIFICATE
        stranger(lab, running.address)


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize(
    ("client", "outcome", "verify"), [(GOOD, Outcome.ACCEPTED, "SUCCESS"), (NOBODY, Outcome.SERVER_REFUSED, "NONE")]
)
def test_who_comes_while_one_is_watched(
    lab: Lab,
    running: RunningNginx,
    spec: ServerSpec,
    stranger: Stranger,
    client: ClientSpec,
    outcome: Outcome,
    verify: str,
) -> None:
    with running.watch() as watch:
        stranger(lab, running.address)
        seen = PythonClient().probe(client, running.address, lab.store, Deadline.after(10))
        told = watch.view(seen, Deadline.after(10))
    assert told is not None
    assert (classify(Facts(spec, client, seen, told)).outcome, told.client_verify) == (outcome, verify)


def test_what_the_log_lost_is_no_evidence(lab: Lab, running: RunningNginx, spec: ServerSpec) -> None:
    """Nobody knows then whether the server asked for a certificate; the next connection is told of as ever."""
    with running.watch() as watch:
        seen = PythonClient().probe(GOOD, running.address, lab.store, Deadline.after(10))
        lines = iter(lambda: parse_line(running._log.take(Deadline.after(10)) or ""), LogLine(""))
        # What is written late is of those who came before.
        assert any(line.access is not None and (line.connection or 0) > running._state.past for line in lines)
        with pytest.raises(LabError, match="how this connection ended"):
            watch.view(seen, Deadline.after(1))
    assert lab.probe(running, spec, NOBODY).judgement.reason is Reason.NO_CERTIFICATE


def test_who_can_not_be_told_from_others_is_not_connected(lab: Lab, spec: ServerSpec) -> None:
    with lab.serve(spec) as stopped:
        assert lab.probe(stopped, spec, GOOD).judgement.outcome is Outcome.ACCEPTED
        stopped._state.unsettled = True
    with pytest.raises(LabError, match="nginx ended"), stopped.watch():
        pass


def test_an_alert_that_the_client_did_not_send_is_another_ones() -> None:
    line = parse_line(
        "2026/11/24 10:00:00 [info] 7#7: *5 SSL_do_handshake() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown"
        " ca:SSL alert number 48) while SSL handshaking, client: 172.17.0.1, server: 0.0.0.0:443"
    )
    hello = (Message(Direction.SENT, "ClientHello", 512),)
    silent = ClientView("python", "3", Phase.HANDSHAKE, error_symbol="EOF", messages=hello)
    refusing = ClientView(
        "python", "3", Phase.HANDSHAKE, alerts=(Alert(Direction.SENT, "unknown_ca", 48),), messages=hello
    )
    assert can_be_of(refusing, [line])
    assert not can_be_of(silent, [line])


@pytest.mark.parametrize("named", ["CompressedCertificate", "Certificate"])
def test_a_certificate_that_can_not_be_read_was_sent(named: str) -> None:
    """Brotli and Zstandard (RFC 8879 §3): who sent it is no client without a certificate, but which one it is nobody knows."""
    unread = named == "CompressedCertificate"
    client = ClientView(
        "python",
        "3",
        Phase.DONE,
        alerts=(Alert(Direction.RECEIVED, "unknown_ca", 48, fatal=True),),
        messages=(Message(Direction.SENT, named, 700),),
        tls_version="TLSv1.3",
        sent_chain=None if unread else (),
        response=HttpResponse(200),
    )
    access = {"protocol": "TLSv1.3", "request": "GET / HTTP/1.1", "status": "200"}
    anybody = LogLine("", 5, access={**access, "verify": "SUCCESS", "fingerprint": "ab" * 20})
    nobody = LogLine("", 5, access={**access, "verify": "NONE", "fingerprint": ""})
    assert (can_be_of(client, [anybody]), can_be_of(client, [nobody])) == (unread, not unread)
    refused = replace(client, phase=Phase.HANDSHAKE, response=None, certificate_requested=True)
    found = classify(Facts(None, GOOD, refused, None))
    assert (Reason.UNKNOWN_CA in found.reasons, Reason.CERTIFICATE_WITHHELD in found.reasons) == (unread, not unread)


def test_a_handshake_with_an_upstream_is_not_the_clients() -> None:
    line = parse_line(
        "2026/11/24 10:00:00 [error] 7#7: *5 SSL_do_handshake() failed (SSL: error:0A000410:SSL routines::sslv3 alert"
        " handshake failure:SSL alert number 40) while SSL handshaking to upstream, client: 172.17.0.1, server: _"
    )
    view = server_view([line], ClientView("python", "3", Phase.DONE))
    assert not line.ends_connection
    assert (view.error_symbol, view.alerts, view.handshake_complete) == ("", (), None)


def test_a_proxy_header_that_is_none_ends_its_connection() -> None:
    line = parse_line(
        '2026/11/24 10:00:00 [error] 7#7: *5 broken header: "GET" while reading PROXY protocol, client: 127.0.0.1, server: '
        "0.0.0.0:443"
    )
    assert line.ends_connection
