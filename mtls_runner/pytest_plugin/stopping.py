"""SIGTERM and a closed terminal end a test session as Ctrl-C does: servers, containers and keys are gone afterwards.

Only once a lab is open: until then there is nothing to clean up, and pytest's own ways are left alone.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

import pytest

__all__ = ["clean_up_when_stopped", "told_exit_code"]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_AGAIN = 0.001
"""Seconds."""
_RECEIVED = pytest.StashKey[list[int]]()


def clean_up_when_stopped(config: pytest.Config) -> None:
    """Call it before something is made that has to be removed.

    What has a handler of somebody else's, or is ignored (``nohup``), stays as it is.
    """
    if _RECEIVED in config.stash or threading.current_thread() is not threading.main_thread():
        return
    from mtls_runner.tls.sockets import heard

    received: list[int] = []
    config.stash[_RECEIVED] = received

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if heard(frame):
            raise KeyboardInterrupt
        threading.Timer(_AGAIN, signal.pthread_kill, (threading.main_thread().ident or 0, number)).start()

    taken = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def give_back() -> None:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)

    config.add_cleanup(give_back)
    for number in taken:
        signal.signal(number, stop)


def told_exit_code(config: pytest.Config) -> int | None:
    """As a shell tells it, 128 and the signal's number; ``None``: there was no signal."""
    received = config.stash.get(_RECEIVED, [])
    return 128 + received[0] if received else None
