"""The container of one nginx is asked for before the scenario is read: what for, and that none is left that nobody needs.

A scenario with a mistake shows it: it is never run, and so whatever was started for it was started before.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtls_runner.servers.container.engine import OWNER_LABEL, Engine
from mtls_runner.servers.container.owner import Owner

from ..container_engine import IMAGE, containers_of, docker_client, events_of
from ..warm import WarmProcess

WRITTEN = """\
ca: {subject: CN=Lab CA}
leaves:
  server: {subject: CN=localhost}
  client: {subject: CN=client, usage: client}
server: {SERVER certificate: server, trust: [ca]}
cases:
  - {name: with, client: {certificate: client}, expect: accepted}
"""
NGINX = WRITTEN.replace("SERVER", "backend: nginx,")
PYTHON = WRITTEN.replace("SERVER ", "")
MISTAKE = "mistake: this key is none\n"


@pytest.fixture(autouse=True)
def _sharing(engine: Engine) -> None:
    if not engine.may_share_files:
        pytest.skip("this engine shares no files with the lab")


def environment(directory: Path) -> dict[str, str]:
    places = {"TMPDIR": str(directory), "XDG_CACHE_HOME": str(directory / "cache"), "MTLS_RUN_IMAGE": IMAGE}
    return {**{name: os.environ[name] for name in ("HOME", "PATH")}, **places}


def lived(directory: Path, *arguments: str, code: int) -> int:
    """How many containers a run had; none is left, nor anything else."""
    before = time.time()
    with WarmProcess("mtls-run", arguments, cwd=directory, env=environment(directory)) as process:
        told, errors = process.communicate(timeout=60)
    assert process.returncode == code, told + errors
    seen = events_of(process.pid, before)
    assert seen["create"] == seen["destroy"]
    assert not list(directory.glob("mtls-run-*/run-*"))
    return seen["create"]


def test_a_run_has_the_one_container(tmp_path: Path) -> None:
    (tmp_path / "nginx.yaml").write_text(NGINX)
    assert lived(tmp_path, "nginx.yaml", code=0) == 1


@pytest.mark.parametrize(
    ("text", "lab", "arguments", "number"),
    [
        pytest.param(NGINX, "", (), 1, id="named by the scenario"),
        pytest.param(PYTHON, "defaults: {server: {backend: nginx}}\n", (), 1, id="named by lab.yaml"),
        pytest.param(PYTHON, "", ("--backend", "nginx"), 1, id="named by an option"),
        pytest.param(PYTHON, "", (), 0, id="another server"),
        pytest.param(NGINX, "", ("--backend", "python"), 0, id="another server by an option"),
        pytest.param(NGINX, "", ("--list",), 0, id="nothing is run"),
        pytest.param(NGINX, "", ("--runtime", "process"), 0, id="a process"),
        pytest.param(NGINX, "", ("--image", "mtls-run/no-such-image"), 0, id="no such image"),
        pytest.param(NGINX, "engine: {memory: 64m}\n", (), 0, id="settings of lab.yaml"),
        pytest.param(NGINX.replace("server: {backend", "server: {port: 8443, backend"), "", (), 0, id="a port"),
        pytest.param(NGINX.replace("{name: with", "{server: {trust: []}, name: with"), "", (), 0, id="two servers"),
        pytest.param(NGINX + "matrix: {server.client_auth: [none, required]}\n", "", (), 0, id="a matrix of servers"),
        pytest.param(NGINX + "  - {\n", "", (), 0, id="no YAML"),
    ],
)
def test_it_is_begun_before_the_scenario_is_read(
    tmp_path: Path, text: str, lab: str, arguments: tuple[str, ...], number: int
) -> None:
    (tmp_path / "wrong.yaml").write_text(text + MISTAKE)
    if lab:
        (tmp_path / "lab.yaml").write_text(lab)
    assert lived(tmp_path, "wrong.yaml", *arguments, code=2) == number


def test_an_engine_that_says_nothing_holds_up_no_message(tmp_path: Path) -> None:
    """It takes the connection; whoever really needs an engine waits a minute for it."""
    (tmp_path / "wrong.yaml").write_text(NGINX + MISTAKE)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "engine.sock"))
        silent.listen()
        there = {**environment(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/engine.sock"}
        with WarmProcess("mtls-run", ["wrong.yaml"], cwd=tmp_path, env=there) as process:
            _, errors = process.communicate(timeout=30)
            connection, _ = silent.accept()
            assert connection.recv(4096).startswith(b"GET /_ping")
            connection.close()
    assert process.returncode == 2
    assert "there is no key 'mistake'" in errors


def test_a_signal_leaves_none(tmp_path: Path) -> None:
    """It comes as soon as the engine has the container, while the program still loads what it reads scenarios with."""
    (tmp_path / "nginx.yaml").write_text(NGINX)
    before = time.time()
    command = shutil.which("mtls-run", path=str(Path(sys.executable).parent))
    assert command is not None
    pipe = subprocess.PIPE
    with (
        docker_client() as client,
        subprocess.Popen(
            [command, "nginx.yaml"], cwd=tmp_path, env=environment(tmp_path), stdout=pipe, stderr=pipe, text=True
        ) as process,
    ):
        created = client.events(since=int(before), filters={"type": "container", "event": "create"}, decode=True)
        for event in created:
            owner = Owner.parse(event["Actor"]["Attributes"].get(OWNER_LABEL, ""))
            if owner is not None and owner.pid == process.pid:
                break
        process.send_signal(signal.SIGTERM)
        told, errors = process.communicate(timeout=60)
        created.close()
    assert process.returncode == 128 + signal.SIGTERM
    assert "interrupted" in told + errors
    assert not containers_of(process.pid)
    assert not list(tmp_path.glob("mtls-run-*/run-*"))
