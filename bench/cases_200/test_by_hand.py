"""The peer: what a careful person would write without the lab. Not a test of this project."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from dataclasses import dataclass

import pytest
import trustme

from bench.mix import mix

_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_ALERTS = {
    ("none", "TLSv1.2"): "SSLV3_ALERT_HANDSHAKE_FAILURE",
    ("none", "TLSv1.3"): "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    ("foreign", "TLSv1.2"): "TLSV1_ALERT_UNKNOWN_CA",
    ("foreign", "TLSv1.3"): "TLSV1_ALERT_UNKNOWN_CA",
}
_REASONS = {"none": "PEER_DID_NOT_RETURN_A_CERTIFICATE", "foreign": "CERTIFICATE_VERIFY_FAILED"}


@dataclass
class Pki:
    ca: trustme.CA
    server: trustme.LeafCert
    clients: dict[str, trustme.LeafCert]


@pytest.fixture(scope="session")
def pki() -> Pki:
    ca, foreign = trustme.CA(), trustme.CA()
    clients = {"good": ca.issue_cert("client@lab.test"), "foreign": foreign.issue_cert("client@lab.test")}
    return Pki(ca, ca.issue_cert("localhost"), clients)


def serve(listener: socket.socket, context: ssl.SSLContext, errors: list[ssl.SSLError]) -> None:
    sock, _ = listener.accept()
    sock.settimeout(10)
    with context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as tls:
        try:
            tls.do_handshake()
            request = b""
            while b"\r\n\r\n" not in request:
                request += tls.recv(65536)
            tls.sendall(_RESPONSE)
        except ssl.SSLError as error:
            errors.append(error)
            # So that the alert arrives: say that nothing more comes, read what is left, then close.
            socket.socket.shutdown(tls, socket.SHUT_WR)
            while socket.socket.recv(tls, 65536):
                pass


def fetch(address: tuple[str, int], context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(address, 10) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        response = b""
        while data := tls.recv(65536):
            response += data
        return response


@pytest.mark.parametrize(("kind", "version"), mix(int(os.environ["CASES"])))
def test_case(kind: str, version: str, pki: Pki) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.minimum_version = client.maximum_version = _VERSIONS[version]
    server.verify_mode = ssl.CERT_REQUIRED
    pki.server.configure_cert(server)
    pki.ca.configure_trust(server)
    pki.ca.configure_trust(client)
    if kind != "none":
        pki.clients[kind].configure_cert(client)
    errors: list[ssl.SSLError] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve, args=(listener, server, errors))
        thread.start()
        try:
            if kind == "good":
                assert fetch(listener.getsockname(), client) == _RESPONSE
            else:
                with pytest.raises(ssl.SSLError) as refused:
                    fetch(listener.getsockname(), client)
                assert refused.value.reason == _ALERTS[kind, version]
        finally:
            thread.join(10)
    assert [error.reason for error in errors] == ([] if kind == "good" else [_REASONS[kind]])
