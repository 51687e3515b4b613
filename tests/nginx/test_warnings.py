"""What nginx warns of while it starts all the same is seen by people: with a run, with serve, under pytest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtls_runner import Overrides, Status, load, run
from mtls_runner.model.traits import Runtime
from mtls_runner.model.verdict import CaseFinished, Noted
from mtls_runner.runtimes.process import find_program

from ..container_engine import IMAGE
from ..warm import run_warm

IN_A_CONTAINER = Overrides(image=IMAGE)
AS_A_PROCESS = Overrides(runtime=Runtime.PROCESS, allow_commands=True)
SERVER = "server {{ listen 443 ssl; server_name {}; ssl_certificate /c/s.crt; ssl_certificate_key /c/s.key; return 200 {}; }}\n"
SCENARIO = """\
ca: {}
leaves: {server: {san: [a.test]}}
server: {backend: nginx, config: own.conf, files: {/c/s.crt: server.certificate, /c/s.key: server.key}}
cases:
  - {name: the first one, client: {server_name: a.test}, expect: {outcome: accepted, body: one}}
  - {name: once more, client: {server_name: a.test}, expect: {outcome: accepted, body: one}}
"""
TOLD = "server 'server': nginx warns: conflicting server name \"a.test\" on 0.0.0.0:443, ignored in {}:2"
#: An nginx whose lines nobody gets before the first of a connection (``*1``), as from an engine that has much to do.
LATE = """\
#!/bin/sh
{} "$@" 2>&1 | sed --unbuffered ': held; / \\*[0-9]/! {{ N; b held }}; : passed; n; b passed'
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    (tmp_path / "own.conf").write_text(SERVER.format("a.test", "one") + SERVER.format("a.test", "two"))
    (tmp_path / "test.yaml").write_text(SCENARIO)
    return tmp_path / "test.yaml"


def _notes(scenario: Path, how: Overrides = IN_A_CONTAINER) -> list[str]:
    events = list(run([load(scenario, how)]))
    assert [one.verdict.status for one in events if isinstance(one, CaseFinished)] == [Status.PASS] * 2
    return [one.text for one in events if isinstance(one, Noted)]


def test_a_server_name_that_is_ignored_is_a_warning_that_people_see(scenario: Path) -> None:
    assert _notes(scenario) == [TOLD.format(scenario.parent / "own.conf")]
    with (scenario.parent / "own.conf").open("a") as file:
        file.write(SERVER.format("b.test a.test", "three") + SERVER.format("b.test", "four"))
    own = scenario.parent / "own.conf"
    assert _notes(scenario) == [
        f"{TOLD.format(own)} and {own}:3",
        TOLD.format(own).replace("a.test", "b.test").replace(":2", ":4"),
    ]
    (scenario.parent / "own.conf").write_text(SERVER.format("a.test", "one") + SERVER.format("b.test", "two"))
    assert _notes(scenario) == []


def test_it_is_heard_though_the_log_comes_later_than_the_answer(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nginx = find_program("nginx")
    assert nginx is not None
    late = scenario.parent / "programs" / "nginx"
    late.parent.mkdir()
    late.write_text(LATE.format(nginx))
    late.chmod(0o700)
    monkeypatch.setenv("PATH", f"{late.parent}{os.pathsep}{os.environ['PATH']}")
    assert _notes(scenario, AS_A_PROCESS) == [TOLD.format(scenario.parent / "own.conf")]


def test_pytest_shows_it_in_its_summary(scenario: Path) -> None:
    usual = (
        "-W",
        "default",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    )  # of the process that it is forked from
    arguments = ["-p", "no:cacheprovider", *usual, "--mtls-image", IMAGE, scenario.name]
    done = run_warm("pytest", arguments, cwd=scenario.parent, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert TOLD.partition(" in ")[0] in done.stdout
    assert "2 passed, 1 warning" in done.stdout
