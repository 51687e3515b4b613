"""Runs exported scripts, and reads what they print (the Test Anything Protocol)."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Line", "Run", "run"]

_LINE = re.compile(r"^(not )?ok \d+ - (.*) # (.*)$")
_ESCAPED = re.compile(r"\\([\\#])")
"""TAP 14, "Escaping"."""
_SEEN = re.compile(r"^(.*), curl exit (\d+), status (\d+)$")
_SECONDS = 300


@dataclass(frozen=True)
class Line:
    """One case; ``exit`` and ``status`` are -1 where it only starts a server."""

    name: str
    passed: bool
    outcome: str
    exit: int
    status: int


@dataclass(frozen=True)
class Run:
    """The script's exit code, what it said, and its cases by name."""

    code: int
    text: str
    cases: Mapping[str, Line]


def run(script: Path, temporary: Path, **environment: str) -> Run:
    """Run a script with a temporary directory of its own, which it must leave empty."""
    temporary.mkdir(exist_ok=True)
    finished = subprocess.run(
        ["bash", str(script)],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(temporary)} | environment,
    )
    text = finished.stdout + finished.stderr
    assert not list(temporary.iterdir()), text
    return Run(finished.returncode, text, {line.name: line for line in _lines(finished.stdout)})


def _lines(text: str) -> list[Line]:
    found = []
    for printed in text.splitlines():
        if match := _LINE.match(printed):
            seen = _SEEN.match(match[3])
            outcome, code, status = (seen[1], int(seen[2]), int(seen[3])) if seen else (match[3], -1, -1)
            found.append(Line(_ESCAPED.sub(r"\1", match[2]), match[1] is None, outcome, code, status))
    return found
