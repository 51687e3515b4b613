"""Proof that a TLS server answers: a handshake, not a TCP connect (a published container port accepts with nothing behind)."""

from __future__ import annotations

import socket
import ssl
from enum import Enum

from msgspec import Struct

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import Direction
from mtls_runner.tls.openssl_errors import ENDED
from mtls_runner.tls.sockets import CHUNK, RecordingSocket, Transcript, record

__all__ = ["HEAD_REQUEST", "PROXY_PROTOCOL", "Answer", "Greeting", "greet", "knock"]


#: Some servers say nothing of a connection without a request.
HEAD_REQUEST = b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
#: What whoever speaks the PROXY protocol, version 1, wants to hear first.
PROXY_PROTOCOL = b"PROXY TCP4 127.0.0.1 127.0.0.1 65535 443\r\n"


class Answer(Enum):
    """What a server made of a ClientHello."""

    TLS = "a handshake or an alert"
    OTHER = "bytes that are no TLS"
    NOTHING = "no connection, or one that ended without a byte"


class Greeting(Struct, frozen=True):
    """What came of one handshake that offers everything OpenSSL has and checks nothing.

    Args:
        answer: what the server made of it.
        certificate: the leaf that it presented, DER; ``None``: none was seen.
        port: the client's own port; ``None``: it never connected.
    """

    answer: Answer
    certificate: bytes | None = None
    port: int | None = None


def knock(address: Address, deadline: Deadline, first: bytes) -> Answer:
    """One handshake, after some bytes; a refusal by alert is an answer too."""
    return greet(address, deadline, first=first).answer


def greet(
    address: Address, deadline: Deadline, request: bytes = b"", *, first: bytes = b"", name: str | None = None
) -> Greeting:
    """One handshake (for that name), after some bytes, and what it showed; then a request, if there is one, and whatever comes of
    it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    record(context)
    transcript = Transcript()
    port: int | None = None
    try:
        with socket.create_connection((address.host, address.port), max(deadline.remaining(), 0.001)) as plain:
            port = plain.getsockname()[1]
            with context.wrap_socket(plain, do_handshake_on_connect=False, server_hostname=name) as tls:
                # not before: CPython's wrap_socket leaves a socket open that the peer has reset by then
                socket.socket.sendall(tls, first)
                if isinstance(tls, RecordingSocket):
                    tls.transcript = transcript
                answer = _handshake(tls)
                if request and answer is Answer.TLS:
                    _exchange(tls, request, deadline)
    except OSError:
        answer = Answer.NOTHING
    chain = transcript.chain(Direction.RECEIVED)
    return Greeting(answer, chain[0] if chain else None, port)


def _handshake(tls: ssl.SSLSocket) -> Answer:
    try:
        tls.do_handshake()
    except (*ENDED, ssl.SSLSyscallError):
        return Answer.NOTHING
    except ssl.SSLError as error:
        return Answer.OTHER if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"} else Answer.TLS
    except OSError:
        return Answer.NOTHING
    return Answer.TLS


def _exchange(tls: ssl.SSLSocket, request: bytes, deadline: Deadline) -> None:
    """Until the server is done; a refusal is an answer, too."""
    try:
        tls.sendall(request)
        while not deadline.passed and tls.recv(CHUNK):
            pass
    except (OSError, ValueError):
        return
