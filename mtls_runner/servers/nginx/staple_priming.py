"""Makes nginx fetch the OCSP response that it staples, before any case looks.

nginx asks its responder when the first client asks for a stapled response, and that client gets none. Here that client is
the lab: a ClientHello with the ``status_request`` extension (RFC 6066 §8), which Python's ``ssl`` can't send by itself.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import without_warnings
from mtls_runner.model.endpoint import Address, ServerSpec, TlsVersion
from mtls_runner.servers.stubs.ocsp_responder import ResponderStub
from mtls_runner.tls.sockets import limit

__all__ = ["prime", "status_hello"]

_STATUS_REQUEST = bytes.fromhex("0005 0005 01 0000 0000")  # ocsp, no responder ids, no request extensions
_ANSWER_SECONDS = 5.0
_ROUNDS = 4
"""What nginx does with an answer takes it a few rounds of its event loop, and so does each of these connections."""


def status_hello(versions: tuple[TlsVersion, ...]) -> bytes:
    """A ClientHello record for one of these versions that asks for a stapled OCSP response."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with without_warnings():
        context.maximum_version = ssl.TLSVersion.TLSv1_3 if TlsVersion.V1_3 in versions else ssl.TLSVersion.TLSv1_2
    sent = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return _with_extension(sent.read(), _STATUS_REQUEST)


def _with_extension(record: bytes, extension: bytes) -> bytes:
    """The ClientHello record with one more extension at its end (RFC 8446 §4.1.2)."""
    at = 5 + 4 + 2 + 32  # record header, message header, legacy_version, random
    at += 1 + record[at]  # legacy_session_id
    at += 2 + int.from_bytes(record[at : at + 2], "big")  # cipher_suites
    at += 1 + record[at]  # legacy_compression_methods
    extensions = record[at + 2 :] + extension
    body = record[9:at] + len(extensions).to_bytes(2, "big") + extensions
    message = record[5:6] + len(body).to_bytes(3, "big") + body
    return record[:3] + len(message).to_bytes(2, "big") + message


def prime(server: ServerSpec, address: Address, responders: ResponderStub, deadline: Deadline) -> None:
    """Ask for a stapled response, and wait until nginx is done with what its responder answers, if it answers at all."""
    before = responders.answered
    _exchange(address, status_hello(server.tls), deadline.within(_ANSWER_SECONDS))
    if server.stapling is not None and server.stapling.file is None and server.stapling.awaited:
        responders.wait(before + 1, deadline.within(_ANSWER_SECONDS))
    for _ in range(_ROUNDS):
        _exchange(address, b"GET /mtls-run-priming HTTP/1.0\r\n\r\n", deadline.within(_ANSWER_SECONDS), whole=True)


def _exchange(address: Address, data: bytes, deadline: Deadline, *, whole: bool = False) -> None:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address.host, address.port), deadline.remaining()) as sock,
    ):
        sock.sendall(data)
        limit(sock, deadline)
        while sock.recv(4096) and whole:
            limit(sock, deadline)
