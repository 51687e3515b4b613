"""How a client can misbehave towards a server that demands no certificate: name → what it does, and what the server says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable

from .wire import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, record

__all__ = ["CLIENTS", "connect"]

Client = Callable[[int], None]

_RECORD, _HANDSHAKE, _ALERT = "protocol-error: record", "protocol-error: handshake", "protocol-error: alert"
_CLOSED, _RESET, _NOT_TLS, _ACCEPTED = (
    "no-connection: closed",
    "no-connection: reset",
    "no-connection: not-tls",
    "accepted",
)
_LATE = "timed-out: handshake"
_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


#: How long a client waits for the server, in seconds: no server here takes it.
PATIENCE = 30.0


def connect(port: int) -> socket.socket:
    """With that time limit."""
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _hello() -> bytes:
    """A ClientHello."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        _context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    return out.read()


def _until_closed(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while socket.socket.recv(sock, 65536):
            pass


def _say(data: bytes) -> Client:
    """And wait for the server to close."""

    def run(port: int) -> None:
        with connect(port) as sock:
            sock.sendall(data)
            _until_closed(sock)

    return run


def _say_and_close(data: bytes) -> Client:
    def run(port: int) -> None:
        with connect(port) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            _until_closed(sock)

    return run


def _say_and_reset(data: bytes) -> Client:
    def run(port: int) -> None:
        with connect(port) as sock:
            sock.sendall(data)
            sock.recv(1)  # the server has read it
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return run


def _forever(first: bytes, data: bytes) -> Client:
    """As fast as it goes, until the server is gone."""

    def run(port: int) -> None:
        with connect(port) as sock, contextlib.suppress(OSError):
            sock.sendall(first)
            while True:
                sock.sendall(data)

    return run


def _drip(data: bytes) -> Client:
    """A byte every 50 ms."""

    def run(port: int) -> None:
        with connect(port) as sock, contextlib.suppress(OSError):
            sock.settimeout(0.05)
            for byte in data:
                sock.sendall(bytes((byte,)))
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(65536):
                        return

    return run


def _tls(act: Callable[[ssl.SSLSocket], None]) -> Client:
    def run(port: int) -> None:
        with (
            connect(port) as sock,
            _context().wrap_socket(sock, server_hostname="localhost") as tls,
            contextlib.suppress(OSError),
        ):
            act(tls)
            _until_closed(tls)

    return run


def _ask(data: bytes) -> Client:
    return _tls(lambda tls: tls.sendall(data))


def _ask_forever(first: bytes, data: bytes) -> Client:
    def act(tls: ssl.SSLSocket) -> None:
        tls.sendall(first)
        while True:
            tls.sendall(data)

    return _tls(act)


def _ask_in_drips(data: bytes) -> Client:
    def act(tls: ssl.SSLSocket) -> None:
        tls.settimeout(0.05)
        while True:
            tls.sendall(data)
            with contextlib.suppress(TimeoutError):
                if not tls.recv(65536):
                    return

    return _tls(act)


def _raw(data: bytes) -> Client:
    """Amid the connection, unprotected."""
    return _tls(lambda tls: socket.socket.sendall(tls, data))


def _reset_after_handshake(tls: ssl.SSLSocket) -> None:
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    tls.close()


def _never_read(port: int) -> None:
    """Asks for the large answer again and again, and reads nothing."""
    with (
        connect(port) as sock,
        _context().wrap_socket(sock, server_hostname="localhost") as tls,
        contextlib.suppress(OSError),
    ):
        while True:
            tls.sendall((_HEAD.replace(b" / ", b" /large ") + b"\r\n") * 50)


CLIENTS: dict[str, tuple[Client, str]] = {
    "connects and closes": (_say_and_close(b""), _CLOSED),
    "connects and says nothing": (_say(b""), _LATE),
    "plain HTTP": (_say(b"GET / HTTP/1.0\r\n\r\n"), _NOT_TLS),
    "an HTTP proxy's CONNECT": (_say(b"CONNECT localhost:443 HTTP/1.1\r\n\r\n"), _NOT_TLS),
    "an SSH banner": (_say(b"SSH-2.0-OpenSSH_9.2p1\r\n"), _NOT_TLS),
    "zeros without end": (_forever(b"", bytes(4096)), _NOT_TLS),
    "half a ClientHello": (_say_and_close(_hello()[:100]), _CLOSED),
    "half a ClientHello, then silence": (_say(_hello()[:100]), _LATE),
    "a ClientHello in drips": (_drip(_hello()[:-1]), _LATE),
    "a ClientHello, then silence": (_say(_hello()), _LATE),
    "a ClientHello, then FIN": (_say_and_close(_hello()), _CLOSED),
    "a ClientHello, then close_notify": (_say(_hello() + record(ALERT, b"\x01\x00")), _CLOSED),
    "a ClientHello, then RST": (_say_and_reset(_hello()), _RESET),
    "a ClientHello of zeros": (_say(record(HANDSHAKE, b"\x01\x00\x00\x40" + bytes(64))), _HANDSHAKE),
    "a ServerHello": (_say(record(HANDSHAKE, b"\x02\x00\x00\x40" + bytes(64))), _HANDSHAKE),
    "a ClientHello of 16 MB": (
        _forever(record(HANDSHAKE, b"\x01\xff\xff\xff" + bytes(100)), record(HANDSHAKE, bytes(1000))),
        _HANDSHAKE,
    ),
    "a fatal alert after the ClientHello": (_say(_hello() + record(ALERT, b"\x02\x50")), _ALERT),
    "an unknown alert after the ClientHello": (_say(_hello() + record(ALERT, b"\x02\xc8")), _ALERT),
    "two ClientHellos": (_say(_hello() + _hello()), _RECORD),
    "a record that is too large": (_say(record(HANDSHAKE, bytes(40000))), _RECORD),
    "an unknown content type": (_say(record(99, bytes(64))), _HANDSHAKE),
    "a fatal alert first": (_say(record(ALERT, b"\x02\x50")), _HANDSHAKE),
    "an unknown alert first": (_say(record(ALERT, b"\x02\xc8")), _HANDSHAKE),
    "warnings without end": (_forever(b"", record(ALERT, b"\x01\x70")), _HANDSHAKE),
    "application data first": (_say(record(APPLICATION_DATA, bytes(64))), _HANDSHAKE),
    "ChangeCipherSpec without end": (_forever(_hello(), record(CHANGE_CIPHER_SPEC, b"\x01") * 64), _RECORD),
    "garbage after the ClientHello": (_say(_hello() + record(APPLICATION_DATA, bytes(range(200)))), _RECORD),
    "closes after the handshake": (_tls(lambda tls: tls.shutdown(socket.SHUT_WR)), _ACCEPTED),
    "resets after the handshake": (_tls(_reset_after_handshake), _ACCEPTED),
    "silence after the handshake": (_tls(lambda _: None), _ACCEPTED),
    "a bad MAC": (_raw(record(APPLICATION_DATA, bytes(100))), _ACCEPTED),
    "plain HTTP in the middle": (_raw(_HEAD + b"\r\n"), _ACCEPTED),
    "a request that is no HTTP": (_ask(b"\x16\x03\x01 what is this\r\n\r\n"), _ACCEPTED),
    "an HTTP/2 preface": (_ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), _ACCEPTED),
    "HTTP/0.9": (_ask(b"GET /\r\n"), _ACCEPTED),
    "fields without end": (_ask_forever(_HEAD, b"X-Lab: abc\r\n" * 1000), _ACCEPTED),
    "a field without end": (_ask_forever(_HEAD + b"X-Lab: ", b"a" * 8000), _ACCEPTED),
    "fields in drips": (_ask_in_drips(b"G"), _ACCEPTED),
    "a body without end": (
        _ask_forever(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"a" * 1024 + b"\r\n"),
        _ACCEPTED,
    ),
    "a body that does not come": (_ask(_HEAD + b"Content-Length: 10\r\n\r\n"), _ACCEPTED),
    "a chunk size that is no number": (_ask(_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), _ACCEPTED),
    "a negative length": (_ask(_HEAD + b"Content-Length: -1\r\n\r\n"), _ACCEPTED),
    "empty lines without end": (_ask_forever(b"", b"\r\n" * 4000), _ACCEPTED),
    "never reads the answer": (_never_read, _ACCEPTED),
}
