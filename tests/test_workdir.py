"""The private directory of a run: nobody else's, gone afterwards, and swept when its run was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.engine import RunOptions, run
from mtls_runner.errors import LabError, UsageError
from mtls_runner.language import Overrides, load
from mtls_runner.model.verdict import RunFinished
from mtls_runner.private_files import kept_directory, private_directory, sweep


@pytest.fixture(autouse=True)
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_it_is_private_and_gone_afterwards() -> None:
    with private_directory() as directory:
        (directory / "key").write_text("secret")
        assert directory.stat().st_mode & 0o777 == 0o700
        assert directory.parent.stat().st_mode & 0o777 == 0o700
        assert sweep() == []
        assert directory.exists()
    assert not directory.exists()


def test_it_is_gone_after_an_exception() -> None:
    with pytest.raises(KeyboardInterrupt), private_directory() as directory:
        raise KeyboardInterrupt
    assert not directory.exists()


KILLED = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from mtls_runner.engine import RunOptions, run
from mtls_runner.private_files import private_directory
with private_directory() as directory:
    (directory / "key").write_text("secret")
    print(directory, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_run_left_is_swept_and_a_living_run_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        assert sweep() == []
        assert (left / "key").exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    assert (left / "key").exists()
    with private_directory() as living:
        assert sweep() == [left]
        assert living.exists()
    assert not left.exists()


def test_a_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"mtls-run-{os.getuid()}").mkdir(mode=0o700)
    (tmp_path / f"mtls-run-{os.getuid()}").chmod(0o777)
    with pytest.raises(LabError, match="not a private directory"), private_directory():
        pass


def test_kept_files_never_overwrite_anything(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with kept_directory(kept) as directory:
        (directory / "a").write_text("mine")
    assert kept.stat().st_mode & 0o777 == 0o700
    with pytest.raises(UsageError, match="not empty"), kept_directory(kept):
        pass
    assert (kept / "a").read_text() == "mine"


def test_git_ignores_what_is_kept(tmp_path: Path) -> None:
    repository = tmp_path / "repository"

    def untracked() -> list[str]:
        command = ["git", "status", "--porcelain", "--untracked-files=all"]
        return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout.splitlines()

    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    plan = load(Path(__file__).parents[1] / "scenarios" / "basic.yaml", Overrides())
    plans = [replace(plan, cases=plan.cases[:1])] * 2
    for keep in (repository / ".mtls-run" / "today", repository / "kept"):
        *_, last = run(plans, RunOptions(keep=keep))
        assert isinstance(last, RunFinished)
        assert not last.error
        assert len(list(keep.rglob("*.key"))) > 1
    assert untracked() == []
    (repository / "kept" / "01-basic" / ".gitignore").unlink()
    assert any(line.endswith(".key") for line in untracked())


def test_a_run_says_what_is_in_the_way_as_its_last_event(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("mine")
    plan = load(Path(__file__).parents[1] / "scenarios" / "basic.yaml", Overrides())
    *_, last = run([plan], RunOptions(keep=tmp_path / "kept"))
    assert isinstance(last, RunFinished)
    assert "not empty" in last.error
    assert (tmp_path / "kept" / "a").read_text() == "mine"


@pytest.mark.parametrize("in_the_way", ["a file", "no room"])
def test_a_run_that_has_no_place_to_work_in_ends_with_its_last_event(
    in_the_way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_the_way == "a file":
        (tmp_path / f"mtls-run-{os.getuid()}").write_text("")
    else:
        monkeypatch.setattr("tempfile.tempdir", "/proc")
    *_, end = run([load(Path(__file__).parents[1] / "scenarios" / "basic.yaml")])
    assert isinstance(end, RunFinished)
    assert end.error.startswith("there is no place to work in: ")
    assert not end.counts
