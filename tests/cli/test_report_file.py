from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from mtls_runner.atomic_file import AtomicFile
from mtls_runner.cli.report_file import ReportFiles
from mtls_runner.errors import UsageError


def test_the_old_report_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    file = AtomicFile(str(path), "the report")
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
    file = AtomicFile(str(path), "the report")
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
    file = AtomicFile(str(link), "the report")
    file.stream.write("new")
    file.keep()
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_new_report_is_as_readable_as_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    file = AtomicFile(str(tmp_path / "report"), "the report")
    file.keep()
    assert (tmp_path / "report").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("name", ["missing/report.json", "."])
def test_a_path_that_cannot_be_written_is_told_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="can't write the report"):
        AtomicFile(str(tmp_path / name), "the report")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_what_others_write_is_not(tmp_path: Path) -> None:
    def left(name: str, age: float) -> Path:
        path = tmp_path / name
        path.write_text("half")
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    dead, young = left(".report.json.abc.unfinished", 3600), left(".report.json.def.unfinished", 0)
    another, no_report = left(".other.json.abc.unfinished", 3600), left(".report.json.swp", 3600)
    alive = AtomicFile(str(tmp_path / "report.json"), "the report")
    assert not dead.exists()
    (written,) = (one for one in tmp_path.glob(".report.json.*.unfinished") if one != young)
    os.utime(written, (0, 0))
    second = AtomicFile(str(tmp_path / "report.json"), "the report")
    assert all(path.exists() for path in (young, another, no_report, written))
    second.discard()
    alive.keep()
    assert not written.exists()
    assert (tmp_path / "report.json").exists()


def test_nothing_else_is_replaced_under_any_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = tmp_path / "scenario"
    scenario.write_text("mine")
    Path("link").symlink_to("scenario")
    Path("hard").hardlink_to("scenario")
    Path("page.html").symlink_to("lab.yaml")
    Path("inner").mkdir()
    Path("again").symlink_to("report.json")
    spellings = ["scenario", "./scenario", "inner/../scenario", str(scenario), "link", "hard"]
    sources = ["a.yaml", "a.YML", "nginx.conf", "server.key", "page.html"]
    with ReportFiles([Path("scenario")]) as reports:
        for path in spellings:
            with pytest.raises(UsageError, match="would replace scenario, which this command reads"):
                reports.open("--json", path)
        for path in sources:
            with pytest.raises(UsageError, match="does not go to a file that ends in"):
                reports.open("--json", path)
        reports.open("--json", "report.json").keep()
        for path in ("report.json", "./report.json", str(tmp_path / "inner" / ".." / "report.json"), "again"):
            with pytest.raises(UsageError, match="--json and --html both write"):
                reports.open("--html", path)
        with open("out", "w") as out:  # noqa: PTH123
            monkeypatch.setattr("sys.stdout", out)
            with pytest.raises(UsageError, match="standard output goes there already"):
                reports.open("--html", "out")
        reports.open("--html", "other.html").stream.write("half")
    assert scenario.read_text() == "mine"
    names = {"scenario", "link", "hard", "page.html", "inner", "again", "out", "report.json"}
    assert {entry.name for entry in tmp_path.iterdir()} == names
