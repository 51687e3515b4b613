"""Programs that stay and make one exchange after another, for clients that take long to start (a JVM, Python's libraries)."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtls_runner.deadlines import Deadline, ended_by
from mtls_runner.errors import LabError
from mtls_runner.runtimes.process import Finished, Program, Unfinished, start

__all__ = ["Residents"]

_REQUESTS = "requests"
_START_SECONDS = 60.0
_END_SECONDS = 3.0


class _Resident:
    """One process. It reads a line for each exchange, and ends what it writes of it with another.

    Args:
        done: for the line that ends an exchange.
        ready: for the line that ends its start; ``None``: there is none.
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        done: re.Pattern[str],
        ready: re.Pattern[str] | None,
    ) -> None:
        self._stack = contextlib.ExitStack()
        self._made = 0
        self._done, self._ready = done, ready
        with contextlib.ExitStack() as stack:
            fifo = directory / _REQUESTS
            os.mkfifo(fifo, 0o600)
            # Both ends, so that nobody waits for the other to open it.
            self._requests = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, self._requests)
            self._program: Program = stack.enter_context(
                start(command, directory, environment=environment, standard_input=fifo, stop="KILL")
            )
            self._stack = stack.pop_all()

    def exchange(self, request: str, seconds: float) -> Finished | None:
        """What it wrote, and the exit code that it tells; ``None``: it had ended with the exchange before.

        Raises:
            LabError: it did not start in time.
            Unfinished: it started, and the exchange did not end in time.
        """
        self._made += 1
        lines: list[str] = []
        with ended_by(self._kill):
            if self._made == 1 and self._ready is not None:
                started = self._until(self._ready, Deadline.after(_START_SECONDS), lines)
                if started is None and not self._program.log.ended:
                    raise LabError(f"{self._program.name} is not ready after {_START_SECONDS:.0f} s")
            began = time.monotonic()
            os.write(self._requests, f"{request}\n".encode())
            found = self._until(self._done, Deadline.after(seconds), lines)
        took, written = time.monotonic() - began, "".join(f"{line}\n" for line in lines).encode()
        if found is not None:
            return Finished(int(found[1]), written, b"", took)
        if not self._program.log.ended:
            raise Unfinished(self._program.name, Finished(-signal.SIGKILL, written, b"", took))
        if self._made > 1 and not lines:
            return None
        return Finished(self._program.wait(_END_SECONDS), written, b"", took)

    def _until(self, wanted: re.Pattern[str], deadline: Deadline, lines: list[str]) -> re.Match[str] | None:
        while (line := self._program.log.take(deadline)) is not None:
            if found := wanted.search(line):
                return found
            lines.append(line)
        return None

    def _kill(self) -> None:
        with contextlib.suppress(LabError):
            self._program.signal("KILL")

    @property
    def runs(self) -> bool:
        """Whether it can be asked again."""
        return self._program.exit_code() is None

    def close(self) -> None:
        """End it."""
        self._stack.close()


class Residents:
    """Those of one client: as many as there are exchanges at a time, for each command and environment.

    Args:
        done: a regular expression for the line that ends an exchange; its group is the exit code.
        ready: one for the line that ends its start, which has a limit of its own; ``None``: the first exchange has it.
    """

    def __init__(self, done: str, ready: str | None) -> None:
        self._done = re.compile(done)
        self._ready = re.compile(ready) if ready is not None else None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._idle: dict[tuple[object, ...], list[_Resident]] = defaultdict(list)
        self._all: list[_Resident] = []

    def exchange(
        self, command: Sequence[str], environment: Mapping[str, str], request: str, base: Path, seconds: float
    ) -> Finished:
        """One exchange, by a process that is idle or a new one.

        Args:
            command, environment: of the process.
            request: the line that it reads.
            base: a directory; a new process has its own below it.
            seconds: after which the process is ended.

        Raises:
            LabError: it can't be started, or not in time.
            Unfinished: it did not end in time.
        """
        kind = (*command, *sorted(environment.items()))
        while True:
            resident = self._taken(kind) or self._started(command, base, environment)
            finished = None
            try:
                finished = resident.exchange(request, seconds)
            finally:
                self._back(kind, resident, usable=finished is not None)
            if finished is not None:
                return finished

    def _taken(self, kind: tuple[object, ...]) -> _Resident | None:
        with self._lock:
            return self._idle[kind].pop() if self._idle[kind] else None

    def _started(self, command: Sequence[str], base: Path, environment: Mapping[str, str]) -> _Resident:
        directory = base / f"stays-{next(self._numbers)}"
        directory.mkdir(mode=0o700)
        made = _Resident(command, directory, environment, self._done, self._ready)
        with self._lock:
            self._all.append(made)
        return made

    def _back(self, kind: tuple[object, ...], resident: _Resident, *, usable: bool) -> None:
        usable = usable and resident.runs
        with self._lock:
            if usable:
                self._idle[kind].append(resident)
            else:
                self._all.remove(resident)
        if not usable:
            resident.close()

    def close(self) -> None:
        """End them all."""
        with self._lock:
            left, self._all = self._all, []
            self._idle.clear()
        for resident in left:
            resident.close()
