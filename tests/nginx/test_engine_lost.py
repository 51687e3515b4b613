"""An engine that goes away in the middle of a run is told as that, not as the server's end."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mtls_runner import Overrides, Status, Verdict, load, run
from mtls_runner.model.verdict import CaseFinished
from mtls_runner.servers.container.connection import EngineConnection

from ..container_engine import IMAGE

LAB = """\
ca: {}
leaves: {server: {}, client: {usage: client}}
server: {backend: nginx, certificate: server, trust: ca}
cases:
  - {name: before, client: client, expect: accepted}
  - {name: while it is away, client: client, expect: accepted}
"""


class Between:
    """A port in front of the engine's socket; it can be shut, with everything that goes through it, and opened again."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._begin()

    def _begin(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open = []

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._begin()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    path = EngineConnection.find().base_url.partition("://")[2]
    if not path.startswith("/") or not os.path.exists(path):  # noqa: PTH110
        pytest.skip("the engine is not reached by a Unix socket")
    door = Between(path)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{door.port}")
    yield door
    door.shut()


@pytest.mark.usefixtures("nginx_engine")
def test_it_is_the_engine_that_is_gone(between: Between, tmp_path: Path) -> None:
    path = tmp_path / "away.yaml"
    path.write_text(LAB)
    verdicts: list[Verdict] = []
    for event in run([load(path, Overrides(image=IMAGE))]):
        if isinstance(event, CaseFinished):
            verdicts.append(event.verdict)
            if len(verdicts) == 1:
                between.shut()
            else:
                between.open()  # so that what was started can be removed
    before, away = verdicts
    assert before.status is Status.PASS, before.error
    assert away.status is Status.ERROR
    assert "the connection to the container engine was lost" in away.error
    assert "nginx ended" not in away.error
