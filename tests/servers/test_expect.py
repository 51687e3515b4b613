"""``Expect: 100-continue``, against the server of Python's own library: the body goes to those only who want it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import HTTPServer
from typing import ClassVar

import pytest

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import Request
from mtls_runner.tls.http import ask, upload
from mtls_runner.tls.http_response import ResponseReader

from ..http_server import Handler

BODY = b"x" * (1 << 20)


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    bodies: ClassVar[list[int]] = []

    def handle_expect_100(self) -> bool:
        if self.path == "/refused":
            self.answer(403, {"Connection": "close"})
            self.bodies.append(len(self.rfile.read()))  # all that comes until the client closes
            return False
        return super().handle_expect_100()

    def do_POST(self) -> None:
        self.bodies.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(200)


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
