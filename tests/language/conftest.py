"""Scenario files of a few lines, loaded from a directory of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mtls_runner.errors import Diagnostic, ScenarioError
from mtls_runner.language import Overrides, load
from mtls_runner.model.case import Plan
from mtls_runner.snippet.rendering import render

MINIMAL = """\
ca: {subject: CN=Root}
leaves:
  server: {}
  client: {usage: client}
server: {certificate: server}
cases:
  - name: good
    client: client
    expect: accepted
"""

Load = Callable[..., Plan]
Broken = Callable[[str], list[Diagnostic]]
Shown = Callable[[str], str]


@pytest.fixture
def load_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Text → plan. The file is ``scenario.yaml`` in the current directory, which nothing else is in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    monkeypatch.delenv("MTLS_RUN_IMAGE", raising=False)

    def loaded(text: str, overrides: Overrides = Overrides()) -> Plan:  # noqa: B008 - frozen
        Path("scenario.yaml").write_text(text, encoding="utf-8")
        return load(Path("scenario.yaml"), overrides)

    return loaded


@pytest.fixture
def broken(load_text: Load) -> Broken:
    """Text → all that is wrong with it; something must be."""

    def diagnostics(text: str) -> list[Diagnostic]:
        with pytest.raises(ScenarioError) as caught:
            load_text(text)
        return list(caught.value.diagnostics)

    return diagnostics


@pytest.fixture
def shown(broken: Broken) -> Shown:
    """Text → what a person reads about it."""

    def rendered(text: str) -> str:
        return "\n".join(render(diagnostic, text) for diagnostic in broken(text)) + "\n"

    return rendered


def summary(diagnostics: list[Diagnostic]) -> list[str]:
    """``line:column message``, one for each."""
    return [
        f"{one.span.line}:{one.span.column} {one.message}" if one.span is not None else one.message
        for one in diagnostics
    ]
