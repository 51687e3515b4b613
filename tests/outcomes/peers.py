"""Servers that misbehave on purpose, one connection at a time, on a free loopback port."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mtls_runner.model.endpoint import Address

__all__ = ["Behaviour", "closed_port", "peer"]

Behaviour = Callable[[socket.socket], None]


@contextmanager
def peer(behave: Behaviour, connections: int = 1) -> Iterator[Address]:
    """Accept that many connections, let ``behave`` deal with each and close it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            for _ in range(connections):
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    sock.settimeout(20)
                    try:
                        behave(sock)
                    except OSError:
                        continue  # the client went away first

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address("127.0.0.1", listener.getsockname()[1])
        finally:
            # A blocked accept() is woken by a connection.
            while thread.is_alive():
                try:
                    socket.create_connection(listener.getsockname(), 1).close()
                except OSError:
                    break
                thread.join(0.2)
            thread.join(25)
            assert not thread.is_alive()


def closed_port() -> socket.socket:
    """A bound socket that does not listen: connecting to its port is refused for as long as it is open."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def _read_request(tls: ssl.SSLSocket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = tls.recv(65536)
        if not more:
            return
        data += more


def _until_closed(sock: socket.socket) -> None:
    while socket.socket.recv(sock, 65536):
        pass


def close_at_once(sock: socket.socket) -> None:
    """Read the ClientHello, say nothing, close."""
    sock.recv(65536)


def reset(sock: socket.socket) -> None:
    """Read the ClientHello, send a TCP RST."""
    sock.recv(65536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def speak_http(sock: socket.socket) -> None:
    """Answer the ClientHello in plain HTTP."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    sock.shutdown(socket.SHUT_WR)
    _until_closed(sock)


def say_nothing(sock: socket.socket) -> None:
    """Keep the connection open until the client gives up."""
    _until_closed(sock)


def send_alert(level: int, description: int) -> Behaviour:
    """Answer the ClientHello with one alert record."""

    def behave(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(bytes((21, 3, 3, 0, 2, level, description)))
        sock.shutdown(socket.SHUT_WR)
        _until_closed(sock)

    return behave


def after_handshake(context: ssl.SSLContext, then: Callable[[ssl.SSLSocket], None]) -> Behaviour:
    """Complete the handshake and read the request, then do something else than answering it."""

    def behave(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            _read_request(tls)
            then(tls)

    return behave


def close_politely(tls: ssl.SSLSocket) -> None:
    """close_notify, then FIN."""
    tls.unwrap()


def close_rudely(tls: ssl.SSLSocket) -> None:
    """FIN without close_notify."""
    tls.shutdown(socket.SHUT_WR)
    _until_closed(tls)


def half_a_response(tls: ssl.SSLSocket) -> None:
    """A head that promises more than comes."""
    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    tls.unwrap()


def no_response(tls: ssl.SSLSocket) -> None:
    """Keep the client waiting."""
    _until_closed(tls)
