"""The recipes' scenarios pass, and their commands are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtls_runner.cli.commands import root
from mtls_runner.engine.lab import Lab
from mtls_runner.language import load
from mtls_runner.model.verdict import Status

_TEXT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
_SCENARIOS = re.findall(r"<!-- scenario: (\S+) -->\n```yaml\n(.*?)```", _TEXT, re.DOTALL)


@pytest.mark.parametrize(("name", "text"), _SCENARIOS)
def test_it_passes(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text)
    plan = load(file)
    assert plan.warnings == ()
    assert plan.cases
    with Lab(plan) as lab:
        assert {lab.run(case).status for case in plan.cases} == {Status.PASS}


def test_the_cross_signed_root_that_is_mentioned(tmp_path: Path) -> None:
    """Without it in the chain, the same client is refused."""
    authority = re.search(r"`(cross: \{like: new, [^`]*\})`", _TEXT)
    client = re.search(r"`client: (\{certificate: new-client, chain: \[cross\]\})`", _TEXT)
    assert authority is not None
    assert client is not None
    text = dict(_SCENARIOS)["rotate.yaml"].replace("leaves:", f"  {' '.join(authority[1].split())}\nleaves:")
    text += f"  - {{name: cross, server: before, client: {client[1]}, expect: accepted}}\n"
    file = tmp_path / "rotate.yaml"
    file.write_text(text)
    plan = load(file)
    with Lab(plan) as lab:
        statuses = {case.name: lab.run(case).status for case in plan.cases}
    assert statuses["cross"] is Status.PASS
    assert statuses["before, new"] is Status.PASS  # refused, as expected


def test_commands_are_there() -> None:
    words = set(re.findall(r"mtls-run ([a-z]+) ", _TEXT))
    assert words
    assert words <= set(root.commands)
