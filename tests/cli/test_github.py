"""Annotations where GitHub Actions runs the lab, read back as its runner reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mtls_runner.errors import Diagnostic, Severity, Span
from mtls_runner.reporters.github import annotation
from tests.cli.conftest import FAILING, SKIPPED, SMALL, Cli

Write = Callable[[str, str], Path]

ACTIONS = {"GITHUB_ACTIONS": "true"}
_COMMAND = re.compile(r"::(?P<level>\w+) (?P<properties>[^:]*)::(?P<message>.*)")


@dataclass(frozen=True)
class Read:
    level: str
    properties: dict[str, str]
    message: str


def read(text: str) -> list[Read]:
    """What the runner makes of a log: actions/runner, ``ActionCommand.TryParseV2``, which unescapes ``%25`` last."""

    def plain(value: str) -> str:
        for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            value = value.replace(code, character)
        return value

    found = []
    for line in text.splitlines():
        command = _COMMAND.fullmatch(line.lstrip())
        if command is not None:
            pairs = (pair.partition("=") for pair in command["properties"].split(","))
            properties = {name.strip(): plain(value) for name, _, value in pairs}
            found.append(Read(command["level"], properties, plain(command["message"])))
    return found


def test_the_line_that_did_not_hold_is_marked(cli: Cli, write: Write) -> None:
    text = write("labs/failing.yaml", FAILING).read_text()
    done = cli("labs/failing.yaml", env={**ACTIONS, "GITHUB_WORKSPACE": str(cli.directory)})
    assert done.returncode == 1
    warning, first = read(done.stdout)
    assert (warning.level, "can never hold" in warning.message) == ("warning", True)
    assert first.level == "error"
    assert first.properties["file"] == "labs/failing.yaml"
    line, column = int(first.properties["line"]), int(first.properties["col"])
    assert text.splitlines()[line - 1][column - 1 :].startswith("expired")
    assert first.properties["title"] == "labs/failing.yaml::without a certificate[client.tls=TLSv1.2] and 1 more"
    assert "reason: expected expired, observed no-certificate" in first.message
    assert "server refused the client" in first.message
    assert first.message.endswith("likewise: without a certificate[client.tls=TLSv1.3]")


def test_elsewhere_and_where_all_is_well_there_are_none(cli: Cli, write: Write) -> None:
    write("failing.yaml", FAILING)
    write("small.yaml", SMALL)
    assert read(cli("failing.yaml").stdout) == []
    assert read(cli("failing.yaml", env={"GITHUB_ACTIONS": "false"}).stdout) == []
    done = cli("small.yaml", env=ACTIONS)
    assert read(done.stdout + done.stderr) == []


def test_paths_count_from_the_checkout_wherever_the_lab_is_run(cli: Cli, write: Write) -> None:
    write("labs/failing.yaml", FAILING)
    inside = Cli(cli.directory / "labs")
    done = inside("failing.yaml", env={**ACTIONS, "GITHUB_WORKSPACE": str(cli.directory)})
    assert {each.properties["file"] for each in read(done.stdout)} == {"labs/failing.yaml"}
    done = inside("failing.yaml", env={**ACTIONS, "GITHUB_WORKSPACE": "/somewhere/else"})
    assert {each.properties["file"] for each in read(done.stdout)} == {"failing.yaml"}


def test_mistakes_and_warnings_are_marked_too(cli: Cli, write: Write) -> None:
    write("wrong.yaml", SMALL.replace("client_auth", "clientauth"))
    done = cli("wrong.yaml", env=ACTIONS)
    assert done.returncode == 2
    (mistake,) = read(done.stderr)
    assert (mistake.level, mistake.properties["file"]) == ("error", "wrong.yaml")
    assert "did you mean 'client_auth'?" in mistake.message
    unused = SMALL.replace("leaves:\n", "leaves:\n  unused: {subject: CN=unused, key: ec-p256}\n")
    write("unused.yaml", unused)
    done = cli("unused.yaml", env=ACTIONS)
    assert done.returncode == 0
    assert [(each.level, each.properties["line"]) for each in read(done.stdout)] == [("warning", "5")]


def test_a_report_on_standard_output_stays_whole(cli: Cli, write: Write) -> None:
    write("failing.yaml", FAILING)
    done = cli("failing.yaml", "--json", "-", env=ACTIONS)
    assert json.loads(done.stdout)["summary"]["fail"] == 2
    assert [each.level for each in read(done.stderr)] == ["warning", "error"]


def test_skips_are_marked_under_strict_only(cli: Cli, write: Write) -> None:
    write("skipped.yaml", SKIPPED)
    assert read(cli("skipped.yaml", env=ACTIONS).stdout) == []
    marked = read(cli("skipped.yaml", "--strict", env=ACTIONS).stdout)
    assert len(marked) == 1
    assert "verify depth" in marked[0].message
    assert marked[0].message.count("certificate[client.tls=") == 3


def test_no_text_ends_its_line_or_its_property() -> None:
    odd = "100%, a:b\r\n::error::injected %0A"
    span = Span(Path("odd,name:%.yaml"), 3, 5, 3, 9)
    line = annotation(Diagnostic(odd, span, severity=Severity.WARNING), title=odd)
    assert "\n" not in line
    assert "\r" not in line
    (told,) = read(line)
    assert told.level == "warning"
    assert told.properties["file"] == "odd,name:%.yaml"
    assert (told.properties["line"], told.properties["col"], told.properties["endColumn"]) == ("3", "5", "8")
    assert told.message == odd.replace("\r", "\\x0d")  # a control character is shown, not sent
