"""SIGTERM and SIGHUP end a pytest as Ctrl-C does: no server, container or key is left."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mtls_runner.cli import STOP
from mtls_runner.pytest_plugin.stopping import clean_up_when_stopped
from mtls_runner.tls.sockets import RecordingSocket, Transcript, record
from tests.cli.conftest import SMALL

from ..container_engine import IMAGE, containers_of
from ..inner_pytest import WARNINGS
from ..warm import WarmProcess

NGINX = SMALL.replace("server: {certificate", f"server: {{backend: nginx, image: '{IMAGE}', certificate")
USES_A_FIXTURE = """
import threading
def test_it(mtls_lab):
    lab = mtls_lab("small.yaml")
    print("ready", lab.port, flush=True)
    threading.Event().wait(90)
"""


def pytest_in(directory: Path, *arguments: str) -> WarmProcess:
    tmp = directory / "tmp"
    tmp.mkdir()
    return WarmProcess(
        "pytest",
        ["-p", "no:cacheprovider", *WARNINGS, *arguments],
        cwd=directory,
        env={**os.environ, "TMPDIR": str(tmp), "PYTEST_ADDOPTS": ""},
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def left(directory: Path) -> list[Path]:
    # Unlike rglob, walk goes on where somebody removes what it is in.
    found = (Path(folder, name) for folder, _, names in os.walk(directory / "tmp") for name in names)
    return [path for path in found if path.suffix in (".key", ".crt", ".pem")]


def shown(port: int) -> str | None:
    """The certificate of the server there; somebody else's can have its port as soon as it is gone."""
    try:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)
    except OSError:
        return None


@pytest.mark.usefixtures("nginx_engine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_fixtures_servers_and_keys_are_gone(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "small.yaml").write_text(NGINX if number == signal.SIGTERM else SMALL)
    (tmp_path / "test_it.py").write_text(USES_A_FIXTURE)
    with pytest_in(tmp_path, "-s", "test_it.py") as process:
        assert process.stdout is not None
        port = int(next(line for line in process.stdout if "ready " in line).split()[-1])
        certificate = shown(port)
        assert certificate is not None
        assert left(tmp_path)
        assert len(containers_of(process.pid)) == (number == signal.SIGTERM)
        process.send_signal(number)
        told = process.stdout.read()
        assert process.wait(60) == 128 + number, told
    assert "KeyboardInterrupt" in told
    assert left(tmp_path) == []
    assert containers_of(process.pid) == []
    assert shown(port) != certificate


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_scenarios_keys_are_gone(tmp_path: Path, workers: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the backlog takes the connection, nobody ever answers
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        client = f"client: {{certificate: client, connect: '{address}', timeout: 90}}"
        (tmp_path / "small.yaml").write_text(SMALL.replace("client: client\n", f"{client}\n"))
        with pytest_in(tmp_path, *workers, "small.yaml") as process:
            connection, _ = silent.accept()
            assert left(tmp_path)
            os.killpg(process.pid, signal.SIGTERM)  # as a terminal or a supervisor does
            told = process.communicate(timeout=60)[0]
            connection.close()
    assert process.returncode in ((128 + signal.SIGTERM,) if not workers else (-signal.SIGTERM, 2)), told
    assert left(tmp_path) == []


@contextmanager
def of_the_plugin() -> Iterator[None]:
    done: list[Callable[[], None]] = []
    clean_up_when_stopped(cast("pytest.Config", SimpleNamespace(stash=pytest.Stash(), add_cleanup=done.append)))
    try:
        yield
    finally:
        for one in done:
            one()


@contextmanager
def of_the_command_line() -> Iterator[None]:
    with STOP.listening(), STOP.cleanly():
        yield


class Interrupting(Transcript):
    """A signal comes while OpenSSL makes the first message, which it tells of next."""

    def add(self, *_: object) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("handler", [of_the_plugin, of_the_command_line])
def test_a_signal_in_the_middle_of_a_handshake_is_heard(handler: Callable[[], AbstractContextManager[None]]) -> None:
    context = ssl.create_default_context()
    record(context)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        socket.create_connection(silent.getsockname(), 60) as plain,
        context.wrap_socket(plain, server_hostname="it", do_handshake_on_connect=False) as connection,
    ):
        assert isinstance(connection, RecordingSocket)
        connection.transcript = Interrupting()
        with handler(), pytest.raises(KeyboardInterrupt):
            connection.do_handshake()
