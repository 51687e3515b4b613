"""The examples of docs/pytest.md, run as they are printed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ..inner_pytest import run_pytest

pytest_plugins = ["pytester"]

TEXT = (Path(__file__).parents[2] / "docs/pytest.md").read_text()
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL))
TESTS = sorted(name for name in FILES if name.endswith(".py"))


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    for name, text in FILES.items():
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return pytester


def test_each_library_has_its_example() -> None:
    imported = {
        name.name
        for test in TESTS
        for node in ast.walk(ast.parse(FILES[test]))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert {"aiohttp", "httpx", "requests"} <= imported


@pytest.mark.parametrize("name", TESTS)
def test_an_example_passes(project: pytest.Pytester, name: str) -> None:
    result = run_pytest(project, name)
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}, outcomes
    assert outcomes["passed"] >= FILES[name].count("\ndef test_")


@pytest.mark.parametrize("name", TESTS)
def test_an_example_fails_where_nobody_is_refused(project: pytest.Pytester, name: str) -> None:
    path = project.path / "labs/clients.yaml"
    path.write_text(path.read_text().replace("not_before: -10d, not_after: -1d", "not_after: 10d"))
    assert run_pytest(project, name).ret == pytest.ExitCode.TESTS_FAILED


def test_the_output_is_the_one_that_is_shown(project: pytest.Pytester) -> None:
    shown = re.search(r"```\n(test_every_case.*?)```", TEXT, re.DOTALL)
    assert shown is not None
    result = run_pytest(project, "test_every_case.py", "-v", "-p", "no:xdist")
    seen = [re.sub(r" +\[ *\d+%\]", "", line) for line in result.outlines if " PASSED" in line]
    assert seen == shown[1].splitlines()


def test_the_scenario_passes(project: pytest.Pytester) -> None:
    run_pytest(project, "labs/clients.yaml").assert_outcomes(passed=4)
