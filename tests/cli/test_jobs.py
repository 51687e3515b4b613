"""How many cases are run at once where nobody says it."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Cli

Write = Callable[[str, str], Path]


def at_once(listener: socket.socket) -> int:
    """How many of two clients wait for an answer together: the first has hung up before the second comes, or not."""
    first, _ = listener.accept()
    with first, selectors.DefaultSelector() as selector:
        selector.register(first, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if first in ready:  # looked at first: who comes once it has hung up was not there with it
                if not first.recv(4096):
                    return 1
            elif listener in ready:
                listener.accept()[0].close()
                return 2


@pytest.mark.parametrize(
    ("arguments", "lab", "number"),
    [
        pytest.param((), "", 2, id="embedded"),
        pytest.param(("--tool", "curl"), "", 1, id="a program"),
        pytest.param(("-x",), "", 1, id="fail fast"),
        pytest.param(("-j", "1"), "", 1, id="an option"),
        pytest.param((), "jobs: 1\n", 1, id="lab.yaml"),
    ],
)
def test_so_many_at_once(cli: Cli, write: Write, arguments: tuple[str, ...], lab: str, number: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        timeout = 0.5 if number == 1 else 60
        described = f"{{connect: '127.0.0.1:{listener.getsockname()[1]}', timeout: {timeout}}}"
        write("two.yaml", SMALL.replace("client: client", f"client: {described}"))
        if lab:
            write("lab.yaml", lab)
        with cli.start("two.yaml", "-k", "'with the'", *arguments, env={}) as process:
            found = at_once(listener)
            listener.close()
            process.communicate(timeout=60)
    assert found == min(number, os.cpu_count() or 1)
    assert process.returncode == 1  # nobody has answered


#: One case has begun to load what makes keys, which takes its time, when the next one needs keys, too.
_LOADED = """
import sys, threading, time
from pathlib import Path
from mtls_runner import Lab, load
begun = threading.Event()
class Late:
    def find_spec(self, name, *_):
        if name == "mtls_runner.pki" and not begun.is_set():
            begun.set()
            time.sleep(2)
sys.meta_path.insert(0, Late())
plan = load(Path("brief.yaml"))
with Lab(plan) as lab:
    verdicts = []
    first = threading.Thread(target=lambda: verdicts.append(lab.run(plan.cases[0])))
    first.start()
    begun.wait(60)
    verdicts.append(lab.run(plan.cases[1]))
    first.join()
sys.exit("\\n".join(str(one.error or one.mismatches) for one in verdicts if one.status != "pass") or 0)
"""
_BRIEF = """\
ca: {}
leaves: {server: {}, client: {usage: client}, brief: {usage: client, not_after: +1m}}
server: {certificate: server, trust: [ca]}
cases:
  - {name: one, client: client, expect: accepted}
  - {name: another, client: brief, expect: accepted}
"""


def test_two_cases_may_load_what_makes_keys(tmp_path: Path) -> None:
    """One for its server, the other for certificates that are dated when it runs."""
    (tmp_path / "brief.yaml").write_text(_BRIEF)
    command = [sys.executable, "-c", _LOADED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
