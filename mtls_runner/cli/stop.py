"""Ctrl-C, SIGTERM and a closed terminal: all stop the program the same way, and never in the middle of a report's line."""

from __future__ import annotations

import signal
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["Stop"]

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # no SIGHUP on Windows


class Stop:
    """Turns those signals into :class:`KeyboardInterrupt`."""

    def __init__(self) -> None:
        self._shielded = False
        self._pending = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals in this block, but for those that the parent has ignored (``nohup``, a shell's ``&``)."""
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._signalled)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Put the first signal off until the block's end. A second one gets through: a person who insists is right."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        if self._shielded and not self._pending:
            self._pending = True
            return
        self._pending = False
        raise KeyboardInterrupt
