from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from mtls_runner.cli.report_file import ReportFile
from mtls_runner.errors import UsageError


def test_the_old_report_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    file = ReportFile(str(path))
    file.stream.write("new")
    file.stream.flush()
    assert path.read_text() == "old"
    file.keep()
    file.discard()
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_what_is_discarded_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    file = ReportFile(str(path))
    file.stream.write("half")
    file.discard()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_a_link_stays_a_link_and_permissions_stay(tmp_path: Path) -> None:
    target = tmp_path / "real.json"
    target.write_text("old")
    target.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(target)
    file = ReportFile(str(link))
    file.stream.write("new")
    file.keep()
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_report_is_as_readable_as_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    file = ReportFile(str(tmp_path / "report"))
    file.keep()
    assert (tmp_path / "report").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("name", ["missing/report.json", "."])
def test_a_path_that_cannot_be_written_is_told_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="can't write the report"):
        ReportFile(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_what_others_write_is_not(tmp_path: Path) -> None:
    def left(name: str, age: float) -> Path:
        path = tmp_path / name
        path.write_text("half")
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    dead, young = left(".report.json.abc.unfinished", 3600), left(".report.json.def.unfinished", 0)
    another, no_report = left(".other.json.abc.unfinished", 3600), left(".report.json.swp", 3600)
    alive = ReportFile(str(tmp_path / "report.json"))
    assert not dead.exists()
    (written,) = (one for one in tmp_path.glob(".report.json.*.unfinished") if one != young)
    os.utime(written, (0, 0))
    second = ReportFile(str(tmp_path / "report.json"))
    assert all(path.exists() for path in (young, another, no_report, written))
    second.discard()
    alive.keep()
    assert not written.exists()
    assert (tmp_path / "report.json").exists()
