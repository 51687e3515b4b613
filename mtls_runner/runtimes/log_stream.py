"""A program's output as lines, read by a thread of its own, so that a reader waits on a condition and never polls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from mtls_runner.deadlines import Deadline

__all__ = ["LogStream"]

_TAIL = 200


class LogStream:
    """Lines of one program or container, in the order in which they were written to each of its two streams.

    Args:
        chunks: yields ``(stdout, stderr)``, either of them ``None``; ends when the program does.
        name: of the thread.
        listener: told each line by the thread that reads, and at last ``None``; what it is told is not there to be taken.
    """

    def __init__(
        self,
        chunks: Iterable[tuple[bytes | None, bytes | None]],
        name: str,
        listener: Callable[[str | None], None] | None = None,
    ) -> None:
        self.cut: Callable[[], str] | None = None
        """Asked once there is no more output: why that is not the program's end; ``""``: it is."""
        self._chunks = chunks
        self._listener = listener
        self._changed = threading.Condition()
        self._lines: deque[str] = deque()
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._partial = {False: bytearray(), True: bytearray()}
        self._ended = False
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for out, err in self._chunks:
                self._add(out, stderr=False)
                self._add(err, stderr=True)
        finally:
            with self._changed:
                for rest in self._partial.values():
                    if rest:
                        self._append(rest)
                self._ended = True
                self._changed.notify_all()
            if self._listener is not None:
                self._listener(None)

    def _add(self, data: bytes | None, *, stderr: bool) -> None:
        if not data:
            return
        partial = self._partial[stderr]
        partial += data
        if b"\n" in data:
            *lines, rest = partial.split(b"\n")
            self._partial[stderr] = rest
            with self._changed:
                for line in lines:
                    self._append(line)
                self._changed.notify_all()

    def _append(self, line: bytearray) -> None:
        text = line.decode("utf-8", errors="replace").rstrip("\r")
        self._tail.append(text)
        if self._listener is None:
            self._lines.append(text)
        else:
            self._listener(text)

    def take(self, deadline: Deadline) -> str | None:
        """The next line nobody took yet; ``None`` when the deadline passed, or the program ended and all are taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._ended, deadline.remaining())
            return self._lines.popleft() if self._lines else None

    def take_ready(self) -> list[str]:
        """All lines that arrived and nobody took, without waiting."""
        with self._changed:
            lines = list(self._lines)
            self._lines.clear()
            return lines

    @property
    def ended(self) -> bool:
        """Whether the program ended (all of its output has then arrived)."""
        return self._ended

    @property
    def drained(self) -> bool:
        """Whether the program ended and every line of it was taken."""
        with self._changed:
            return self._ended and not self._lines

    def wait_ended(self, deadline: Deadline) -> bool:
        """Until the program ended; whether it did before the deadline."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, deadline.remaining())

    def tail(self) -> tuple[str, ...]:
        """The last lines, taken or not."""
        with self._changed:
            return tuple(self._tail)

    def join(self, seconds: float) -> None:
        """Until the thread ended, which it does when the program does; at most so many seconds."""
        self._thread.join(seconds)
