"""What docs/python.md shows is what happens, and it has every public name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mtls_runner

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text()
PROGRAM, SCENARIO, PRINTED = re.findall(r"```\w*\n(.*?)```", PAGE, re.DOTALL)[:3]


def run(directory: Path, scenario: str) -> subprocess.CompletedProcess[str]:
    (directory / "first.yaml").write_text(scenario)
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)


def test_the_example_prints_what_is_shown(tmp_path: Path) -> None:
    done = run(tmp_path, SCENARIO)
    assert (done.stdout, done.stderr) == (PRINTED, "")


def test_a_case_that_does_not_hold_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, SCENARIO.replace("expect: accepted", "expect: {server-refused: expired}"))
    assert "fail a friend - accepted, status 200" in done.stdout
    assert "Status.FAIL" in done.stdout


@pytest.mark.parametrize("name", [name for name in mtls_runner.__all__ if name != "__version__"])
def test_every_public_name_is_explained(name: str) -> None:
    base = getattr(mtls_runner, name)
    below = isinstance(base, type) and issubclass(base, mtls_runner.MtlsRunError)
    assert re.search(rf"`{name}\b", PAGE) or below
