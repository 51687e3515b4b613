"""A TLS server for one exchange, written with Python's ``ssl`` alone: what it saw is beside what curl says."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mtls_runner.model.certificate import Credential
from mtls_runner.model.endpoint import Address

from ..outcomes.peers import peer

GREETING = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Lab: yes\r\n\r\nhello"


@dataclass
class Seen:
    """What the peer saw."""

    request: bytes = b""
    server_name: str | None = None
    certificate: bytes | None = None
    ports: list[int] = field(default_factory=list)
    error: str = ""


def context(credential: Credential, **settings: ssl.TLSVersion) -> ssl.SSLContext:
    """Without client certificates; ``minimum_version`` and ``maximum_version`` as given."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, value in settings.items():
        setattr(made, name, value)
    passphrase = credential.passphrase.reveal() if credential.passphrase else ""
    made.load_cert_chain(credential.chain_path, credential.key_path, passphrase)
    return made


@contextmanager
def tls_peer(context: ssl.SSLContext, answer: bytes = GREETING, connections: int = 1) -> Iterator[tuple[Address, Seen]]:
    """Serve; a refusal arrives as the alert that it is, since the peer reads to the end before it closes."""
    seen = Seen()

    def note_name(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        seen.server_name = name

    context.sni_callback = note_name

    def behave(sock: socket.socket) -> None:
        seen.ports.append(sock.getpeername()[1])
        tls = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        with tls:
            try:
                tls.do_handshake()
                seen.certificate = tls.getpeercert(binary_form=True)
                seen.request = _request(tls)
                tls.sendall(answer)
                tls.unwrap()
            except ssl.SSLError as error:
                seen.error = error.reason or str(error)
                socket.socket.shutdown(tls, socket.SHUT_WR)
                while socket.socket.recv(tls, 65536):
                    pass

    with peer(behave, connections) as address:
        yield address, seen


def _request(tls: ssl.SSLSocket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (more := tls.recv(65536)):
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(v) for k, _, v in (h.partition(b":") for h in head.split(b"\r\n")) if k.lower() == b"content-length"), 0
    )
    while len(body) < length and (more := tls.recv(65536)):
        body += more
    return head + b"\r\n\r\n" + body
