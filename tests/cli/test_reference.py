"""The page about the commands says what the program says."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from mtls_runner.cli.commands import root
from mtls_runner.cli.manual import PAGES, reference
from mtls_runner.cli.program import PRECEDENCE, ExitCode
from mtls_runner.cli.reference import PAGE, main
from tests.cli.conftest import Cli

TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- help: ([a-z -]+) -->\n```\n(.*?)```\n<!-- end -->", TEXT, re.DOTALL))


def test_it_has_every_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err
    assert list(BLOCKS) == ["mtls-run", *root.commands]
    for name in root.commands:
        assert f"\n## mtls-run {name}\n" in TEXT
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace("--fail-fast", "--fail-slow"))
    assert main(["--check", "--page", str(page)]) == 1
    assert "is not current" in capsys.readouterr().err
    assert main(["--page", str(page)]) == 0
    assert page.read_text() == TEXT


@pytest.mark.parametrize("name", BLOCKS)
def test_help_is_what_the_page_has(cli: Cli, name: str) -> None:
    arguments = [] if name == "mtls-run" else [name]
    done = cli(*arguments, "--help", env={"COLUMNS": "100"})
    assert done.returncode == 0
    assert done.stdout == BLOCKS[name]


def test_exit_codes_and_which_one_wins() -> None:
    table = re.findall(r"^\| (\d+) \| ", TEXT, re.MULTILINE)
    assert sorted(map(int, table)) == sorted(int(code) for code in ExitCode)
    wins = re.search(r"the first of ([\d, ]+) wins", TEXT)
    assert wins is not None
    assert [int(code) for code in wins[1].split(", ")] == [int(code) for code in PRECEDENCE if code]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (PAGE.parent / target).exists(), target
    headings = {"#" + heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}
    for anchor in re.findall(r"\]\((#[^)]+)\)", TEXT):
        assert anchor in headings


@pytest.mark.parametrize(("words", "found"), [("mtls-run se", "serve"), ("mtls-run forge --fo", "--format")])
def test_completion_as_the_page_sets_it_up(cli: Cli, words: str, found: str) -> None:
    script = cli(env={"_MTLS_RUN_COMPLETE": "bash_source"}).stdout
    complete = cli.environment(PATH=f"{Path(cli.command).parent}:/usr/bin:/bin")
    program = f"{script}\nCOMP_WORDS=({words}) COMP_CWORD={len(words.split()) - 1}\n_mtls_run_completion mtls-run\n"
    done = subprocess.run(
        ["bash", "-c", program + 'printf "%s\\n" "${COMPREPLY[@]}"'],
        cwd=cli.directory,
        env=complete,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found in done.stdout.split(), done.stderr
    assert "init" not in done.stdout.split()


def test_the_pages_are_there_for_somebody_without_the_repository(capsys: pytest.CaptureFixture[str]) -> None:
    included = tomllib.loads((PAGE.parents[1] / "pyproject.toml").read_text())
    wheel = included["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert wheel == {f"docs/{name}.md": f"mtls_runner/docs/{name}.md" for name in PAGES}
    (argument,) = root.commands["reference"].params
    assert isinstance(argument.type, click.Choice)
    assert tuple(argument.type.choices) == tuple(PAGES)
    assert reference(None) == ExitCode.OK
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(PAGES)
    for name in PAGES:
        assert reference(name) == ExitCode.OK
        assert capsys.readouterr().out == (PAGE.parent / f"{name}.md").read_text()


def test_how_many_faults_there_are_is_said_in_one_place() -> None:
    pages = [PAGE.parents[1] / "README.md", *PAGE.parent.rglob("*.md")]
    counted = {"atlas.md", "divergences.md", "outcomes.md"}  # by what writes these pages
    assert {page.name for page in pages if re.search(r"\b\d{2,} faults\b", page.read_text())} == counted
