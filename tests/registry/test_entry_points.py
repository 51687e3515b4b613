"""A backend, a client and a reporter of one file each, installed as any distribution would be, take part in everything."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import mtls_runner
from mtls_runner.registry import registry

from ..implementations.test_declarations import DECLARATION
from ..once import once
from ..warm import run_warm

TOYS = Path(__file__).parent
SCENARIO = """\
ca: {}
leaves: {server: {}, client: {}, expired: {not_before: -2d, not_after: -1d}}
server: {backend: toy, options: {greeting: hey, volume: 2}}
cases:
  - {name: good, client: {certificate: client, tool: toy}, expect: {outcome: accepted, body: heyhey}}
  - name: expired
    client: {certificate: expired, tool: toy}
    expect: {server-refused: expired, where: [{when: {backend: toy, tool: toy}, expect: {status: null}}]}
  - {name: what a toy can't, client: {certificate: client, tool: toy, ciphers: AES128-SHA}, expect: accepted}
  - {name: curl too, client: {certificate: client, tool: curl}, expect: {outcome: accepted, body: heyhey}}
matrix: {client.tls: [TLSv1.2, TLSv1.3]}
"""


class Installed:
    """The program beside a distribution that was installed into a directory of its own.

    Args:
        directory: where the program is called; the scenario is there.
        site: where the distribution is.
        warm: the program is one that has imported all, with the distribution (``tests.warm``).
    """

    def __init__(self, directory: Path, site: Path, *, warm: bool = False) -> None:
        self.directory = directory
        self.site = site
        self.warm = warm
        (directory / "toys.yaml").write_text(SCENARIO)
        self._environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONWARNINGS": "error", "COLUMNS": "100"}

    def __call__(self, *arguments: str, code: int = 0) -> str:
        if self.warm:
            done = run_warm("mtls-run", arguments, cwd=self.directory, env=self._environment, site=self.site)
        else:
            done = self._done([Path(sys.executable).with_name("mtls-run"), *arguments])
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, program: str) -> str:
        """A program of Python's, in an interpreter of its own."""
        done = self._done([sys.executable, "-c", program])
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _done(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


def distribution(directory: Path, entry_points: str) -> Path:
    """With the toys' modules and these entry points; where it is installed."""
    site = directory / "site"
    metadata = site / "mtls_toys-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mtls-toys\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    for toy in TOYS.glob("toy_*.py"):
        shutil.copy(toy, site)
    return site


@pytest.fixture
def installed(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    entry_points = (
        "[mtls_run.backends]\ntoy = toy_server:TRAITS\n"
        "[mtls_run.clients]\ntoy = toy_client:TRAITS\n"
        "[mtls_run.reporters]\ntoy = toy_reporter:TRAITS\n"
    )
    site = once(tmp_path_factory, "toys", lambda directory: distribution(directory, entry_points))
    return Installed(tmp_path, site, warm=True)


def test_the_toys_run_and_every_report_has_them(installed: Installed) -> None:
    """The program itself, which imports what it needs."""
    installed.warm = False
    told = installed("toys.yaml", "-v", "--report", "toy=cases.txt", "--report", "json=r.json", "--html", "r.html")
    assert "a toy knows no ciphers" in told
    assert "client: toy 1.0" in told
    assert "toy server 1.0" in told.splitlines()[-1]
    lines = (installed.directory / "cases.txt").read_text().splitlines()
    assert lines[0] == "pass toy toy good[client.tls=TLSv1.2]"
    assert [line.partition(" ")[0] for line in lines] == [*["pass"] * 4, *["skip"] * 2, *["pass"] * 2, "the"]
    report = json.loads((installed.directory / "r.json").read_text())
    assert {(case["backend"], case["tool"]) for case in report["cases"]} == {("toy", "toy"), ("toy", "curl")}
    assert "toy 1.0" in (installed.directory / "r.html").read_text()
    assert "such as toy=report.toy" in installed("toys.yaml", "--report", "toy", code=2)
    assert "there is no reporter 'toi', one of: json, junit, html, access-html, access-markdown, toy" in installed(
        "toys.yaml", "--report", "toi=x", code=2
    )


def test_what_a_toy_says_nothing_of_it_cannot_do(installed: Installed) -> None:
    material, _, _ = SCENARIO.partition("cases:")
    steps = [("toy", "reuse: true"), ("toy", "resume: true"), ("curl", "reuse: true"), ("toy", "name: after a reload")]
    cases = [
        f"  - {{name: {number}, client: {{certificate: client, tool: {tool}}}, steps: "
        f"[{{expect: accepted}}, {'reload, ' if 'name' in how else ''}{{{how}, expect: accepted}}]}}\n"
        for number, (tool, how) in enumerate(steps)
    ]
    (installed.directory / "steps.yaml").write_text(f"{material}cases:\n{''.join(cases)}")
    told = installed("steps.yaml", "-v", "--report", "toy=cases.txt")
    assert "toy makes one request for each connection" in told
    assert "toy takes no session along from one process to the next" in told
    lines = (installed.directory / "cases.txt").read_text().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["skip", "skip", "pass", "pass", "the"], told


def test_language_schema_help_explain_and_versions_know_them(installed: Installed) -> None:
    schema = json.loads(installed("schema"))["definitions"]
    for end, key in (("ServerDescription", "backend"), ("ClientDescription", "tool")):
        assert "toy" in schema[end]["properties"][key]["anyOf"][0]["enum"]
    assert schema["ServerDescription"]["properties"]["options"]["properties"]["volume"] == {
        "description": "How loudly.",
        "examples": [11],
        "maximum": 11,
        "minimum": 1,
        "type": "integer",
    }
    assert (
        "external (already runs at `address`), toy (a toy)"
        in schema["ServerDescription"]["properties"]["backend"]["description"]
    )
    told = installed("run", "--help")
    assert re.search(r"Run every server on this backend\s+\(python, nginx, external,\s+toy\b", told)
    assert re.search(r"this kind\s+\(json, junit, html,\s+access-html,\s+access-markdown,\s+toy\)", told)
    assert "Server `server`: a toy that greets people" in installed("explain", "toys.yaml")
    told = installed("explain", "toys.yaml", "expired")
    assert "It says so by an alert in the middle of the handshake." in " ".join(told.split())
    assert "toy 1.0" in installed("--version")


MISTAKES = (
    ("backend: toy", "backend: toi", ":3:19: error: this is not a backend\n"),
    ("volume: 2", "volume: 12", ":3:57: error: this number is out of range\n"),
    ("volume: 2", "volume: loud", "a whole number is expected here, not text"),
    ("volume: 2", "volum: 2", "did you mean 'volume'?"),
    ("greeting: hey", "greeting: {a: b}", "text is expected here, not a mapping"),
)


def test_mistakes_are_told_where_they_are(installed: Installed) -> None:
    files = [f"{number}.yaml" for number in range(len(MISTAKES))]
    for file, (old, new, _) in zip(files, MISTAKES, strict=True):
        (installed.directory / file).write_text(SCENARIO.replace(old, new))
    told = installed(*files, code=2)
    for file, (_, _, message) in zip(files, MISTAKES, strict=True):
        about = told[told.index(f"{file}:") :].partition("\n\n")[0]
        assert message in (f"{about}\n" if message.endswith("\n") else about), told
    assert "Traceback" not in told


_ONE_FILE = """
import os, sys
from mtls_runner.conformance.catalogue import combination, plan_of, scenario_files
from mtls_runner.conformance.table import outcome_table
from mtls_runner.conformance.case import by_file
from mtls_runner.conformance.from_verdicts import measured, measured_cell
from mtls_runner.conformance.markdown import markdown
from mtls_runner.engine import run
from mtls_runner.language import Overrides
from mtls_runner.model.verdict import CaseFinished
from mtls_runner.registry import registry
(path,) = [path for path in scenario_files() if path.stem == "validity"]
tools = [registry().clients.named(name) for name in ("toy", "curl")]
chosen = [plan_of(path, Overrides(backend=backend), tools) for backend in ("toy", "python")]
verdicts = [event.verdict for event in run(chosen) if isinstance(event, CaseFinished)]
cells = {}
for verdict in verdicts:
    cells.setdefault((chosen[0].name, verdict.case.written), {})[combination(verdict.case)] = measured_cell(verdict)
places = {(at.backend, at.tool) for of_case in cells.values() for at in of_case}
assert places - {("toy", ""), ("python", "")} == {(b, t) for b in ("toy", "python") for t in ("toy", "curl")}, places
seen = [(verdict.case.id, verdict.error, [m for m in verdict.mismatches if m.observed != "not observed"]) for verdict in verdicts]
wrong = [one for one in seen if one[1] or one[2]]
assert not wrong, wrong
print(markdown(outcome_table(measured(by_file(chosen), {"toy": "1.0"}, cells))))
"""


def test_conformance_has_a_column_for_them(installed: Installed) -> None:
    told = installed.python(_ONE_FILE)
    assert "against toy (a toy) and python (embedded), with the clients curl and toy." in told
    assert "| **the server's certificate has expired** | client-refused: expired |" in told
    assert "60 (curl), - (toy client)" in told
    assert "external, toy" in installed("conformance", "--help")
    told = installed("conformance", "--tool", "toi", code=2)
    assert "there is no tool 'toi', one of: python, curl, toy" in told
    assert "did you mean 'toy'?" in told


def test_export_leaves_them_out_and_says_so(installed: Installed) -> None:
    told = installed("export", "toys.yaml", "-o", "out", "--backend", "python")
    assert "left out (6), since there is no plain command that connects as toy does: good[client.tls=TLSv1.2]" in told
    assert "wrote out/run.sh: 2 cases" in told
    told = installed("export", "toys.yaml", "-o", "other", code=2)
    assert "nothing of it can be exported: there is no plain command that serves as toy does" in told


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("toy = no_such_module:TRAITS", "the backend 'toy' of mtls-toys can't be loaded: ModuleNotFoundError"),
        ("toy = toy_client:TRAITS", "toy_client:TRAITS is no BackendTraits of that name"),
        ("other = toy_server:TRAITS", "there is no backend 'toy', one of: python, nginx, external, other"),
    ],
)
def test_a_broken_distribution_is_named(tmp_path: Path, line: str, message: str) -> None:
    installed = Installed(tmp_path, distribution(tmp_path, f"[mtls_run.backends]\n{line}\n"))
    if "no_such_module" in line:
        assert "conformance" in installed("--help")
    told = installed("toys.yaml", "--backend", "toy", code=2)
    assert message in told
    assert "Traceback" not in told


def test_no_distribution_takes_the_place_of_what_comes_with_the_lab(tmp_path: Path) -> None:
    installed = Installed(tmp_path, distribution(tmp_path, "[mtls_run.reporters]\njson = toy_reporter:TRAITS\n"))
    (tmp_path / "toys.yaml").write_text(SCENARIO.replace("backend: toy, options: {greeting: hey, volume: 2}", ""))
    (tmp_path / "toys.yaml").write_text(
        "ca: {}\nleaves: {server: {}}\nserver: {}\ncases: [{name: a, expect: {server-refused: no-certificate}}]\n"
    )
    installed("toys.yaml", "--report", "json=r.json")
    assert json.loads((tmp_path / "r.json").read_text())["cases"]


def test_nobody_compares_a_name() -> None:
    """What differs between backends, or clients, is a trait of theirs; only what writes their own texts has their names."""
    names = {*registry().backends, *registry().clients}
    package = Path(mtls_runner.__file__).parent
    found = [
        f"{path.relative_to(package)}:{part.lineno}"
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for part in _compared(node)
        if isinstance(part, ast.Constant) and part.value in names
    ]
    assert found == []


def _compared(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Compare):
        beside = [node.left, *node.comparators]
        return [
            *beside,
            *(item for one in beside if isinstance(one, ast.Tuple | ast.Set | ast.List) for item in one.elts),
        ]
    return [node.value] if isinstance(node, ast.MatchValue) else []


def test_a_distribution_brings_a_declaration(tmp_path: Path) -> None:
    """A folder of a package, named by an entry point: no code of it is run, and no consent is asked for."""
    site = distribution(
        tmp_path,
        "[mtls_run.implementations]\ntoyserver = toy_package.servers.toyserver\ngone = toy_package.servers.gone\n"
        "haproxy = toy_package.servers.toyserver\n",
    )
    folder = site / "toy_package" / "servers" / "toyserver"
    folder.mkdir(parents=True)
    (site / "toy_package" / "__init__.py").write_text("raise RuntimeError('no code is needed')\n")
    declaration = DECLARATION.replace("Tiny", "a toy's server")
    (folder / "implementation.yaml").write_text(declaration)
    installed = Installed(tmp_path, site)
    (tmp_path / "toys.yaml").write_text(DECLARED_SCENARIO)
    told = installed("toys.yaml")
    assert "2 passed of 2 cases" in told
    assert "toyserver  a toy's server: server" in installed("implementation", "list")
    assert "toyserver" in installed("run", "--help")
    # The lab's own keep their names, and what is not there is told to whoever names it.
    assert "haproxy 2" in installed("toys.yaml", "--backend", "haproxy", "--tool", "python")
    assert "gone/implementation.yaml" in installed("toys.yaml", "--backend", "gone", code=2)
    (folder / "implementation.yaml").write_text(declaration.replace("server:", "srever:"))
    for command in (("toys.yaml", "--backend", "toyserver"), ("implementation", "show", "toyserver")):
        assert re.search(
            r" error: there is no key 'srever' here\n \d+ \| srever:\n +\| \^{6}\n", installed(*command, code=2)
        )


DECLARED_SCENARIO = """\
ca: {}
leaves: {server: {}, client: {usage: client}}
server: {backend: toyserver, trust: [ca]}
cases:
  - {name: good, client: client, expect: accepted}
  - {name: none, expect: {server-refused: no-certificate}}
"""
