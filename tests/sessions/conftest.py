"""Labs of a few lines, run through the front door."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mtls_runner.cli import main

LAB = """\
ca: {subject: CN=Root}
leaves:
  server: {usage: server}
  client: {usage: client}
  revoked: {like: client, revoked: keyCompromise}
  locked: {like: server, subject: CN=locked, passphrase: right}
  renewed: {like: server, subject: CN=renewed}
crls:
  before: {revoked: []}
  after: {revoked: [revoked]}
server: {certificate: server, trust: ca}
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of ``mtls-run`` left behind.

    Args:
        code: its exit.
        output: what people read.
        cases: of the JSON report.
    """

    code: int
    output: str
    cases: list[dict[str, Any]]

    @property
    def case(self) -> dict[str, Any]:
        (only,) = self.cases
        return only


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Text of a scenario, and options → what came of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()

    def ran(text: str, *options: str) -> Ran:
        Path("steps.yaml").write_text(text, encoding="utf-8")
        report = Path("report.json")
        report.unlink(missing_ok=True)
        code = main(["steps.yaml", "--json", str(report), *options])
        told = capsys.readouterr()
        cases = json.loads(report.read_text())["cases"] if report.is_file() and report.stat().st_size else []
        return Ran(code, told.out + told.err, cases)

    return ran
