"""Ctrl-C, SIGTERM, and a reader that goes away."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Cli
from tests.warm import WarmProcess

Write = Callable[[str, str], Path]

NUMBER = 300
MANY = (
    SMALL.partition("cases:\n")[0]
    + "cases:\n"
    + "".join(
        f"  - {{name: without {number}, expect: {{server-refused: no-certificate}}}}\n"
        f"  - {{name: with {number}, client: client, expect: accepted}}\n"
        for number in range(NUMBER)
    )
    + "matrix: {client.tls: [TLSv1.2, TLSv1.3]}\n"
)
"""Far more cases than run before the signal arrives, with a line each."""


def start(cli: Cli, *arguments: str, tmp: Path) -> WarmProcess:
    return cli.start("many.yaml", *arguments, env={"TMPDIR": str(tmp)})


def wait_for_a_case(process: WarmProcess) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if "✓" in line:
            return
    pytest.fail("no case was run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("jobs", ["1", "4"])
def test_a_signal_ends_with_a_summary_and_whole_reports(
    cli: Cli, write: Write, number: signal.Signals, jobs: str
) -> None:
    write("many.yaml", MANY)
    tmp = cli.directory / "tmp"
    tmp.mkdir()
    with start(cli, "--json", "report.json", "-j", jobs, tmp=tmp) as process:
        wait_for_a_case(process)
        process.send_signal(number)
        told, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "interrupted: " in told
    assert f"not run of {4 * NUMBER} cases" in told
    assert errors == ""
    summary = json.loads((cli.directory / "report.json").read_text())["summary"]
    assert summary["interrupted"] is True
    assert summary["not_run"] > 0
    assert sum(summary[name] for name in ("pass", "fail", "error", "skip", "not_run")) == 4 * NUMBER
    left = [path for path in tmp.rglob("*") if path.name.startswith("run-") or path.suffix in (".pem", ".key")]
    assert left == []


def test_a_reader_that_goes_away_ends_the_run_quietly(cli: Cli, write: Write) -> None:
    write("many.yaml", MANY)
    tmp = cli.directory / "tmp"
    tmp.mkdir()
    with start(cli, tmp=tmp) as process:
        wait_for_a_case(process)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == ""
    assert not list(tmp.glob("*/run-*"))


def test_a_reader_that_goes_away_leaves_the_reports_whole(cli: Cli, write: Write) -> None:
    write("many.yaml", SMALL)
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [cli.command, "many.yaml", "--json", "report.json"],
        cwd=cli.directory,
        env=cli.environment(),
        stdout=written,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(written)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((cli.directory / "report.json").read_text())["summary"]["pass"] == 4


@pytest.mark.parametrize(
    ("jobs", "stuck"),
    [
        ("1", "python"),
        ("1", "waiting"),
        ("2", "python"),
        ("2", "curl"),
        ("2", "s_client"),
        ("2", "waiting"),
    ],
)
def test_a_case_that_is_stuck_does_not_hold_up_the_end(cli: Cli, write: Write, jobs: str, stuck: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the backlog takes the connection, nobody ever answers
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        tool = "python" if stuck == "waiting" else stuck
        described = f"{{certificate: client, tool: {tool}, connect: '{address}', timeout: 90}}"
        text = SMALL.replace("client: client", f"client: {described}")
        if stuck == "waiting":
            text = text.replace("timeout: 90", "timeout: 0.5").replace(
                "expect: accepted", "steps: [{expect: {timed-out: handshake}}, {wait: 90}]"
            )
        write("many.yaml", text)
        tmp = cli.directory / "tmp"
        tmp.mkdir()
        with start(cli, "-k", "'with the'", "-j", jobs, tmp=tmp) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("many.yaml")
            connection, _ = silent.accept()
            if stuck == "waiting":
                assert connection.recv(1)
                while connection.recv(4096):  # until it gives up, and begins to wait
                    pass
            if (stuck, jobs) == ("waiting", "1"):  # one that does not wake it, as one that comes just before it sleeps
                others = {int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()} - {process.pid}
                assert ctypes.CDLL(None).tgkill(process.pid, min(others), signal.SIGINT) == 0
            else:
                process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=60)
            connection.close()
    assert process.returncode == 130
    assert "interrupted: " in told


@pytest.mark.parametrize("stuck", ["curl", "s_client"])
def test_a_client_ends_with_a_run_that_is_killed(cli: Cli, write: Write, stuck: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        described = f"{{certificate: client, tool: {stuck}, connect: '{address}', timeout: 90}}"
        write("many.yaml", SMALL.replace("client: client", f"client: {described}"))
        tmp = cli.directory / "tmp"
        tmp.mkdir()
        with start(cli, "-k", "'with the'", tmp=tmp) as process:
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(1 << 16)
                connection.setblocking(False)
                with pytest.raises(BlockingIOError):  # it waits for an answer
                    connection.recv(1)
                process.send_signal(signal.SIGKILL)
                connection.settimeout(30)  # long before its own time is over
                assert connection.recv(1) == b""
    assert process.returncode == -signal.SIGKILL


#: The lab gets no further than to start its second curl (the first one tells its version).
_HELD = """
import sys, threading
from mtls_runner.cli import main
from mtls_runner.runtimes import Supervisor
told = []
def watch(lab, group, watch=Supervisor.watch):
    told.append(group)
    if len(told) > 1:
        threading.Event().wait(60)
    watch(lab, group)
