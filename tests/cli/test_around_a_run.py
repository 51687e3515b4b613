"""What is chosen, checked and summed up around a run; the program within this process."""

from __future__ import annotations

import html
import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mtls_runner.cli.program import program
from tests.cli.conftest import FAILING, SMALL

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["small.yaml::wiht the certificate"],
            2,
            "is called 'wiht the certificate'; did you mean 'with the certificate'?",
        ),
        (["small.yaml::zzz"], 2, "there are: 'without a certificate', 'with the certificate'"),
        (["explain", "small.yaml", "zzz"], 2, "there are: 'without a certificate', 'with the certificate'"),
        (["small.yaml", "-k", "zzz"], 5, "no case matches -k 'zzz'; there are: 'without a certificate', 'with the"),
        (["small.yaml", "--tag", "quik"], 5, "no file has the tag 'quik'; did you mean 'quick'?"),
        (["small.yaml", "--tag", "zzz"], 5, "no file has the tag 'zzz'; there are: 'quick'"),
        (["small.yaml", "-k", "(" * 5000], 2, "more than 50 parentheses and 'not' within each other"),
        (["small.yaml", "-k", "not " * 5000 + "a"], 2, "more than 50 parentheses and 'not' within each other"),
        (["lab.yaml"], 2, "lab.yaml holds settings and no cases"),
        (["odd\u202e\x1b[31m.yaml"], 2, "no such file or directory: odd\\u202e\\x1b[31m.yaml"),
    ],
)
def test_what_matches_nothing_is_told_with_what_there_is(
    write: Write, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    write("small.yaml", SMALL)
    write("lab.yaml", "jobs: 2\n")
    assert program(arguments) == code
    told = capsys.readouterr()
    assert said in told.err
    assert max(map(len, told.err.splitlines())) < 300
    assert not told.out


def test_long_expressions_that_are_not_deep_are_read(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("small.yaml", SMALL)
    assert program(["small.yaml", "--list", "-k", "with" + " and with or zzz" * 5000]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_shells_star_may_bring_lab_yaml_along(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("small.yaml", SMALL)
    write("lab.yaml", "jobs: 2\n")
    assert program(["lab.yaml", "small.yaml", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_config_does_not_search_a_whole_disk(write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write("deep/er/small.yaml", SMALL)
    assert program(["config"]) == 0
    assert capsys.readouterr().out.startswith("deep/er/small.yaml\n")
    for number in range(2000):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
    assert program(["config"]) == 2
    assert f"{tmp_path} holds more than 2000 directories: name the scenarios" in capsys.readouterr().err
    assert program(["config", "deep"]) == 0


def test_check_validates_and_runs_nothing(write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write("small.yaml", SMALL)
    write("failing.yaml", SMALL.replace("leaves:\n", "leaves:\n  idle: {subject: CN=idle}\n"))
    write("lab.yaml", "jobs: 2\n")
    assert program(["check", "small.yaml", "failing.yaml", "lab.yaml"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "small.yaml: 4 cases, all right",
        "failing.yaml: 4 cases, all right but for 1 warning",
        "lab.yaml: settings, all right",
    ]
    assert "nothing uses the leaf 'idle'" in told.err
    assert program(["check", "--strict", "small.yaml", "failing.yaml"]) == 2
    capsys.readouterr()
    write("lab.yaml", "jobs: many\n")
    write("wrong.yaml", SMALL.replace("accepted", "acepted"))
    assert program(["check", "lab.yaml", "wrong.yaml"]) == 2
    told = capsys.readouterr()
    assert "lab.yaml:1:7" in told.err
    assert "did you mean 'accepted'?" in told.err
    assert not (tmp_path / "cache").exists()


def test_the_hook_for_pre_commit_is_that_command() -> None:
    (hook,) = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
    assert (hook["entry"], hook["language"]) == ("mtls-run check", "python")
    meant = ("scenarios/a.yaml", "scenarios/deep/er.yml", "lab.yaml", "mtls/lab.yaml")
    assert [name for name in (*meant, "compose.yaml", "slab.yaml") if re.search(hook["files"], name)] == list(meant)


def _scripts(value: object) -> list[str]:
    """Everything that a shell is given, however deep."""
    if isinstance(value, dict):
        found = [line for key in ("run", "script") for line in _lines(value.get(key))]
        return found + [line for inner in value.values() for line in _scripts(inner)]
    return [line for inner in value for line in _scripts(inner)] if isinstance(value, list) else []


def _lines(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value] if isinstance(value, list) else []


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
def test_the_examples_for_ci_are_yaml_whose_commands_there_are(
    name: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    example = yaml.safe_load((Path(__file__).parents[2] / "docs" / "ci" / name).read_text())
    commands = [shlex.split(line, comments=True) for line in _scripts(example) if line.startswith("mtls-run ")]
    assert len(commands) == 2
    write("scenarios/small.yaml", SMALL)
    for command in commands:
        assert program(command[1:]) == 0, capsys.readouterr().err
    artifacts = str(example)
    assert "mtls.xml" in artifacts
    assert Path("mtls.xml").exists()
    assert Path("mtls.html").exists()


def test_a_scenario_from_standard_input(
    write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("-", "this is no scenario")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SMALL.encode())))
    assert program(["-", "-k", "with and TLSv1.3"]) == 0
    assert "-  " in capsys.readouterr().out
    assert program(["./-"]) == 2
    assert "/-:1:1: error" in capsys.readouterr().err


def test_what_failed_last_quietly_slowly_and_on_the_jobs_page(
    write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    write("small.yaml", SMALL)
    write("some.yaml", FAILING)
    assert program(["some.yaml", "small.yaml", "-q", "--durations", "1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.startswith(("  ✓", "small.yaml", "some.yaml "))]
    assert len([line for line in lines if line.startswith("  ✗")]) == 2
    assert len([line for line in lines if line.endswith("]") and " s  " in line]) == 1
    summary = (tmp_path / "summary.md").read_text().splitlines()
    assert summary[0].startswith("### mtls-run: 2 failed, 6 passed in ")
    assert summary[-1].startswith(
        "| some.yaml::without a certificate&#91;client.tls=TLSv1.2&#93;<br>and 1 more | 10 | "
    )
    assert program(["some.yaml", "small.yaml", "--last-failed"]) == 1
    assert "2 failed of 2 cases" in capsys.readouterr().out
    write("some.yaml", SMALL)
    assert program(["some.yaml", "small.yaml", "--lf"]) == 0
    assert "2 passed of 2 cases" in capsys.readouterr().out
    assert program(["small.yaml", "--lf", "--list"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 4
    assert "no case is known to have failed here" in told.err
    assert not list((tmp_path / "cache" / "mtls-run" / "last-failed").iterdir())


def test_the_command_that_runs_a_case_again_is_the_one_that_was_typed(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def again(*arguments: str) -> str:
        assert program(list(arguments)) == 1
        told = capsys.readouterr().out
        assert "1 failed of 1 case" in told
        (line,) = [line for line in told.splitlines() if line.startswith("  again: ")]
        return line.partition(":")[2].strip()

    write("a b.yaml", SMALL.replace("expect: accepted", "expect: {outcome: accepted, status: 404}"))
    reports = ["--html", "report.html", "--junit", "report.xml", "--color", "never"]
    chosen = ["--tool", "curl", "--at", "+1d", "--strict", "--backend", "python"]
    command = again("a b.yaml", "-k", "TLSv1.3 and not without", *chosen, *reports)
    assert shlex.split(command)[1] == "a b.yaml::with the certificate[client.tls=TLSv1.3]"
    assert again(*shlex.split(command)[1:]) == command
    assert html.escape(command, quote=False) in (tmp_path / "report.html").read_text().replace("&#39;", "'")
    assert command in html.unescape((tmp_path / "report.xml").read_text())
    plain = again("a b.yaml::with the certificate[client.tls=TLSv1.2]")
    assert shlex.split(plain) == ["mtls-run", "a b.yaml::with the certificate[client.tls=TLSv1.2]"]


def test_many_variants_share_a_line(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    many = SMALL + "  client.timeout: [" + ", ".join(str(number) for number in range(1, 12)) + "]\n"
    write("many.yaml", many.replace("server-refused: no-certificate", "server-refused: expired"))
    assert program(["many.yaml"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "warning:" not in line]
    assert lines[1].startswith("  marks (client.tls, client.timeout): 1 TLSv1.2,1  2 TLSv1.2,2")
    assert lines[2] == f"  without a certificate  {'✗' * 22}  server-refused: no-certificate"
    assert lines[3] == f"  with the certificate   {'✓' * 22}  accepted"
    assert program(["many.yaml", "-k", "TLSv1.2", "--list"]) == 0
    capsys.readouterr()
    assert program(["many.yaml", "-k", "timeout=1]"]) == 1
    assert "marks" not in capsys.readouterr().out


def test_without_curl_the_other_clients_cases_hold(
    write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("MTLS_RUN_CURL", raising=False)
    write("small.yaml", SMALL + "  client.tool: [python, curl]\n")
    assert program(["small.yaml"]) == 3
    out = capsys.readouterr().out
    assert "4 broken, 4 passed of 8 cases" in out
    assert "the lab broke" not in out
    assert out.count("error: curl is not installed") == 1


def test_a_backend_that_could_run_what_was_skipped_is_offered(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    deep = SMALL.replace("trust: [ca]}", "trust: [ca], verify_depth: 2}")
    write("deep.yaml", deep)
    assert program(["deep.yaml"]) == 5
    assert capsys.readouterr().out.endswith("every case was skipped; on another backend none is: --backend nginx\n")
    assert program(["deep.yaml", "--backend", "python"]) == 5  # that is what was asked for
    assert "another backend" not in capsys.readouterr().out
    write("small.yaml", SMALL)
    assert program(["deep.yaml", "small.yaml"]) == 0
    assert "another backend" not in capsys.readouterr().out


def test_what_broke_cases_is_said_once_at_length(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("garbled.yaml", SMALL.replace("trust: [ca]}", f"trust: [ca], ciphers: {'NOPE:' * 20}NOPE}}"))
    assert program(["garbled.yaml"]) == 3
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("  ! ")]
    assert len(lines) == 4
    assert all(line.endswith("…") for line in lines)
    (told,) = [line for line in out.splitlines() if " error: " in line]
    assert "NOPE" in told
    assert out.count(told.partition(" error: ")[2]) == 1
