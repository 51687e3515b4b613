"""Processes that share out what a command of the tests has to do, and end with it, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait

__all__ = ["workers"]

_PATIENCE = 30
"""Seconds in which a worker has removed what it had made."""


def workers(count: int | None = None) -> ProcessPoolExecutor:
    """That many, each started anew, since what runs in them may have threads.

    Args:
        count: ``None``: twice the processors, where much of the time is waiting for containers and programs.
    """
    number = count if count is not None else 2 * len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(number, mp_context=context, initializer=_end_with_its_beginner)


def _end_with_its_beginner() -> None:
    """A queue has an end only once all who could write into it are gone, the other workers too: so it tells nobody."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_wait_for_its_end, daemon=True).start()


def _wait_for_its_end() -> None:
    beginner = multiprocessing.parent_process()
    assert beginner is not None
    wait([beginner.sentinel])
    # As Ctrl-C: what the worker does ends, and is cleaned up after.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    threading.Event().wait(_PATIENCE)
    os.kill(os.getpid(), signal.SIGKILL)
