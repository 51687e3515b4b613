"""``mtls-run init`` as typed: what it writes runs, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.cli import main
from mtls_runner.engine.lab import Lab
from mtls_runner.language import Overrides, load
from mtls_runner.language.json_schema import schema_text
from mtls_runner.model.verdict import Status


def _statuses(scenario: Path, overrides: Overrides | None = None) -> list[tuple[str, Status]]:
    plan = load(scenario, overrides or Overrides())
    assert plan.warnings == ()
    with Lab(plan) as lab:
        return [(case.name, lab.run(case).status) for case in plan.cases]


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_the_first_scenario_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str], tool: str) -> None:
    assert main(["init", str(tmp_path / "new")]) == 0
    assert f"next: mtls-run {tmp_path / 'new' / 'first.yaml'}" in capsys.readouterr().out
    found = _statuses(tmp_path / "new" / "first.yaml", Overrides(tool=tool))
    assert len(found) == 12
    assert {status for _, status in found} == {Status.PASS}


def test_lab_yaml_holds_the_defaults(tmp_path: Path) -> None:
    main(["init", str(tmp_path)])
    before = load(tmp_path / "first.yaml")
    (tmp_path / "lab.yaml").unlink()
    assert load(tmp_path / "first.yaml").cases == before.cases


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lab.yaml").write_text("jobs: 3\n")
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / "lab.yaml").read_text() == "jobs: 3\n"
    assert "left" in capsys.readouterr().out
    (tmp_path / "first.yaml").write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert (tmp_path / "first.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "nginx:1.27"], "--image goes with --from-nginx"),
        (["--key", "KEY"], "go with --certificate"),
        (["--from-nginx", "KEY", "--certificate", "KEY"], "two ways to begin"),
    ],
)
def test_options_that_do_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "file").touch()
    given = [str(tmp_path / "file") if argument == "KEY" else argument for argument in arguments]
    assert main(["init", str(tmp_path / "new"), *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_editor_knows_the_language_by_the_first_line(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    first = (tmp_path / "first.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=scenario.schema.json"
    assert (tmp_path / "scenario.schema.json").read_text() == schema_text("scenario")
    (tmp_path / "first.yaml").unlink()
    (tmp_path / "scenario.schema.json").write_text("{}")  # somebody's own stays
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / "scenario.schema.json").read_text() == "{}"
