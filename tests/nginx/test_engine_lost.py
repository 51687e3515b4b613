"""An engine that is not reached by its usual socket: one behind TLS; one that goes away in the middle of a run."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from mtls_runner import Overrides, Status, Verdict, load, run
from mtls_runner.errors import EngineError
from mtls_runner.model.verdict import CaseFinished, RunFinished
from mtls_runner.servers.container.connection import EngineConnection
from mtls_runner.servers.container.engine import Engine

from ..container_engine import IMAGE

LAB = """\
ca: {}
leaves: {server: {}, client: {usage: client}}
server: {backend: nginx, certificate: server, trust: ca}
cases:
  - {name: before, client: client, expect: accepted}
  - {name: while it is away, client: client, expect: accepted}
"""


_SAID = b'{"message":"tried to kill container, but did not receive an exit event"}\n'
_BUSY = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_SAID), _SAID)
)


class Between:
    """A port in front of the engine's socket; it can be shut, with everything that goes through it, and opened again."""

    def __init__(self, engine: str, tls: ssl.SSLContext | None = None) -> None:
        self._engine = engine
        self._tls = tls
        self._open: list[socket.socket] = []
        self.refuses = 0
        """Removals that it refuses from now on, as the engine does that has killed a container and not heard of its end."""
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
                if self._tls is not None:
                    try:
                        near = self._tls.wrap_socket(near, server_side=True)
                    except OSError:
                        continue
                if self.refuses and near.recv(6, socket.MSG_PEEK) == b"DELETE":
                    self.refuses -= 1
                    near.recv(1 << 16)
                    near.sendall(_BUSY)
                    near.close()
                    continue
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
def unix_socket() -> str:
    path = EngineConnection.find().base_url.partition("://")[2]
    if not path.startswith("/") or not os.path.exists(path):  # noqa: PTH110
        pytest.skip("the engine is not reached by a Unix socket")
    return path


@pytest.fixture
def between(unix_socket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    door = Between(unix_socket)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{door.port}")
    yield door
    door.shut()


@pytest.mark.usefixtures("nginx_engine")
def test_an_engine_behind_tls_gets_the_clients_certificate(
    unix_socket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the docker CLI has it: DOCKER_CERT_PATH holds ca.pem, cert.pem and key.pem."""
    ca, other = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    door = Between(unix_socket, context)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{door.port}")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    try:
        for issuer, trusted in ((ca, ca), (other, ca), (ca, other)):
            client = issuer.issue_cert("client@lab.test")
            trusted.cert_pem.write_to_path(tmp_path / "ca.pem")
            client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
            client.private_key_pem.write_to_path(tmp_path / "key.pem")
            if issuer is trusted is ca:
                assert Engine.connect().image(IMAGE).id
            else:
                with pytest.raises(EngineError, match="container engine"):
                    Engine.connect()
    finally:
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


@pytest.mark.usefixtures("nginx_engine")
def test_one_that_is_busy_is_asked_again_to_remove_a_container(
    between: Between, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it refuses for good is told."""
    (tmp_path / "nginx.yaml").write_text(LAB.partition("  - {name: while")[0])
    plan = load(tmp_path / "nginx.yaml", Overrides(image=IMAGE))

    def ran() -> tuple[list[Status], str]:
        events = list(run([plan]))
        last = events[-1]
        assert isinstance(last, RunFinished)
        return [one.verdict.status for one in events if isinstance(one, CaseFinished)], last.error

    between.refuses = 3
    assert ran() == ([Status.PASS], "")
    assert between.refuses == 0
    monkeypatch.setattr("mtls_runner.servers.container.engine.REMOVAL_SECONDS", 0.0)
    between.refuses = 3
    statuses, error = ran()
    assert statuses == [Status.PASS]
    assert error.endswith(
        "refused while removing a container: tried to kill container, but did not receive an exit event"
    )
    between.refuses = 0  # at its end this process removes it
