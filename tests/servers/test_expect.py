"""``Expect: 100-continue``, against the server of Python's own library: the body goes to those only who want it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import Request
from mtls_runner.tls.http import ask, upload
from mtls_runner.tls.http_response import ResponseReader

BODY = b"x" * (1 << 20)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies: ClassVar[list[int]] = []

    def handle_expect_100(self) -> bool:
        if self.path == "/refused":
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            self.bodies.append(len(self.rfile.read()))  # all that comes until the client closes
            return False
        return super().handle_expect_100()

    def do_POST(self) -> None:
        self.bodies.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        """Nobody reads it."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    _Handler.bodies.clear()
    with HTTPServer(("127.0.0.1", 0), _Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)


@pytest.mark.parametrize(("path", "status", "arrived"), [("/wanted", 200, len(BODY)), ("/refused", 403, 0)])
def test_the_body_goes_to_who_wants_it(server: HTTPServer, path: str, status: int, arrived: int) -> None:
    request = Request("POST", path, (("Expect", "100-continue"),), BODY)
    with socket.create_connection(server.server_address) as sock:  # type: ignore[arg-type]
        response = ask(sock, ResponseReader(sock), request, upload(request, "localhost"), Deadline.after(20), 1 << 20)
    assert response.status == status
    server.shutdown()
    assert _Handler.bodies == [arrived]
