"""Which line of a program's log belongs to which connection.

By the client's port, where the program writes it; through a number of the program's own (``{{id}}``) that a line with the
port introduces; otherwise by order, and then only one connection is made at a time.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from mtls_runner.deadlines import Deadline
from mtls_runner.model.implementation import Log
from mtls_runner.servers.declared.visits import Visits
from mtls_runner.tls.dialects import compiled

__all__ = ["ConnectionLog"]

_KEPT = 1024
"""Connections, or lines that belong to none, which nobody has asked for."""


class ConnectionLog:
    """Fed by the thread that reads the program's output.

    Args:
        log: as declared.
        by_port: where the declaration says how; ``False``: whoever connects is seen under another port, or the log is not
            the one that was declared.
    """

    def __init__(self, log: Log, *, by_port: bool = True) -> None:
        self._connection = compiled(log.connection) if by_port and log.connection is not None else None
        self._line = compiled(log.line) if log.line is not None else None
        self._changed = threading.Condition()
        self._lines: OrderedDict[int, list[tuple[int, str]]] = OrderedDict()
        self._ports: dict[str, int] = {}
        self._all: deque[tuple[int, str]] = deque(maxlen=_KEPT)
        self._count = 0
        self._ended = False
        self._visits: Visits | None = None

    @property
    def by_port(self) -> bool:
        """Whether lines tell connections apart."""
        return self._connection is not None

    @property
    def count(self) -> int:
        """Lines so far."""
        return self._count

    def feed(self, line: str | None) -> None:
        """A line, or that none comes any more."""
        with self._changed:
            port = None
            if line is None:
                self._ended = True
            else:
                self._count += 1
                self._all.append((self._count, line))
                port = self._port_of(line)
                if port is not None:
                    self._lines.setdefault(port, []).append((self._count, line))
                    if len(self._lines) > _KEPT:
                        self._lines.popitem(last=False)
            self._changed.notify_all()
            visits = self._visits
        if visits is not None and (line is None or port is not None or not self.by_port):
            visits.feed(port, line)

    def visits(self, made: Callable[[], Visits]) -> Visits:
        """Everyone who comes from now on; what ``made`` makes is fed from the first call on."""
        with self._changed:
            if self._visits is None:
                self._visits = made()
                if self._ended:
                    self._visits.feed(None, None)
            return self._visits

    def asked(self, application_port: int) -> None:
        """The application behind the program got a request from that port."""
        with self._changed:
            visits = self._visits
        if visits is not None:
            visits.asked(application_port)

    def our_own(self) -> contextlib.AbstractContextManager[None]:
        """Meanwhile it is the lab that connects."""
        with self._changed:
            return self._visits.our_own() if self._visits is not None else contextlib.nullcontext()

    def _port_of(self, line: str) -> int | None:
        if self._connection is None:
            return None
        found = self._connection.search(line)
        groups = found.groupdict() if found is not None else {}
        if groups.get("client_port"):
            port = int(groups["client_port"])
            if groups.get("id"):
                self._ports[groups["id"]] = port
                while len(self._ports) > _KEPT:
                    del self._ports[next(iter(self._ports))]
            return port
        found = self._line.search(line) if self._line is not None else None
        return self._ports.get(found["id"]) if found is not None else None

    def wait(
        self,
        port: int | None,
        after: int,
        done: Callable[[Sequence[str]], bool],
        deadline: Deadline,
        settles: float | None = None,
    ) -> tuple[str, ...]:
        """A connection's lines, once they are ``done``, or as far as they came when the deadline passes.

        Args:
            port: the client's; ``None``: all lines, whoever's they are.
            after: how many lines there were before it connected.
            done: whether nothing that matters is missing.
            deadline: until when to wait.
            settles: seconds from the first line on in which the others come; ``None``: it may take longer.
        """
        with self._changed:
            while not done(lines := self._of(port, after)) and not self._ended:
                if lines and settles is not None:
                    deadline, settles = deadline.within(settles), None
                if not self._changed.wait(deadline.remaining()) and deadline.passed:
                    break
            lines = self._of(port, after)
            if port is not None:
                self._lines.pop(port, None)
            return lines

    def wait_for_line(
        self, port: int | None, after: int, last: Callable[[str], bool], deadline: Deadline
    ) -> tuple[int, tuple[str, ...]]:
        """A connection's lines up to the next one that is its request's ``last``, or as far as they came.

        Args:
            port, after, deadline: as for :meth:`wait`; the lines stay to be asked for.
            last: whether it is that line.

        Returns:
            how many lines there were up to and with the last one of them, and their texts.
        """
        with self._changed:
            while True:
                lines = self._numbered(port, after)
                end = next((at for at, (_, line) in enumerate(lines, 1) if last(line)), 0)
                if end or self._ended or (not self._changed.wait(deadline.remaining()) and deadline.passed):
                    break
        found = lines[: end or len(lines)]
        return found[-1][0] if found else after, tuple(line for _, line in found)

    def _of(self, port: int | None, after: int) -> tuple[str, ...]:
        return tuple(line for _, line in self._numbered(port, after))

    def _numbered(self, port: int | None, after: int) -> list[tuple[int, str]]:
        lines = self._all if port is None else self._lines.get(port, ())
        return [(number, line) for number, line in lines if number > after]
