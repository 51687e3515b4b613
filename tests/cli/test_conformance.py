"""``mtls-run conformance``, on the embedded server with the Python client."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mtls_runner.cli import main
from mtls_runner.conformance import catalogue

from .conftest import Cli

pytestmark = pytest.mark.timeout(300)

QUICK = ("conformance", "--backend", "python", "--tool", "python", "--jobs", "2")


def test_it_says_where_the_catalogue_is(cli: Cli) -> None:
    result = cli("conformance", "--where")
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(path.stem for path in Path(result.stdout.strip()).glob("*.yaml"))[:2] == ["chain", "constraints"]


def test_a_file_of_the_catalogue_is_a_scenario_like_any_other(cli: Cli) -> None:
    directory = Path(cli("conformance", "--where").stdout.strip())
    result = cli(str(directory / "names.yaml"), "--tool", "python", "-k", "wildcard")
    assert result.returncode == 0
    assert "client refused the server: name-mismatch" in result.stdout


def test_it_writes_every_form_and_checks_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of two files of the catalogue, run twice; ``tests/conformance`` runs them all."""
    few = tmp_path / "few"
    few.mkdir()
    for name in ("lab.yaml", "trust.yaml", "validity.yaml"):
        if (catalogue.CATALOGUE / name).exists():
            shutil.copy(catalogue.CATALOGUE / name, few)
    monkeypatch.setattr(catalogue, "CATALOGUE", few)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stale.md").write_text("# nothing\n")
    told = ("--json", "told.json", "--html", "told.html", "--markdown", "told.md")
    assert main([*QUICK, *told, "--check", "stale.md"]) == 1
    said = capfd.readouterr()
    assert said.err == (
        "mtls-run: stale.md is not current: make it again with --markdown stale.md, and look at what changed\n"
    )
    assert " 0 failed, 0 broken" in said.out
    assert "where ends differ" in said.out
    summary = json.loads((tmp_path / "told.json").read_text())["summary"]
    assert summary["faults"] >= 10
    assert summary["fail"] == summary["error"] == 0
    assert (tmp_path / "told.html").read_text().startswith("<!DOCTYPE html>")

    assert main([*QUICK, "--check", "told.md", "--json", "-"]) == 0
    said = capfd.readouterr()
    assert "told.md is current" in said.out + said.err
    assert json.loads(said.out.partition("told.md is current")[0])["summary"] == summary


@pytest.mark.parametrize("arguments", [("--backend", "iis"), ("--tool", "wget"), ("--check", "absent.md"), ("-j", "0")])
def test_what_it_cannot_do_is_a_mistake_of_usage_before_any_work(cli: Cli, arguments: tuple[str, str]) -> None:
    result = cli("conformance", *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert arguments[1] in result.stderr
