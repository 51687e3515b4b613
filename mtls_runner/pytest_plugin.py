"""The pytest plug-in: scenario files as tests, one for each case, under the ids that the console shows.

It collects files that are named on the command line, or that match the ini option ``mtls_scenarios``; everybody else's
YAML stays untouched. Nothing of the lab is imported before a scenario is collected.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from mtls_runner.engine.lab import Lab
    from mtls_runner.language import Overrides
    from mtls_runner.model.case import Case, Plan

__all__ = ["CaseItem", "ScenarioFile"]

_SUFFIXES = frozenset({".yaml", ".yml"})
_SETTINGS = frozenset({"lab.yaml", "lab.yml"})
# One of these at the beginning of a line makes a named file ours: other plug-ins' tests are YAML too.
_OURS = re.compile(r"^(?:ca|authorities|leaves|servers?|cases|matrix)[ \t]*:", re.MULTILINE)
_ENOUGH = 1 << 20
"""Characters; no scenario is longer."""
_KEYS = re.compile(r"^[\w-]+[ \t]*:", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, all beginning with ``--mtls-``, and the ini option."""
    group = parser.getgroup("mtls-run", "mutual TLS scenarios")
    group.addoption("--mtls-backend", metavar="NAME", help="run every scenario's servers on this backend")
    group.addoption("--mtls-tool", metavar="NAME", help="use this client in every scenario")
    group.addoption("--mtls-image", metavar="IMAGE", help="the container image for every container server")
    group.addoption(
        "--mtls-strict", action="store_true", help="a scenario's warnings are errors, skipped cases are failures"
    )
    parser.addini(
        "mtls_scenarios",
        "glob patterns of scenario files, relative to the root directory (** is any number of directories)",
        type="args",
        default=[],
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Take a scenario file."""
    if file_path.suffix not in _SUFFIXES or file_path.name in _SETTINGS:
        return None
    if _matches(file_path, parent.config) or (parent.session.isinitpath(file_path) and _looks_like_one(file_path)):
        file: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
        return file
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a case without a verdict, since the lab broke, as an error and not as a failure.

    Every consumer (the terminal's summary, ``--junit-xml``, ``-rE``) tells the two apart by the phase.
    """
    report = yield
    if isinstance(item, CaseItem) and report.when == "call":
        if item.broken and report.failed:
            report.when = "setup"
        elif report.skipped and isinstance(report.longrepr, tuple):
            path, line, _ = item.reportinfo()
            report.longrepr = (os.fspath(path), line + 1, report.longrepr[2])
    return report


class CaseFailed(Exception):
    """A mismatch, or a broken lab; the text is the whole story."""


class ScenarioFile(pytest.File):
    """One scenario file. Its servers start when their first case does and stop when the file's last case is done."""

    _plan: Plan | None = None
    _lab: Lab | None = None

    def collect(self) -> Iterator[CaseItem]:
        """One item for each case.

        Raises:
            CollectError: the file is invalid, with every mistake that is in it; or an option names what there is not.
        """
        from dataclasses import replace

        from mtls_runner.errors import ScenarioError, UsageError
        from mtls_runner.language import load
        from mtls_runner.snippet import render
        from mtls_runner.span import Severity

        path = _as_shown(self.path)
        try:
            plan = load(path, self._overrides())
            if self.config.getoption("mtls_strict") and plan.warnings:
                raise ScenarioError([replace(warning, severity=Severity.ERROR) for warning in plan.warnings])
        except UsageError as error:
            raise self.CollectError(str(error)) from None
        except ScenarioError as error:
            texts: dict[Path, str] = {}
            for diagnostic in error.diagnostics:
                if diagnostic.span is not None and diagnostic.span.path not in texts:
                    texts[diagnostic.span.path] = diagnostic.span.path.read_text("utf-8-sig", "replace")
            parts = [
                render(diagnostic, texts[diagnostic.span.path] if diagnostic.span is not None else "")
                for diagnostic in error.diagnostics
            ]
            raise self.CollectError("\n\n".join(part.rstrip("\n") for part in parts)) from None
        self._plan = plan
        for case in plan.cases:
            item: CaseItem = CaseItem.from_parent(
                self, name=case.id.removeprefix(f"{plan.path}::"), case=case, plan=plan
            )
            yield item

    def setup(self) -> None:
        """Open the lab; no server is started yet."""
        from mtls_runner.engine.lab import Lab

        if self._plan is not None:
            self._lab = Lab(self._plan)
            self._lab.__enter__()

    def teardown(self) -> None:
        """Stop the servers, remove the material."""
        if self._lab is not None:
            lab, self._lab = self._lab, None
            lab.__exit__(None, None, None)

    def opened(self) -> Lab:
        """The lab between :meth:`setup` and :meth:`teardown`."""
        if self._lab is None:
            raise RuntimeError(f"{self.nodeid}: its lab is not open")
        return self._lab

    def _overrides(self) -> Overrides:
        from mtls_runner.language import Overrides

        option = self.config.getoption
        return Overrides(backend=option("mtls_backend"), tool=option("mtls_tool"), image=option("mtls_image"))


class CaseItem(pytest.Item):
    """One case."""

    def __init__(self, name: str, parent: ScenarioFile, *, case: Case, plan: Plan) -> None:
        super().__init__(name, parent)
        self.case = case
        self.plan = plan
        self._scenario = parent
        self.broken = False
        for tag in case.tags:
            self.keywords[tag] = True

    def setup(self) -> None:
        """Start the server that the case needs: what breaks here is the lab, not the case."""
        self._scenario.opened().prepare(self.case)

    def runtest(self) -> None:
        """Probe, and compare."""
        from mtls_runner.model.verdict import Status
        from mtls_runner.reporters.failure import explain, headline
        from mtls_runner.reporters.transcript import transcript

        verdict = self._scenario.opened().run(self.case)
        if verdict.observation is not None and verdict.status is not Status.PASS:
            self.add_report_section("call", "handshake", "\n".join(transcript(self.case, verdict.observation)))
        if verdict.status is Status.SKIP and not self.config.getoption("mtls_strict"):
            pytest.skip(verdict.skip_reason)
        if verdict.status is Status.SKIP:
            raise CaseFailed(f"skipped, which --mtls-strict forbids: {verdict.skip_reason}")
        self.broken = verdict.status is Status.ERROR
        if verdict.status is not Status.PASS:
            raise CaseFailed(f"{headline(verdict)}\n\n{explain(verdict, self.plan.text)}")

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        """The story without a traceback, where it is the scenario's or the lab's; a bug of our own keeps it."""
        from mtls_runner.errors import MtlsRunError

        if isinstance(excinfo.value, CaseFailed | MtlsRunError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file, the line (from 0), and the name."""
        return self.path, self.case.span.line - 1, self.name


def _as_shown(path: Path) -> Path:
    """Relative to where pytest was started, as a person types it, where it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _looks_like_one(path: Path) -> bool:
    """Whether a file that was named is a scenario, if only a bad one, rather than another plug-in's test."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        text = file.read(_ENOUGH)
    return _OURS.search(text) is not None or _KEYS.search(text) is None


def _matches(path: Path, config: pytest.Config) -> bool:
    patterns: list[str] = config.getini("mtls_scenarios")
    if not patterns or not path.is_relative_to(config.rootpath):
        return False
    parts = path.relative_to(config.rootpath).parts
    return any(_fits(parts, tuple(part for part in pattern.split("/") if part != ".")) for pattern in patterns)


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
