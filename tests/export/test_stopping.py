"""A script that is stopped in the middle leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from threading import Event

import pytest

from mtls_runner.deadline import Deadline
from mtls_runner.export.script import export
from mtls_runner.language import Overrides, load

from ..container_engine import IMAGE

_CASES = "".join(f"  - {{name: case {number}, client: client, expect: accepted}}\n" for number in range(60))
_SCENARIO = f"ca: {{}}\nleaves: {{server: {{}}, client: {{usage: client}}}}\nserver: {{}}\ncases:\n{_CASES}"


def _stop(backend: str, number: signal.Signals, tmp_path: Path) -> int:
    """Stops it after its first case, as a terminal would: the process group in the foreground. Its process id."""
    file = tmp_path / "mine.yaml"
    file.write_text(_SCENARIO)
    made = export(load(file, Overrides(backend=backend, tool="curl", image=IMAGE)), tmp_path / "out")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        ["bash", str(made.script)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        assert any(line.startswith("ok 1 ") for line in process.stdout)
        assert list(temporary.iterdir())
        os.killpg(process.pid, number)
        assert process.wait(timeout=60) == (-number if number == signal.SIGKILL else 128 + number)
        process.stdout.read()  # to its end: the script's and its servers'
    deadline = Deadline.after(20)  # what was told to end may take its moment
    while (left := _living(process.pid)) and not deadline.passed:
        Event().wait(0.05)
    assert left == []
    assert [str(path) for path in temporary.rglob("*")] == []
    return process.pid


def _living(session: int) -> list[str]:
    """Commands of a session's living members; one that is dead and not yet reaped by its parent is not there."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (directory / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # ended meanwhile
        state, _, _, its_session = rest.split()[:4]
        if int(its_session) == session and state not in "ZX":
            found.append(name)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_openssl_s_server(number: signal.Signals, tmp_path: Path) -> None:
    _stop("python", number, tmp_path)


@pytest.mark.usefixtures("nginx_engine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nginx(number: signal.Signals, tmp_path: Path) -> None:
    pid = _stop("nginx", number, tmp_path)
    names = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert f"mtls-run-export-{pid}" not in names
