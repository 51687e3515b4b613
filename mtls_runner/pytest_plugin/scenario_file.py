"""Scenario files as tests: one file is a collector, each of its cases an item."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtls_runner.pytest_plugin.loading import load_plan, typed_again
from mtls_runner.pytest_plugin.stopping import clean_up_when_stopped

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from mtls_runner.engine.lab import Lab
    from mtls_runner.model.case import Case, Plan

__all__ = ["CaseFailed", "CaseItem", "ScenarioFile"]


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
        plan = load_plan(self.path, self.config)
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
            clean_up_when_stopped(self.config)
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


class CaseItem(pytest.Item):
    """One case of a scenario file, as pytest's item."""

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
        lab = self._scenario.opened()
        lab.prepare(self.case)
        for text in lab.servers.warned():
            self.warn(pytest.PytestWarning(text))

    def runtest(self) -> None:
        """Probe, and compare."""
        from mtls_runner.model.verdict import Status, strictly
        from mtls_runner.reporters import doubt, headline
        from mtls_runner.reporters.failure import explain
        from mtls_runner.reporters.transcript import transcript

        verdict = self._scenario.opened().run(self.case)
        if self.config.getoption("mtls_strict"):
            verdict = strictly(verdict)
        if verdict.observation is not None and verdict.status is not Status.PASS:
            lines = (line for line, _ in transcript(self.case, verdict.observation))
            self.add_report_section("call", "handshake", "\n".join(lines))
        if verdict.status is Status.SKIP:
            pytest.skip(verdict.skip_reason)
        if verdict.undetermined is not None:
            self.add_report_section("call", "verdict", doubt(verdict.undetermined))
        self.broken = verdict.status is Status.ERROR
        if verdict.status is not Status.PASS:
            again = typed_again(self.nodeid, self.config)
            raise CaseFailed(f"{headline(verdict)}\n\n{explain(verdict, self.plan.text, again=again)}")

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> str | TerminalRepr:  # type: ignore[override]
        """The story without a traceback, where it is the scenario's or the lab's; a bug of our own keeps it."""
        from mtls_runner.errors import MtlsRunError

        if isinstance(excinfo.value, CaseFailed | MtlsRunError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The file, the line (from 0), and the name."""
        return self.path, self.case.span.line - 1, self.name
