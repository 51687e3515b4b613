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


def test_the_examples_pass_with_the_output_that_is_shown(project: pytest.Pytester) -> None:
    shown = re.search(r"```\n(test_every_case.*?)```", TEXT, re.DOTALL)
    assert shown is not None
    result = run_pytest(project, *TESTS, "labs/clients.yaml", "-v", "-p", "no:xdist")
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}, outcomes
    seen = [re.sub(r" +\[ *\d+%\]", "", line) for line in result.outlines if " PASSED" in line]
    assert [line for line in seen if line.startswith("test_every_case")] == shown[1].splitlines()
    assert sum(line.startswith("labs/clients.yaml::") for line in seen) == 4
    for name in TESTS:
        assert sum(line.startswith(f"{name}::") for line in seen) >= FILES[name].count("\ndef test_")


def test_each_example_fails_where_nobody_is_refused(project: pytest.Pytester) -> None:
    path = project.path / "labs/clients.yaml"
    path.write_text(path.read_text().replace("not_before: -10d, not_after: -1d", "not_after: 10d"))
    result = run_pytest(project, *TESTS, "-rf")
    assert {re.split(r" |::", line)[1] for line in result.outlines if line.startswith("FAILED ")} == set(TESTS)
