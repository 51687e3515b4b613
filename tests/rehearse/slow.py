"""Clocks of programs that start slowly; CI runs it by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_rehearsal import clocks_move, written


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("backend", "tool"), [("node", "node"), ("java", "curl")])
def test_clocks_move_where_dates_can_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backend: str, tool: str
) -> None:
    clocks_move(written(tmp_path, monkeypatch), capsys, backend, tool, "")
