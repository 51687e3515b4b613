"""What a person at a terminal gets: colours, a live line, nothing of either when not wanted."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Cli

Write = Callable[[str, str], Path]

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RUBBED_OUT = "\x1b[2K"
"""Erase the line: what a live line needs."""


def on_a_terminal(cli: Cli, *arguments: str, **environment: str) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm-256color", "COLUMNS": "100", **environment}
    process = cli.start(*arguments, stdout=theirs, stderr=theirs, env=terminal)
    os.close(theirs)
    told = b""
    try:
        while chunk := os.read(ours, 65536):
            told += chunk
    except OSError:  # EIO: the other end is closed
        pass
    os.close(ours)
    return process.wait(timeout=60), told.decode()


def test_a_terminal_gets_colours_and_a_live_line(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    code, told = on_a_terminal(cli, "small.yaml")
    assert code == 0
    assert COLOUR.search(told)
    assert RUBBED_OUT in told
    words = COLOUR.sub("", told)
    assert "✓ with the certificate[client.tls=TLSv1.3]" in words
    assert "4 passed of 4 cases" in words
    assert words.rstrip().splitlines()[-1].startswith("python 3"), "the live line is gone at the end"


@pytest.mark.parametrize(
    ("arguments", "environment", "coloured", "live"),
    [
        ([], {"NO_COLOR": "1"}, False, True),
        (["--color=never"], {}, False, True),
        (["--color=always"], {"NO_COLOR": "1"}, True, True),
        ([], {"TERM": "dumb"}, False, False),
    ],
)
def test_what_is_not_wanted_is_left_out(
    cli: Cli, write: Write, arguments: list[str], environment: dict[str, str], coloured: bool, live: bool
) -> None:
    write("small.yaml", SMALL)
    code, told = on_a_terminal(cli, "small.yaml", *arguments, **environment)
    assert code == 0
    assert bool(COLOUR.search(told)) is coloured
    assert (RUBBED_OUT in told) is live


def test_mistakes_are_coloured_too(cli: Cli, write: Write) -> None:
    write("bad.yaml", SMALL.replace("client_auth", "clientauth"))
    code, told = on_a_terminal(cli, "bad.yaml")
    assert code == 2
    assert COLOUR.search(told)
    code, told = on_a_terminal(cli, "bad.yaml", NO_COLOR="1")
    assert code == 2
    assert not COLOUR.search(told)
