"""What takes time is told while it takes it, by a live line that nobody sees in a pipe."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mtls_runner.engine import RunOptions, run
from mtls_runner.language import load
from mtls_runner.model.verdict import CaseFinished, CaseStarted, Event, Progress
from mtls_runner.reporters.live import RichPage
from tests.cli.conftest import SMALL, Cli
from tests.cli.test_terminal import on_a_terminal

Write = Callable[[str, str], Path]

SLOW = SMALL.replace("key: ec-p256", "key: rsa-4096")
"""Three keys that take a moment each, and longer than the live line waits between two looks."""


@pytest.fixture
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user that has no RSA keys yet."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return str(cache)


@pytest.mark.usefixtures("no_keys")
def test_keys_are_told_of_while_they_are_made(write: Write) -> None:
    plan = load(write("slow.yaml", SMALL.replace("key: ec-p256", "key: rsa-2048")))
    told: list[Event] = []
    note = told.append
    for event in run([plan], RunOptions(), note):
        note(event)
    kinds = [type(event) for event in told]
    first = kinds.index(Progress)
    assert kinds.index(CaseStarted) < first < kinds.index(CaseFinished)
    counted = [event for event in told if isinstance(event, Progress)]
    assert [(event.doing, event.done, event.total) for event in counted] == [
        ("making RSA keys", number, 3) for number in range(4)
    ]


@pytest.mark.usefixtures("no_keys")
@pytest.mark.parametrize("jobs", [1, 3])
def test_who_does_not_listen_is_told_afterwards(write: Write, jobs: int) -> None:
    plan = load(write("slow.yaml", SMALL.replace("key: ec-p256", "key: rsa-2048")))
    events = list(run([plan], RunOptions(jobs=jobs)))
    assert sum(isinstance(event, Progress) for event in events) == 4
    again = list(run([plan], RunOptions(jobs=jobs)))  # the keys are there now
    assert not any(isinstance(event, Progress) for event in again)


@pytest.mark.usefixtures("no_keys")
def test_several_cases_at_once_do_not_hold_it_back(write: Write) -> None:
    plan = load(write("slow.yaml", SLOW))
    events = run([plan], RunOptions(jobs=2))
    making = [
        [thread.name for thread in threading.enumerate() if thread.name.startswith("rsa")]
        for event in events
        if isinstance(event, Progress)
    ]
    assert any(making), "it is told once it is done"


def test_a_terminal_shows_it_and_a_pipe_does_not(cli: Cli, write: Write, no_keys: str) -> None:
    write("slow.yaml", SLOW)
    code, told = on_a_terminal(cli, "slow.yaml", XDG_CACHE_HOME=no_keys)
    assert code == 0
    assert "making RSA keys, " in told
    assert told.index("making RSA keys, ") < told.index("✓")
    write("quicker.yaml", SMALL.replace("key: ec-p256", "key: rsa-2048"))
    done = cli("quicker.yaml", env={"XDG_CACHE_HOME": no_keys + "-other"})
    assert done.returncode == 0
    assert "making RSA keys" not in done.stdout + done.stderr


def test_the_time_left_is_told_from_the_pace_since_the_first_step() -> None:
    def left(clock: list[float], steps: int) -> str:
        stream = io.StringIO()
        page = RichPage(stream, color=False, live=True, clock=lambda: clock.pop(0))
        for done in range(1, steps + 1):
            page.progress("working", done, 100)
        page.close()
        return stream.getvalue()

    # a minute of making keys comes first, then a case each second
    assert "about 90 s left" in left([60.0 + number for number in range(10)], 10)
    assert "left" not in left([60.0], 1)
