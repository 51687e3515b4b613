"""``mtls-run conformance``, mostly on the embedded server with the Python client."""

from __future__ import annotations

import json
import platform
import re
import shutil
from pathlib import Path

import pytest

from mtls_runner.cli import main
from mtls_runner.conformance import catalogue
from mtls_runner.conformance.json_form import read_json
from mtls_runner.language.implementations.reading import DIRECTORY

from ..container_engine import IMAGE, docker_client
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


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of the catalogue; ``tests/conformance`` runs them all."""
    directory = tmp_path / "few"
    directory.mkdir()
    for name in ("lab.yaml", "trust.yaml", "validity.yaml"):
        shutil.copy(catalogue.CATALOGUE / name, directory)
    monkeypatch.setattr(catalogue, "CATALOGUE", directory)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("few")
def test_it_writes_every_form_and_checks_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stale.md").write_text("# nothing\n")
    told = ("--json", "told.json", "--html", "told.html", "--markdown", "told.md")
    assert main([*QUICK, *told, "--check", "stale.md"]) == 1
    said = capfd.readouterr()
    assert said.err == (
        "mtls-run: stale.md is not current: make it again with --markdown stale.md, and look at what changed\n"
    )
    assert " 0 failed, 0 broken" in said.out
    assert "where ends differ" not in said.out  # there is one server
    assert "not run" not in said.out
    summary = json.loads((tmp_path / "told.json").read_text())["summary"]
    assert summary["faults"] >= 10
    assert summary["cells"] == summary["seen"] > 50
    assert summary["unexpected"] == summary["broken"] == 0
    assert (tmp_path / "told.html").read_text().startswith("<!DOCTYPE html>")

    # What is known is not run again, and says the same.
    assert main([*QUICK, "--resume", "told.json", "--check", "told.md", "--json", "-"]) == 0
    said = capfd.readouterr()
    assert f"{summary['cells']} cells are known already, 0 are left" in said.err
    assert main([*QUICK, "--fault", "the client's certificate has expird"]) == 2
    said_of_a_slip = capfd.readouterr().err
    assert 'the catalogue has no case "the client\'s certificate has expird"; did you mean' in said_of_a_slip
    assert len(said_of_a_slip) < 200, "of some hundreds of names only those that are near"
    assert "told.md is current" in said.out + said.err
    assert json.loads(said.out.partition("told.md is current")[0])["summary"] == summary


@pytest.mark.usefixtures("few")
def test_parts_are_the_whole_and_each_changed_cell_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for part in ("1/2", "2/2"):
        assert main([*QUICK, "--shard", part, "--json", f"{part[0]}.json"]) == 0
    assert main(["conformance", "--merge", "1.json", "--merge", "2.json", "--json", "whole.json"]) == 0
    one, two, whole = (read_json(f"{name}.json") for name in ("1", "2", "whole"))
    assert {file.name for file in one.files} == {"trust"}
    assert {file.name for file in two.files} == {"validity"}
    assert whole.files == one.files + two.files

    # A cell of another version or catalogue is run again, and no other; the file is kept current.
    text = (tmp_path / "whole.json").read_text("utf-8")
    key = re.findall(r'"key": "(\w+)"', text)[0]
    (tmp_path / "older.json").write_text(text.replace(key, "0" * 12), "utf-8")
    capfd.readouterr()
    assert main([*QUICK, "--resume", "older.json"]) == 0
    assert f"{len(list(whole.cells)) - 1} cells are known already, 1 are left" in capfd.readouterr().err
    assert read_json("older.json").files == whole.files

    fault = ["--fault", "the client's authority is not trusted"]
    assert main([*QUICK, *fault, "--check", "whole.json"]) == 0
    said = capfd.readouterr()
    assert "whole.json: 4 cells compared, 0 changed: it is current" in said.out  # its control's, too
    assert "both ends trust the other's authority" in said.out
    assert "expired" not in said.out
    text = text.replace(platform.python_version(), "3.9.1")
    (tmp_path / "other.json").write_text(text.replace('"unknown-ca"', '"expired"'), "utf-8")
    assert main([*QUICK, *fault, "--check", "other.json"]) == 1
    said = capfd.readouterr()
    assert said.err.count("\n") == 2
    assert (
        "mtls-run: trust: the client's authority is not trusted (server python, client python, TLSv1.2): was "
        "server-refused: expired, alert unknown_ca, verify code 20, is server-refused: unknown-ca, alert unknown_ca, "
        "verify code 20 ("
    ) in said.err
    assert "(python 3.9.1 → " in said.err
    assert main(["conformance", "--merge", "whole.json", "--merge", "other.json", "--json", "both.json"]) == 2
    assert f"whole.json was measured with python {platform.python_version()}" in capfd.readouterr().err
    assert not (tmp_path / "both.json").exists()


@pytest.mark.usefixtures("few")
def test_an_implementation_of_the_tree_that_it_is_run_in_takes_part_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ("conformance", "--servers", "ours", "--tool", "python", "--fault", "the client's certificate has expired")
    assert main([*asked]) == 2
    assert "there is no backend 'ours'" in capfd.readouterr().err
    for tree in ("good", "bad"):
        shutil.copytree(DIRECTORY / "s_server", tmp_path / tree / "implementations" / "ours")
    monkeypatch.chdir("good")
    assert main([*asked, "--json", "ours.json", "--html", "ours.html"]) == 0
    cells = {(case.name, place.backend): cell.seen for _, case, place, cell in read_json("ours.json").cells}
    assert set(cells) == {
        ("all of the client's chain is valid", "ours"),
        ("the client's certificate has expired", "ours"),
    }
    seen = cells["the client's certificate has expired", "ours"]
    assert seen is not None
    assert (seen.outcome, seen.reasons) == ("server-refused", ("expired",))
    monkeypatch.chdir("../bad")
    declaration = Path("implementations/ours/implementation.yaml")
    declaration.write_text(declaration.read_text().replace("command:", "comand:", 1))
    assert main([*asked]) == 2
    assert "implementations/ours/implementation.yaml:" in capfd.readouterr().err


@pytest.mark.usefixtures("few", "nginx_engine")
def test_versions_of_a_program_stand_beside_each_other(tmp_path: Path) -> None:
    arguments = ["--servers", f"nginx,nginx@{tmp_path.name}", "--tool", "python", "--json", "both.json"]
    with docker_client() as client:
        client.tag(IMAGE, "nginx", tmp_path.name)
        try:
            assert main(["conformance", *arguments, "--fault", "the client's certificate has expired"]) == 0
        finally:
            client.remove_image(f"nginx:{tmp_path.name}", noprune=True)
    told = read_json("both.json")
    assert list(told.servers) == ["nginx", f"nginx@{tmp_path.name}"]
    assert {place.backend for _, _, place, cell in told.cells if cell.seen is not None} == set(told.servers)
    for name, end in told.servers.items():
        assert {told.versions[name], told.versions[f"openssl ({name})"]} == set(end.versions.values())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--backend", "iis"),
        ("--tool", "wget"),
        ("--check", "absent.md"),
        ("-j", "0"),
        ("--shard", "3/2"),
        ("--fault", "no such fault"),
        ("-k", "nosuchfault"),
        ("--servers", "go@1.2"),
        ("--merge", "absent.json"),
    ],
)
def test_what_it_cannot_do_is_a_mistake_of_usage_before_any_work(cli: Cli, arguments: tuple[str, str]) -> None:
    result = cli("conformance", *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert arguments[1] in result.stderr


def test_servers_that_only_have_to_start_are_met_by_no_client(cli: Cli, tmp_path: Path) -> None:
    result = cli(*QUICK, "--fault", "server.without-the-passphrase", "--markdown", str(tmp_path / "told.md"))
    assert result.returncode == 0, result.stderr
    assert "server-unusable: passphrase-needed" in result.stdout
    (line,) = [line for line in (tmp_path / "told.md").read_text().splitlines() if "against python" in line]
    assert ", with " not in line
