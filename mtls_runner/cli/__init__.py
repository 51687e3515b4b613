"""The command line. Importing it costs next to nothing; each command loads what it needs when it runs.

Ctrl-C, SIGTERM and a closed terminal all stop the program the same way, and leave nothing behind; that holds from the beginning.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

__all__ = ["STOP", "Stop", "main", "output_width", "prepared_help"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE = 0.5
"""Seconds that work in hand may still take. A case that is not stuck is done long before."""
_AGAIN = 0.001
"""Seconds."""
_GARBAGE = 20_000
"""Objects that are made before garbage is looked for among them: most of what a start makes lives to its end."""


class Stop:
    """What a signal does, by what there is to clean up.

    At first nothing is: the program ends at once, in the middle of an import, too. :meth:`cleanly` is for code that has
    something to remove: it gets a :class:`KeyboardInterrupt`. Raised at an arbitrary place, that exception can tear a
    report's line apart, leave a socket open or get lost (in a destructor, in a callback that C calls). So there is
    :meth:`gently`, for code that looks at ``requested`` often, or is woken.
    """

    def __init__(self) -> None:
        self._clean = False
        self._gentle = False
        self._wake: Callable[[], object] | None = None
        self._number = signal.SIGINT
        self.requested = False

    @property
    def exit_code(self) -> int:
        """As a shell tells it: 128 and the signal's number."""
        return 128 + self._number

    @contextmanager
    def listening(self, *, for_good: bool = False) -> Iterator[None]:
        """Take the signals in this block, but for those that the parent has ignored (``nohup``, a shell's ``&``).

        Args:
            for_good: and after it, too: the process does nothing else, and while it ends nobody else should be asked.
        """
        self._clean = self._gentle = self.requested = False
        before = {number: signal.getsignal(number) for number in (*_SIGNALS, signal.SIGALRM)}
        lost = sys.unraisablehook
        sys.unraisablehook = self._lost
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._signalled)
        try:
            yield
        finally:
            self.patience()
            if not for_good:
                sys.unraisablehook = lost
                for number, handler in before.items():
                    signal.signal(number, handler)

    @contextmanager
    def cleanly(self) -> Iterator[None]:
        """There is something to clean up in this block: a signal raises :class:`KeyboardInterrupt`."""
        before, self._clean = self._clean, True
        try:
            yield
        finally:
            self._clean = before

    @contextmanager
    def gently(self, wake: Callable[[], object] | None = None) -> Iterator[None]:
        """Only take note of the first signal; raise at the second one, or when the time of grace is over.

        Args:
            wake: called with the first signal, for code that waits; it may come at any place of this thread's work.
        """
        self._gentle, self._wake = True, wake
        try:
            yield
        finally:
            self._gentle, self._wake = False, None

    @contextmanager
    def undivided(self) -> Iterator[None]:
        """Make something and note that it is to be removed, as one: a signal in this block interrupts at its end."""
        with self.gently():
            yield
        if self.requested:
            self.patience()
            raise KeyboardInterrupt

    def patience(self) -> None:
        """The request is being followed: however long cleaning up takes, only another signal cuts it short."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        first = not self.requested
        if number != signal.SIGALRM:
            self.requested = True
            self._number = signal.Signals(number)
        if not (self._clean or self._gentle):
            with suppress(OSError):
                os.write(2, b"mtls-run: interrupted\n")
            os._exit(self.exit_code)
        if self._gentle and first:
            signal.setitimer(signal.ITIMER_REAL, _GRACE)
            if self._wake is not None:
                self._wake()
            return
        heard = getattr(sys.modules.get("mtls_runner.tls.sockets"), "heard", None)  # not loaded: nobody shakes hands
        if heard is not None and not heard(frame):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            return
        raise KeyboardInterrupt

    def _lost(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Raised where nobody can catch it: raise it again, a moment later."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        else:
            sys.__unraisablehook__(unraisable)


STOP = Stop()
"""Of this process, as its signals are."""


_WIDEST = 100
"""Columns of help text; longer lines are hard to read."""
_HELP = ("-h", "--help")


def output_width() -> int:
    """Columns of the terminal, as click finds it, but without loading shutil and all its archive formats for it."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return min(int(columns), _WIDEST)
    try:
        return min(os.get_terminal_size(sys.stdout.fileno()).columns or _WIDEST, _WIDEST)
    except (OSError, ValueError, AttributeError):  # no terminal, or no real file at all
        return 80


def prepared_help(columns: int) -> str | None:
    """What ``--help`` says, as ``python -m mtls_runner.cli.reference`` has written it down: loading click takes longer than all
    the rest. ``None``: it is to be made, for another width, or since installed distributions have names of their own in it.
    """
    from mtls_runner.distributions import declarations

    if declarations():
        return None
    with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as file:  # noqa: PTH118, PTH120, PTH123
        parts = dict(part.split("\n", 1) for part in file.read().split("\f")[1:])
    return parts.get(str(columns))


def _shows_help() -> bool:
    """Whether that is all there was to do, and it was done."""
    text = prepared_help(output_width())
    if text is None or sys.stdout is None:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):  # what to do about that is for the program
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; ``None``: the process's own arguments. Returns the exit code."""
    with STOP.listening(for_good=arguments is None):
        if arguments is None:
            gc.set_threshold(_GARBAGE)
        typed = sys.argv[1:] if arguments is None else arguments
        if len(typed) == 1 and typed[0] in _HELP and _shows_help():
            return 0
        from mtls_runner.cli.program import program

        return program(arguments)
