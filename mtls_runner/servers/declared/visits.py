"""All connections to a server, as its log tells them apart: by the client's port, or by their order."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct, field

from mtls_runner.deadlines import Deadline

__all__ = ["Visits"]

_KEPT = 1024
_UNKNOWN = 64
"""Requests to the application for which no line has named the connection yet, at most; for the lab's own, none ever does."""


class _Visit(Struct, eq=False):
    number: int
    port: int | None
    lines: list[str] = field(default_factory=list)
    over: bool = False
    heard: int = 0
    asked: int = 0
    application_port: int | None = None


class Visits:
    """The visits so far; fed by the thread that reads the log, from the moment on that somebody wants to know.

    Args:
        over: whether nothing that matters is missing from a connection's lines.
        telling: whether a line is about a connection at all.
        another: whether a line behind others is about the next one.
        asking: whether a line is about a request.
        going_on: whether a line behind those of a connection that seemed to be over is about its next request.
        application_port: where a line says that the program connects from to its application.
    """

    def __init__(
        self,
        over: Callable[[Sequence[str]], bool],
        telling: Callable[[Sequence[str]], bool],
        another: Callable[[Sequence[str], str], bool],
        asking: Callable[[str], bool],
        going_on: Callable[[Sequence[str], str], bool],
        application_port: Callable[[str], int | None],
    ) -> None:
        self._over = over
        self._another = another
        self._telling = telling
        self._asking = asking
        self._going_on = going_on
        self._application_port = application_port
        self._asked_from: deque[int] = deque(maxlen=_UNKNOWN)
        self._rank = 0
        self._changed = threading.Condition()
        self._visits: deque[_Visit] = deque(maxlen=_KEPT)
        self._open: dict[int | None, _Visit] = {}
        self._count = 0
        self._own = 0
        self._ended = False

    @property
    def count(self) -> int:
        """Visits so far."""
        with self._changed:
            return self._count

    def feed(self, port: int | None, line: str | None) -> None:
        """Take a line, and the port of its client; ``None``: the log has ended."""
        with self._changed:
            if line is None:
                self._ended = True
            elif not self._own:
                self._add(port, line)
            self._changed.notify_all()

    def _add(self, port: int | None, line: str) -> None:
        visit = self._open.get(port)
        if visit is not None and self._another(visit.lines, line):
            visit.over = True
            visit = None
        if visit is None:
            visit = self._kept(port, line)
        if visit is None:
            if not self._telling([line]):
                return  # about a connection that is over, or about none
            self._count += 1
            visit = self._open[port] = _Visit(self._count, port)
            self._visits.append(visit)
        visit.lines.append(line)
        if (from_port := self._application_port(line)) is not None:
            visit.application_port = from_port
            self._look_who_asked()
        if not visit.heard or self._asking(line):
            self._rank += 1
            visit.heard = self._rank
            visit.asked = self._rank if self._asking(line) else 0
        if self._over(visit.lines):
            visit.over = True
            self._open.pop(port, None)

    def asked(self, application_port: int) -> None:
        """A request came from that port to the application; the line that tells whose it is may come later."""
        with self._changed:
            self._asked_from.append(application_port)
            self._look_who_asked()
            self._changed.notify_all()

    def _look_who_asked(self) -> None:
        for port in tuple(self._asked_from):
            found = (visit for visit in reversed(self._visits) if visit.application_port == port)
            if (visit := next(found, None)) is not None:
                self._asked_from.remove(port)
                self._rank += 1
                visit.heard = visit.asked = self._rank

    def _kept(self, port: int | None, line: str) -> _Visit | None:
        """The visit from that port that goes on, though its lines seemed complete."""
        last = next((visit for visit in reversed(self._visits) if visit.port == port), None)
        return last if last is not None and last.over and self._going_on(last.lines, line) else None

    @contextlib.contextmanager
    def our_own(self) -> Iterator[None]:
        """Within this block the lab itself connects, which is no visit."""
        with self._changed:
            self._own += 1
        try:
            yield
        finally:
            with self._changed:
                self._own -= 1

    def leave_out(self, port: int | None, number: int, deadline: Deadline) -> None:
        """Waits until the visit from that port, behind that number, is over: what was said before it is known by then."""
        with self._changed:
            while True:
                found = [visit for visit in self._visits if visit.port == port and visit.number > number]
                if any(visit.over for visit in found) or self._ended or deadline.passed:
                    break
                self._changed.wait(deadline.remaining())
            for visit in found:
                self._visits.remove(visit)
                if self._open.get(port) is visit:
                    del self._open[port]

    def after(self, number: int, deadline: Deadline) -> tuple[tuple[int, tuple[str, ...]], ...]:
        """The rank and the lines of each visit behind that number; waits until there is one and all are over."""
        with self._changed:
            while True:
                found = [visit for visit in self._visits if visit.number > number]
                if (found and all(visit.over for visit in found)) or self._ended:
                    break
                if not self._changed.wait(deadline.remaining()) and deadline.passed:
                    break
            return tuple((visit.heard, tuple(visit.lines)) for visit in found)

    @property
    def rank(self) -> int:
        """Rank of the latest news: each visit counts when it begins, and again with each request."""
        with self._changed:
            return self._rank

    def heard_after(self, rank: int, deadline: Deadline) -> tuple[tuple[str, ...], ...]:
        """The lines of each visit that had something new behind that rank, the last one last.

        Waits until there is one, and all are over or have asked.
        """
        with self._changed:
            while True:
                found = sorted((visit for visit in self._visits if visit.heard > rank), key=lambda visit: visit.heard)
                if (found and all(visit.over or visit.asked > rank for visit in found)) or self._ended:
                    break
                if not self._changed.wait(deadline.remaining()) and deadline.passed:
                    break
            return tuple(tuple(visit.lines) for visit in found)

    def each(self, number: int) -> Iterator[tuple[str, ...]]:
        """The lines of each visit behind that number, when it is over and with each later request; ends with the log."""
        told: set[tuple[int, int]] = set()
        while True:
            with self._changed:
                while not (
                    ready := [
                        visit
                        for visit in self._visits
                        if visit.over and visit.number > number and (visit.number, visit.heard) not in told
                    ]
                ):
                    if self._ended:
                        return
                    self._changed.wait()
                first = ready[0]
                told.add((first.number, first.heard))
                lines = tuple(first.lines)
            yield lines
