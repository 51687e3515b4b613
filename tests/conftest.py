"""What all tests share: scenarios for nginx need a container engine."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest

from .container_engine import absent, not_here
from .once import Answers
from .once import answers as answers_of


def pytest_configure() -> None:
    """In the background of a shell, or under nohup, signals are ignored, and would be in every process that tests start.

    What is caught, a new program does not ignore (signal(7)).
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_xdist_auto_num_workers() -> int:
    """Twice the processors with ``-n auto``: much of a test's time it waits for containers, clocks and other processes."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.fixture(scope="session")
def nginx_engine() -> None:
    """An engine and an image, or a skip that says so; a failure in CI."""
    reason = absent()
    if reason is not None:
        not_here(reason)


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What a scenario file's cases end in, measured once a session."""
    return partial(answers_of, tmp_path_factory)
