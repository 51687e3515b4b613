"""Ctrl-C, SIGTERM and a closed terminal: all stop the program the same way, first gently, then at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 0.5
"""Seconds that work in hand may still take. A case that is not stuck is done long before."""


class Stop:
    """Turns those signals into :class:`KeyboardInterrupt`.

    Raised at an arbitrary place, that exception can tear a report's line apart, leave a socket open or get lost (in a
    destructor, in a callback that C calls). So there is :meth:`gently`, for code that looks at ``requested`` often.
    """

    def __init__(self) -> None:
        self._gentle = False
        self.requested = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals in this block, but for those that the parent has ignored (``nohup``, a shell's ``&``)."""
        before = {number: signal.getsignal(number) for number in (*_SIGNALS, signal.SIGALRM)}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._signalled)
        try:
            yield
        finally:
            self.patience()
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def gently(self) -> Iterator[None]:
        """Only take note of the first signal; raise at the second one, or when the time of grace is over."""
        self._gentle = True
        try:
            yield
        finally:
            self._gentle = False

    def patience(self) -> None:
        """The request is being followed: however long cleaning up takes, only another signal cuts it short."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        first = not self.requested
        self.requested = True
        if self._gentle and first and number != signal.SIGALRM:
            signal.setitimer(signal.ITIMER_REAL, _GRACE)
            return
        raise KeyboardInterrupt
