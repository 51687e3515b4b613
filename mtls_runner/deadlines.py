"""When waiting ends: deadlines, and the interruption of a thread's work by another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from mtls_runner.errors import DeadlineExceeded, Interrupted

__all__ = ["Deadline", "Interruption", "ended_by", "go_on", "pause"]


_LOOK_UP = 0.2
"""Seconds."""


class _Thread(threading.local):
    interruption: Interruption | None = None


_thread = _Thread()


class Interruption:
    """Interrupts the work of some threads from another one: their waits end, and the deadlines that they made before have passed.

    A signal interrupts the main thread only, and no thread can raise in another one that waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: list[Callable[[], None]] = []
        self.happened = threading.Event()

    def join(self) -> None:
        """Add the calling thread to them."""
        _thread.interruption = self

    def interrupt(self) -> None:
        """End every wait of these threads, now and from now on."""
        with self._lock:
            self.happened.set()
            for end in self._ends:
                end()

    @contextmanager
    def ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """See :func:`ended_by`."""
        with self._lock:
            self._ends.append(end)
            if self.happened.is_set():
                end()
        try:
            yield
        finally:
            with self._lock:  # it is never called behind the block
                self._ends.remove(end)


@contextmanager
def ended_by(end: Callable[[], None]) -> Iterator[None]:
    """Within the block, an interruption of this thread's work calls ``end()``, which ends its wait and raises nothing."""
    if _thread.interruption is None:
        yield
        return
    with _thread.interruption.ended_by(end):
        yield


def go_on() -> None:
    """Look whether this thread's work is still wanted, before it begins with something new.

    Raises:
        Interrupted: it is not.
    """
    if _thread.interruption is not None and _thread.interruption.happened.is_set():
        raise Interrupted("interrupted")


def pause(seconds: float) -> None:
    """Do nothing for so long, or until this thread's work is interrupted.

    It looks up now and then: a signal that comes just before the thread sleeps, or to another thread, does not wake it.
    """
    if _thread.interruption is None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_UP))
    else:
        _thread.interruption.happened.wait(seconds)


class Deadline(Struct, frozen=True):
    """A moment on the monotonic clock, in seconds.

    One that was made by a thread whose work is interrupted afterwards has passed; one that is made then has not, since it is
    for cleaning up.
    """

    at: float
    _cut: Interruption | None = None

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The moment ``seconds`` from now."""
        cut = _thread.interruption
        if cut is not None and cut.happened.is_set():
            cut = None
        return cls(time.monotonic() + seconds, cut)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        if self._cut is not None and self._cut.happened.is_set():
            return 0.0
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return not self.remaining()

    def check(self, doing: str) -> None:
        """Raise :class:`DeadlineExceeded` naming ``doing`` when no time is left."""
        if self.passed:
            raise DeadlineExceeded(f"time limit passed while {doing}")

    def within(self, seconds: float) -> Deadline:
        """The earlier of this deadline and ``seconds`` from now."""
        return Deadline(min(self.at, time.monotonic() + seconds), self._cut)
