"""A reason that the evidence allows beside others: it holds, everybody is told, and under --strict it does not."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mtls_runner.cli import main
from mtls_runner.cli.program import ExitCode

pytest_plugins = ["pytester"]

#: What can't be read of the intermediate is an error of OpenSSL's before its verdict: curl writes no code, and its alert is
#: unknown_ca, which stands for much else.
SCENARIO = """
authorities:
  root: {}
  issuing: {issuer: root, extensions: {2.5.29.15: 03 09}}
leaves: {server: {issuer: issuing}}
server: {client_auth: none, trust: root}
cases:
  - {name: by its alert alone, client: {tool: curl, trust: root}, expect: {client-refused: EXPECTED}}
  - {name: by its own code, client: {tool: python, trust: root}, expect: {client-refused: unknown-ca}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "doubtful.yaml"
    path.write_text(SCENARIO.replace("EXPECTED", "unknown-ca"))
    return path


REPORTS = ("--json", "a.json", "--junit", "a.xml", "--html", "a.html")


def test_it_holds_and_every_report_says_how_far(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(file), *REPORTS]) == ExitCode.OK
    shown = capsys.readouterr().out
    assert "undetermined: this end can't tell unknown-ca from self-signed" in shown
    assert "2 passed (1 undetermined) of 2 cases" in shown
    report = json.loads(Path("a.json").read_text())
    doubtful, sure = report["cases"]
    assert report["summary"]["undetermined"] == 1
    assert (doubtful["verdict"], sure["verdict"]) == ("pass", "pass")
    assert "self-signed" in doubtful["undetermined"]
    assert sure["undetermined"] is None
    assert (doubtful["observed"]["determined"], sure["observed"]["determined"]) == (False, True)
    assert (doubtful["observed"]["reason"], sure["observed"]["reason"]) == (None, "unknown-ca")
    assert set(doubtful["observed"]["reasons"]) == {"unknown-ca", *doubtful["undetermined"]}
    (suite,) = ET.parse("a.xml").getroot()  # noqa: S314 - written by the lab
    counted = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert counted["undetermined"] == "1"
    assert next(each.text or "" for each in suite.iter("system-out")).count("undetermined") == 1
    assert "1 of them undetermined" in Path("a.html").read_text()


def test_under_strict_it_fails_and_says_why(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--strict", str(file), *REPORTS]) == ExitCode.FAILED
    shown = capsys.readouterr().out
    assert "which --strict forbids" in shown
    assert "1 failed (1 undetermined), 1 passed of 2 cases" in shown
    report = json.loads(Path("a.json").read_text())
    assert [case["verdict"] for case in report["cases"]] == ["fail", "pass"]
    assert (report["summary"]["pass"], report["summary"]["fail"]) == (1, 1)


@pytest.mark.parametrize(
    ("expected", "code", "doubts"),
    [
        ("[unknown-ca, self-signed, invalid-ca, path-length]", ExitCode.OK, 0),
        ("[self-signed, expired]", ExitCode.OK, 1),
        ("expired", ExitCode.FAILED, 0),
        ("other", ExitCode.FAILED, 0),
    ],
)
def test_a_set_is_expected_as_a_set(file: Path, expected: str, code: ExitCode, doubts: int) -> None:
    file.write_text(SCENARIO.replace("EXPECTED", expected))
    assert main(["run", str(file), *REPORTS[:2]]) == code
    assert json.loads(Path("a.json").read_text())["summary"]["undetermined"] == doubts


def test_the_plug_in_has_the_same_rule(pytester: pytest.Pytester) -> None:
    pytester.makefile(".yaml", doubtful=SCENARIO.replace("EXPECTED", "self-signed"))
    options = ("-p", "no:cacheprovider", "doubtful.yaml")
    pytester.inline_run(*options).assertoutcome(passed=2)
    strict = pytester.inline_run("--mtls-strict", *options)
    strict.assertoutcome(passed=1, failed=1)
