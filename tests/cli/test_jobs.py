"""How many cases are run at once where nobody says it."""

from __future__ import annotations

import os
import selectors
import socket
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
