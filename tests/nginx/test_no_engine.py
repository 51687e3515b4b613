"""No engine, no permission, another machine's engine: one clear error each, with the next step."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from mtls_runner.errors import EngineError
from mtls_runner.servers.container.connection import EngineConnection
from mtls_runner.servers.container.engine import Engine, sweep


@pytest.fixture(autouse=True)
def docker_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Of nobody; a test sets its own."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def refusal() -> str:
    with pytest.raises(EngineError) as caught:
        Engine.connect()
    assert caught.value.exit_code == 3
    with pytest.raises(EngineError) as again:
        sweep()
    assert str(again.value) == str(caught.value)
    return str(caught.value)


def test_no_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert "no container engine answers (No such file or directory)" in refusal()
    assert "start Docker" in refusal()


def test_a_socket_without_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    assert "no container engine answers (Connection refused)" in refusal()


def test_a_port_without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    assert "no container engine answers" in refusal()


def test_an_engine_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("tcp://192.0.2.1:2375", "ssh://root@elsewhere.test"):
        monkeypatch.setenv("DOCKER_HOST", host)
        assert f"{host} is on another machine" in refusal()
        assert "docker context use default" in refusal()


def test_the_current_context_is_followed(monkeypatch: pytest.MonkeyPatch, docker_settings: Path) -> None:
    from hashlib import sha256

    for name, host in (("laptop", "unix:///no/such/laptop.sock"), ("cloud", "tcp://192.0.2.1:2376")):
        meta = docker_settings / "contexts" / "meta" / sha256(name.encode()).hexdigest()
        meta.mkdir(parents=True)
        content = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
        (meta / "meta.json").write_text(json.dumps(content))
    (docker_settings / "config.json").write_text(json.dumps({"currentContext": "laptop"}))
    assert "/no/such/laptop.sock" in refusal()
    monkeypatch.setenv("DOCKER_CONTEXT", "cloud")
    assert "tcp://192.0.2.1:2376 is on another machine" in refusal()
    monkeypatch.setenv("DOCKER_CONTEXT", "none")
    assert "no docker context none" in refusal()
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/host.sock")
    assert "/no/such/host.sock" in refusal()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody without permission")
def test_no_permission() -> None:
    """In a child that gives up root: to a root process no socket is closed."""
    program = textwrap.dedent("""
        import os
        from mtls_runner.errors import EngineError
        from mtls_runner.servers.container.engine import Engine
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            Engine.connect()
        except EngineError as error:
            print(error)
    """)
    with tempfile.TemporaryDirectory(prefix="mtls-run-test-") as directory, socket.socket(socket.AF_UNIX) as engine:
        Path(directory).chmod(0o711)
        path = Path(directory) / "engine.sock"
        engine.bind(str(path))
        engine.listen()
        path.chmod(0o660)
        run = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "DOCKER_HOST": f"unix://{path}"},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    assert "no permission to use the container engine (Permission denied)" in run.stdout
    assert "docker group" in run.stdout


def test_the_docker_package_is_only_loaded_where_the_lab_needs_it() -> None:
    """That is for contexts, TLS and pulls; an image that is here, on the default socket, is run without."""
    program = (
        "import sys; from mtls_runner.servers.container.engine import Engine; Engine.connect(); "
        "print([name for name in ('docker', 'requests', 'crossplane') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert run.stdout == "[]\n" or "EngineError: no container engine" in run.stderr, run.stderr


def test_the_engine_that_is_here_is_found() -> None:
    """The twin of all the above; the default socket needs no settings."""
    from ..container_engine import not_here

    try:
        found = EngineConnection.find()
    except EngineError as error:
        not_here(str(error))
    assert found.engine_version
    assert found.base_url
