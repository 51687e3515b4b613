"""A script that is stopped in the middle leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from mtls_runner.deadlines import Deadline
from mtls_runner.export.script import export
from mtls_runner.language import Overrides, load

from ..container_engine import IMAGE

_SCENARIO = "ca: {}\nleaves: {server: {}, client: {usage: client}}\nserver: {}\ncases:\n"


def _exported(backend: str, tmp_path: Path, cases: int = 60) -> Path:
    file = tmp_path / "mine.yaml"
    lines = (f"  - {{name: case {number}, client: client, expect: accepted}}\n" for number in range(cases))
    file.write_text(_SCENARIO + "".join(lines))
    return export(load(file, Overrides(backend=backend, tool="curl", image=IMAGE)), tmp_path / "out").script


def _kill(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """As a terminal would: the process group in the foreground."""
    os.killpg(process.pid, number)


def _stop(
    script: Path,
    number: signal.Signals,
    tmp_path: Path,
    kill: Callable[[subprocess.Popen[str], signal.Signals], None] = _kill,
) -> int:
    """Stops it after its first case. Its process id."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        ["bash", str(script)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        assert any(line.startswith("ok 1 ") for line in process.stdout)
        assert list(temporary.iterdir())
        kill(process, number)
        process.stdout.read()  # to its end: the script's and its servers'
        assert process.wait(timeout=60) == (-number if number == signal.SIGKILL else 128 + number)
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
    _stop(_exported("python", tmp_path), number, tmp_path)


def test_what_is_suspended_ends_too(tmp_path: Path) -> None:
    def kill(process: subprocess.Popen[str], number: signal.Signals) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.killpg(int(child), signal.SIGSTOP)
        assert children
        process.send_signal(number)

    _stop(_exported("python", tmp_path), signal.SIGTERM, tmp_path, kill)


def test_what_can_not_be_kept_is_not_left_where_it_was(tmp_path: Path) -> None:
    script = _exported("python", tmp_path, cases=2)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    result = subprocess.run(
        ["bash", str(script)],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary), "KEEP": f"{script}/no directory"},
        check=False,
    )
    assert "# all 2 as expected" in result.stdout
    assert f"not all is in {script}/no directory" in result.stderr
    assert list(temporary.iterdir()) == []


def test_an_edited_copy_is_what_runs(tmp_path: Path) -> None:
    script = _exported("python", tmp_path, cases=2)
    mine = script.with_name("mine.sh")
    mine.write_text(script.read_text().replace("expect 'case 0'", "expect 'one of mine'"))
    result = subprocess.run(["bash", mine.name], cwd=mine.parent, capture_output=True, text=True, check=True)
    assert "ok 1 - one of mine #" in result.stdout


@pytest.mark.usefixtures("nginx_engine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nginx(number: signal.Signals, tmp_path: Path) -> None:
    pid = _stop(_exported("nginx", tmp_path), number, tmp_path)
    names = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert [name for name in names if name.startswith(f"mtls-run-export-{pid}-")] == []
