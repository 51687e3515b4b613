"""What is told when something is wrong: a message about a place in a file, and every exception that is raised on purpose.

::

    MtlsRunError
    ├── UsageError            the command line, or a call of the API, is wrong        (exit 2)
    ├── ScenarioError         scenario files or lab.yaml are invalid: .diagnostics    (exit 2)
    └── LabError              the lab itself is broken: no verdict can be given       (exit 3)
        ├── MaterialError     keys or certificates can't be made, read or stored
        │   └── FileUnusable  an end can't be given a file of the user's: .reason
        ├── EngineError       the container engine can't be reached or refuses
        ├── ServerUnusable    a server can't start with what it was given: .reason
        ├── DeadlineExceeded  a time limit of the lab's own passed
        └── Interrupted       a thread's work is not wanted any more

A refusal by a server or a client is never an exception: it is what the lab is there to observe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtls_runner.model import Reason


__all__ = [
    "Deadline",
    "DeadlineExceeded",
    "Diagnostic",
    "EngineError",
    "FileUnusable",
    "Interrupted",
    "Interruption",
    "LabError",
    "MaterialError",
    "MtlsRunError",
    "ScenarioError",
    "ServerUnusable",
    "Severity",
    "Span",
    "UsageError",
    "ended_by",
    "go_on",
    "pause",
]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of characters in a text file.

    Lines and columns count from 1, as editors and compilers print them; columns count Unicode
    code points. ``end_line``/``end_column`` name the first position *after* the range.
    """

    path: Path
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


class Severity(StrEnum):
    """How bad a diagnostic is. ``--strict`` turns warnings into errors."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message for the person who wrote the file.

    Args:
        message: what is wrong, without position and without the author's secret values.
        span: the place; ``None`` only where there is no file to point at.
        expected: what would have been right ("one of: none, optional, required").
        suggestion: a close match ("did you mean 'passphrase'?" is made of it), or ``""``.
        severity: error or warning.
        readable: the file can be parsed; of another one, more is masked where its lines are shown.
    """

    message: str
    span: Span | None = None
    expected: str = ""
    suggestion: str = ""
    severity: Severity = Severity.ERROR
    readable: bool = True


class MtlsRunError(Exception):
    """Base of all."""

    exit_code = 3


class UsageError(MtlsRunError):
    """The command line, or a call of the API, is wrong."""

    exit_code = 2


class ScenarioError(MtlsRunError):
    """A file that a person wrote is invalid; all its mistakes are in ``diagnostics``."""

    exit_code = 2

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(f"{d.span}: {d.message}" if d.span else d.message for d in self.diagnostics))


class LabError(MtlsRunError):
    """The lab itself is broken, so that no verdict can be given."""


class MaterialError(LabError):
    """Keys or certificates can't be made, read or stored."""


class FileUnusable(MaterialError):
    """An end can't be given a file of the user's: it would hang there, or nothing can convert it to what the end loads.

    Args:
        message: with the file's name.
        reason: ``missing-file``, …
    """

    def __init__(self, message: str, *, reason: Reason) -> None:
        self.reason = reason
        super().__init__(message)


class EngineError(LabError):
    """The container engine can't be reached, lacks the image or refuses; the text names the next step.

    Args:
        message: what is wrong.
        image: the reference of the image that it is about; ``""``: it is about none.
    """

    def __init__(self, message: str, *, image: str = "") -> None:
        self.image = image
        super().__init__(message)


class ServerUnusable(LabError):
    """A server can't start with the configuration or material it was given.

    Args:
        message: what the server itself said.
        reason: ``wrong-passphrase``, …
        log: the server's own words, line by line.
    """

    def __init__(self, message: str, *, reason: Reason, log: Sequence[str] = ()) -> None:
        self.reason = reason
        self.log = tuple(log)
        super().__init__(message)


class DeadlineExceeded(LabError):
    """A time limit of the lab's own passed."""


class Interrupted(LabError):
    """A thread's work is not wanted any more: nobody looks at what comes of it."""


class _Thread(threading.local):
    interruption: Interruption | None = None


_thread = _Thread()


class Interruption:
    """Of the work of some threads, by another one: what they wait for ends, and deadlines that they have made before are over.

    A signal interrupts the main thread only, and no thread can raise in another one that waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: list[Callable[[], None]] = []
        self.happened = threading.Event()

    def join(self) -> None:
        """The thread that calls this is one of them."""
        _thread.interruption = self

    def interrupt(self) -> None:
        """From now on."""
        with self._lock:
            self.happened.set()
            for end in self._ends:
                end()

    @contextmanager
    def ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """See the function of this name."""
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
    """What this thread waits for in the block ends by ``end()``, should its work be interrupted; quick, and it raises nothing."""
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
    """Do nothing for so long, or until this thread's work is interrupted."""
    if _thread.interruption is None:
        time.sleep(seconds)
    else:
        _thread.interruption.happened.wait(seconds)


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds.

    One that was made by a thread whose work is interrupted afterwards has passed; one that is made then has not, since it is
    for cleaning up.
    """

    at: float
    _cut: Interruption | None = field(default=None, repr=False, compare=False)

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
