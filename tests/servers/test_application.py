"""The lab's application behind a server: what it says of a request whose sender is gone."""

from __future__ import annotations

import socket
import struct
import time

from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.servers.stubs.upstream import LoopbackStub
from tests.named import backend

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER, no time: close() sends RST


def test_a_request_counts_though_its_sender_resets_the_connection() -> None:
    ports: list[int] = []
    with LoopbackStub(ServerSpec("app", backend("python"), None, None), ports.append) as app:
        gone = []
        for _ in range(20):
            with socket.create_connection((app.address.host, app.address.port)) as sock:
                gone.append(sock.getsockname()[1])
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.sendall(b"GET /late HTTP/1.1\r\nHost: app\r\n\r\n")
        limit = time.monotonic() + 10
        while len(ports) < len(gone) and time.monotonic() < limit:
            time.sleep(0.01)
        last = app.take()
    assert sorted(ports) == sorted(gone)
    assert last is not None
    assert last.path == "/late"


def test_what_is_no_whole_request_does_not_count() -> None:
    ports: list[int] = []
    with (
        LoopbackStub(ServerSpec("app", backend("python"), None, None), ports.append) as app,
        socket.create_connection((app.address.host, app.address.port)) as sock,
    ):
        sock.sendall(b"GET /late HTTP/1.1\r\n")
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)
    assert app.take() is None
    assert ports == []
