"""Programs: started, read, ended, and gone with the lab."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.runtimes.ports import reserved_port
from mtls_runner.runtimes.process import Unfinished, find_program, finish, start

_LIMIT = 20.0


def _running(group: int) -> list[str]:
    """Commands of a process group, zombies aside."""
    listing = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listing.splitlines())
    return [row[-1] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def _all_gone(group: int) -> bool:
    deadline = Deadline.after(_LIMIT)
    while _running(group) and not deadline.passed:
        pass
    return not _running(group)


_AWAY = "setsid sh -c 'echo $$; exec sleep 1000' &"
"""A session of its own, as daemons make one; what it prints is the number of that, and of its group."""


def test_a_program_is_read_and_ended_with_all_its_children(tmp_path: Path) -> None:
    script = 'read -r line; echo "$PWD $line"; (trap "" TERM; sleep 1000) & echo ready >&2; sleep 1000'
    (tmp_path / "input").write_text("from a file\n")
    with start(["/bin/sh", "-c", script], tmp_path, standard_input=tmp_path / "input") as program:
        assert program.log.take(Deadline.after(_LIMIT)) == f"{tmp_path} from a file"
        assert program.log.take(Deadline.after(_LIMIT)) == "ready"
        assert program.exit_code() is None
        assert len(_running(program.pid)) >= 2
        assert program.log.take(Deadline.after(0)) is None
    assert _all_gone(program.pid)
    assert program.log.ended


def test_what_a_program_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    """Whether the program itself goes on or not; what another program has there stays."""
    groups = []
    (tmp_path / "other").mkdir()
    with start(["/bin/sh", "-c", f"{_AWAY} exit 0"], tmp_path / "other") as other:
        # Its end is heard of though what it has left holds its output open.
        assert other.log.wait_ended(Deadline.after(_LIMIT))
        for then in ("exit 0", "sleep 1000"):
            with start(["/bin/sh", "-c", f"{_AWAY} {then}"], tmp_path) as program:
                groups.append(int(program.log.take(Deadline.after(_LIMIT)) or ""))
            assert _all_gone(groups[-1])
        left = int(other.log.take(Deadline.after(_LIMIT)) or "")
        assert len(_running(left)) == 1
    assert _all_gone(left)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "os._exit"])
def test_a_program_ends_with_the_lab_however_that_ends(tmp_path: Path, how: str) -> None:
    """It ignores every signal that can be ignored, and so do its children; one of them has left its group."""
    script = f"trap '' INT TERM; sleep 1000 & sleep 1000 & {_AWAY} wait"
    lab = f"""
import os, sys, time
from pathlib import Path
from mtls_runner.deadlines import Deadline
from mtls_runner.runtimes.process import start
with start(["/bin/sh", "-c", {script!r}], Path({str(tmp_path)!r})) as program:
    print(program.log.take(Deadline.after({_LIMIT})), program.pid, flush=True)
    {"os._exit(0)" if how == "os._exit" else "time.sleep(1000)"}
"""
    with subprocess.Popen([sys.executable, "-c", lab], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        away, group = map(int, running.stdout.readline().split())
        if how != "os._exit":
            assert len(_running(group)) == 3
            assert len(_running(away)) == 1
            running.send_signal(signal.Signals[how])
        running.wait(_LIMIT)
    assert _all_gone(group)
    assert _all_gone(away)


@pytest.mark.parametrize("how", ["it is killed", "it exits"])
def test_what_the_lab_has_forked_is_not_the_lab(tmp_path: Path, how: str) -> None:
    """A fork that goes on, as a user's own program may have one, holds what its parent had open."""
    lab = f"""
import os, signal, sys, time
from pathlib import Path
from mtls_runner.runtimes.process import start
with start(["/bin/sleep", "1000"], Path({str(tmp_path)!r})) as program:
    fork = os.fork()
    if fork == 0:
        sys.stdout.close(); os.close(1); time.sleep(1000); os._exit(0)
    print(fork, program.pid, flush=True)
    if {how == "it is killed"}:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen([sys.executable, "-c", lab], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        fork, group = map(int, running.stdout.readline().split())
        try:
            assert running.wait(_LIMIT) == (-signal.SIGKILL if how == "it is killed" else 0)
            assert _all_gone(group)
            os.kill(fork, 0)  # it has gone on all the while
        finally:
            os.kill(fork, signal.SIGKILL)


def test_programs_that_end_are_told_apart(tmp_path: Path) -> None:
    done = finish(["/bin/sh", "-c", "cat; echo no >&2; exit 7"], tmp_path, Deadline.after(_LIMIT))
    assert (done.exit_code, done.output, done.errors) == (7, b"", b"no\n")
    killed = finish(["/bin/sh", "-c", "kill -9 $$"], tmp_path, Deadline.after(_LIMIT))
    assert killed.exit_code == -signal.SIGKILL
    with pytest.raises(Unfinished) as hanging:
        finish(["/bin/sh", "-c", "echo begun; sleep 1000"], tmp_path, Deadline.after(3))
    assert hanging.value.partial.output == b"begun\n"
    with start(["/bin/sh", "-c", "exit 3"], tmp_path) as program:
        assert program.log.wait_ended(Deadline.after(_LIMIT))
        while program.exit_code() is None:  # what it writes ends a little before it does
            threading.Event().wait(0.01)
        with pytest.raises(LabError, match="sh ended with exit code 3"):
            program.signal("HUP")
    assert not list(tmp_path.iterdir())


def test_programs_are_found_where_servers_and_pythons_scripts_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert find_program("mtls-run") == str(Path(sys.executable).parent / "mtls-run")
    assert find_program("no-such-program") is None


def test_ports_are_locked_and_outside_the_range_of_clients(tmp_path: Path) -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    with reserved_port(tmp_path) as port, socket.create_server(("127.0.0.1", port)):
        assert not low <= port <= high
        asking = """
import sys
from pathlib import Path
import mtls_runner.runtimes.ports as ports
wanted = int(sys.argv[2])
ports._candidates = lambda: range(wanted, wanted + 1)
try:
    with ports.reserved_port(Path(sys.argv[1]), connects="connects" in sys.argv):
        print("free")
except ports.LabError as error:
    print(error)
"""

        def asked(locks: Path, *more: str) -> str:
            command = [sys.executable, "-c", asking, str(locks), str(port), *more]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        assert "no TCP port is free" in asked(tmp_path)
        assert "no TCP port is free" in asked(tmp_path / "other")  # somebody listens there
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [str(port)]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert asked(tmp_path) == asked(tmp_path, "connects") == "free\n"
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(server.getsockname()) as client:
        server.accept()[0].close()  # who closes first is the one in TIME_WAIT
        assert client.recv(1) == b""
    assert asked(tmp_path) == "free\n"
    assert "no TCP port is free" in asked(tmp_path, "connects")
