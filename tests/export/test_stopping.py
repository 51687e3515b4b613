"""A script that is stopped in the middle leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from mtls_runner.export.script import export
from mtls_runner.language import Overrides, load

from ..container_engine import IMAGE

_CASES = "".join(f"  - {{name: case {number}, client: client, expect: accepted}}\n" for number in range(300))
_SCENARIO = f"ca: {{}}\nleaves: {{server: {{}}, client: {{usage: client}}}}\nserver: {{}}\ncases:\n{_CASES}"


def _stop(backend: str, number: signal.Signals, tmp_path: Path) -> int:
    """Stops it after its first case, as a terminal would: the whole process group. Its process id."""
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
        process.stdout.read()  # to its end: the script's and its servers'
        assert process.wait(timeout=60) == 128 + number
    assert list(temporary.iterdir()) == []
    return process.pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_openssl_s_server(number: signal.Signals, tmp_path: Path) -> None:
    pid = _stop("python", number, tmp_path)
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


@pytest.mark.usefixtures("nginx_engine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_nginx(number: signal.Signals, tmp_path: Path) -> None:
    pid = _stop("nginx", number, tmp_path)
    names = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert f"mtls-run-export-{pid}" not in names