Supervisor.watch = watch
sys.exit(main())
"""


def test_a_client_ends_with_a_run_that_is_killed_before_it_has_told_of_it(cli: Cli, write: Write) -> None:
    """A busy machine may let the client run first, and long."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        described = f"{{certificate: client, tool: curl, connect: '{address}', timeout: 90}}"
        write("many.yaml", SMALL.replace("client: client", f"client: {described}"))
        command = [sys.executable, "-c", _HELD, "many.yaml", "-k", "'with the'"]
        with subprocess.Popen(command, cwd=cli.directory, env=cli.environment(), stdout=subprocess.DEVNULL) as process:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(1 << 16)
                process.kill()
                connection.settimeout(30)
                assert connection.recv(1) == b""


def _by_shell(cli: Cli, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``$0`` is the program."""
    return subprocess.run(
        ["sh", "-c", command, cli.command, *arguments],
        cwd=cli.directory,
        env=cli.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(cli: Cli, write: Write, closed: str) -> None:
    write("small.yaml", SMALL)
    done = _by_shell(cli, f'"$0" small.yaml --json told.json {closed}')
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((cli.directory / "told.json").read_text())["summary"]["pass"] == 4
    assert ("4 passed" in done.stdout) is (">&-" not in closed.replace("2>&-", ""))


def test_a_directory_that_is_gone_is_said(cli: Cli, write: Write) -> None:
    scenario = write("small.yaml", SMALL)
    command = 'mkdir gone && cd gone && rmdir ../gone && "$0" "$1"'
    done = _by_shell(cli, command, str(scenario))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mtls-run: the working directory is gone; go to one that exists\n"


#: Python runs it first: at the given audit event (PEP 578) of that number it sends itself a signal.
SITE = """
import os, signal, sys
event, number = os.environ["AT"].split(":")
left = [int(number)]
def hook(name, arguments):
    if name == event and "mtls_runner.cli.program" in sys.modules:
        left[0] -= 1
        if left[0] == 0:
            open(os.environ["SENT"], "w").close()
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
sys.addaudithook(hook)
"""


def interrupted_at(cli: Cli, at: str, number: signal.Signals, *arguments: str) -> list[Path]:
    """Run it until the event, and see it end as it should; what it left, but for empty files and what Python's tempfile
    tries out first of all."""
    (cli.directory / "site").mkdir(exist_ok=True)
    (cli.directory / "site" / "sitecustomize.py").write_text(SITE)
    tmp, sent = cli.directory / "tmp", cli.directory / "sent"
    tmp.mkdir(exist_ok=True)
    sent.unlink(missing_ok=True)
    more = {"AT": at, "SIGNAL": str(int(number)), "SENT": str(sent)}
    done = cli(*arguments, env={"PYTHONPATH": str(cli.directory / "site"), "TMPDIR": str(tmp), **more})
    assert sent.exists(), f"{at} is never reached"
    assert (done.returncode, done.stderr.strip()) == (128 + number, "mtls-run: interrupted"), at
    return [path for path in tmp.rglob("*") if path.is_file() and path.read_bytes() not in (b"", b"blat")]


@pytest.mark.parametrize("place", [1, 30, 90, 150, 210, 270])
def test_a_signal_while_the_program_is_still_loaded(cli: Cli, write: Write, place: int) -> None:
    write("small.yaml", SMALL)
    number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[place // 30 % 3]
    assert interrupted_at(cli, f"import:{place}", number, "small.yaml", "--json", "report.json") == []
    assert {path.name for path in cli.directory.iterdir()} == {"small.yaml", "site", "sent", "tmp"}


@pytest.mark.parametrize("at", ["shutil.rmtree:1", "os.remove:2", "os.rmdir:1"])
def test_a_signal_while_keys_are_removed(cli: Cli, write: Write, at: str) -> None:
    write("small.yaml", SMALL)
    assert interrupted_at(cli, at, signal.SIGINT, "forge", "small.yaml", "-o", "forged") == []
    assert interrupted_at(cli, at, signal.SIGTERM, "export", "small.yaml", "-o", "exported") == []
