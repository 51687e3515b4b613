"""What an engine answers is read as HTTP/1.1 has it, and what is none is told as the engine's failure."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mtls_runner.errors import EngineError
from mtls_runner.servers.container.api import EngineApi, Refused
from mtls_runner.servers.container.connection import EngineConnection, translated

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@contextmanager
def answering(directory: Path, answer: bytes) -> Iterator[tuple[EngineApi, list[bytes]]]:
    """An engine that says this to one request; what it was asked."""
    asked: list[bytes] = []

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            while b"\r\n\r\n" not in b"".join(asked):
                asked.append(sock.recv(65536))
            sock.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "engine"))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield EngineApi(f"unix://{directory}/engine", None, "1.41", 30), asked
        thread.join()


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        pytest.param(OK + b"Content-Length: 7\r\n\r\n[1,2,3]", [1, 2, 3], id="a length"),
        pytest.param(OK + b"\r\n[1,2,3]", [1, 2, 3], id="up to the end"),
        pytest.param(
            CHUNKED + b"3;more=x\r\n[1,\r\n4\r\n2,3]\r\n0\r\nTrailer: x\r\n\r\n", [1, 2, 3], id="chunks with a trailer"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\n5", 5, id="100 before it"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="no content"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]", b"[1]", id="not JSON"),
    ],
)
def test_an_answer(tmp_path: Path, answer: bytes, value: object) -> None:
    with answering(tmp_path, answer) as (api, asked):
        assert api.call("POST", "/a b", {"x": 1}, q="y z") == value
    assert b"".join(asked).startswith(b"POST /v1.41/a%20b?q=y+z HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(b"", "has closed the connection", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "does not begin as an answer", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", "has closed the connection", id="within the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000, "too long", id="a line without end"),
        pytest.param(OK + b"Content-Length: 8\r\n\r\n[1,2,3]", "has closed the connection", id="within the body"),
        pytest.param(OK + b"Content-Length: -1\r\n\r\n[1]", "Content-Length is '-1'", id="no length"),
        pytest.param(CHUNKED + b"8\r\n[1,2,3]", "has closed the connection", id="within a chunk"),
        pytest.param(CHUNKED + b"7\r\n[1,2,3]\r\n", "has closed the connection", id="before the last chunk"),
        pytest.param(CHUNKED + b"-7\r\n[1,2,3]\r\n0\r\n\r\n", "a chunk begins with b'-7'", id="no size"),
    ],
)
def test_what_is_none(tmp_path: Path, answer: bytes, said: str) -> None:
    with answering(tmp_path, answer) as (api, _), pytest.raises(EngineError, match=said), translated("asking"):
        api.call("GET", "/info")


def test_a_refusal_in_the_engines_words(tmp_path: Path) -> None:
    refused = b'HTTP/1.1 409 Conflict\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"message": "no"}'
    with answering(tmp_path, refused) as (api, _), pytest.raises(Refused, match=r"^no$") as caught:
        api.follow("/containers/x/attach")
    assert caught.value.status == 409


def test_the_version_is_in_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine")
    head = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: 2\r\n\r\nOK"
    with answering(tmp_path, head):
        found = EngineConnection.find()
    assert (found.api_version, found.engine_version) == ("1.41", "20.10.24")
