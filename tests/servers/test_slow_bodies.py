"""Bodies that are sent slowly: what goes out before the server answers, by Python's client and by curl against one server."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import Request
from mtls_runner.tls.http import ask, upload
from mtls_runner.tls.http_response import HttpError, ResponseReader

BODY = b"x" * 12
RATE = 4
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Server:
    """Says ``answer`` once the head and the first bytes of a body are there, and reads on to the end.

    Args:
        answer: the bytes; ``None``: it closes.
    """

    def __init__(self, answer: bytes | None) -> None:
        self.arrived: list[int] = []
        self.closes = answer is None
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        sock, _ = self._listener.accept()
        with sock:
            sock.settimeout(20)
            came = b""
            while not came.partition(b"\r\n\r\n")[2]:
                came += sock.recv(65536)
            if self._answer is None:
                sock.shutdown(socket.SHUT_WR)
            else:
                sock.sendall(self._answer)
            while len(body := came.partition(b"\r\n\r\n")[2]) < len(BODY) and (more := sock.recv(65536)):
                came += more
            self.arrived.append(len(body))

    def close(self) -> list[int]:
        self._thread.join(20)
        self._listener.close()
        return self.arrived


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(request.param)
    yield running
    running.close()


ANSWERS: dict[str, tuple[bytes | None, int]] = {
    "a refusal": (TOO_LARGE, 4),
    "a refusal behind an interim response": (b"HTTP/1.1 100 Continue\r\n\r\n" + TOO_LARGE, 4),
    "an early answer that minds nothing": (OK, 12),
}
CLOSED: dict[str, tuple[bytes | None, int]] = {"it closes": (None, 4)}
"""To whom curl goes on to send, until the kernel says that nobody reads."""


@pytest.mark.parametrize(("server", "sent"), (ANSWERS | CLOSED).values(), ids=ANSWERS | CLOSED, indirect=["server"])
def test_who_refuses_early_is_sent_no_more(server: Server, sent: int) -> None:
    request = Request("POST", body=BODY, limit_rate=RATE)
    going = upload(request, "localhost")
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        with pytest.raises(HttpError) if server.closes else nullcontext():
            ask(sock, ResponseReader(sock), request, going, Deadline.after(20), 1 << 20)
        assert going.stopped == (sent < len(BODY))
    assert (going.sent, server.close()) == (sent, [sent])


@pytest.mark.parametrize(("server", "sent"), ANSWERS.values(), ids=ANSWERS, indirect=["server"])
def test_curl_does_the_same(server: Server, sent: int) -> None:
    options = ["--limit-rate", str(RATE), "--data-binary", BODY.decode(), "--write-out", "%{size_upload}"]
    done = subprocess.run(
        ["curl", "--disable", "--silent", *options, f"http://127.0.0.1:{server.port}/"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (int(done.stdout), server.close()) == (sent, [sent])
