"""An nginx that runs: one connection at a time, so that each line of its log belongs to the one that is watched."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import EngineError, LabError
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import ClientView, HttpRequest, Phase, ServerView
from mtls_runner.model.port import RunningServer
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.nginx.log.attribution import can_be_of, is_told
from mtls_runner.servers.nginx.log.lines import LogLine, parse_line, server_view
from mtls_runner.servers.readiness import PROXY_PROTOCOL

__all__ = ["RunningNginx"]

_FENCE_SECONDS = 5.0
_LAST_WORDS = 5
"""Lines that are shown of the log of an nginx that ended."""
_VIEW_SECONDS = 5.0
"""nginx logs a connection's end within milliseconds of it; a line that is not there by then never comes."""
_TIMED_OUT_SECONDS = 0.5
"""The same for a connection that nginx still waits with, or closed while it was idle: it may log nothing of these."""

_AS_LONG_AS_IT_TAKES = 3600.0
_UNFINISHED = 1024
"""Connections that are not over and whose lines are kept."""
_SOMEBODY = ClientView(tool="", tool_version="", phase=Phase.DONE)
"""A client that is only known from the server's log."""

_NEVER_CONNECTED = (Phase.PREPARE, Phase.CONNECT)


class _State:
    """What is known of the connections of one nginx process, however many servers it has."""

    __slots__ = ("fences", "heard", "lines", "numbers", "one_at_a_time", "past", "unsettled")

    def __init__(self) -> None:
        self.lines: OrderedDict[int, list[LogLine]] = OrderedDict()
        self.numbers: dict[int, int] = {}
        """Numbers of connections that their clients keep open, by the client's port."""
        self.heard: dict[int, int] = {}
        self.one_at_a_time = threading.Lock()
        self.past = 0
        self.unsettled = True
        self.fences = itertools.count(1)


class RunningNginx(RunningServer):
    """One server of an nginx.

    nginx numbers its connections, ever rising, and names the number in every line. All lines up to a connection that is
    known to be over are past; the first number above that is the watched one's.

    Args:
        address: where it is published.
        log: its lines from now on.
        log_is_whole: whether it tells of every connection: then silence about one is no evidence, but a broken lab.
        upstream: takes the request that was last forwarded to a stub, if there was one.
        check: raises ``LabError`` where what nginx depends on has broken.
        warnings: what it said while it read its configuration.
        proxied: it speaks the PROXY protocol there.
    """

    tells_of_everyone = True

    def __init__(
        self,
        address: Address,
        log: LogStream,
        log_is_whole: bool,
        upstream: Callable[[], HttpRequest | None] | None = None,
        check: Callable[[], None] | None = None,
        warnings: tuple[str, ...] = (),
        proxied: bool = False,
    ) -> None:
        self.warnings = warnings
        self._proxied = proxied
        self._address = address
        self._log = log
        self._log_is_whole = log_is_whole
        self._upstream = upstream
        self._check = check
        self._state = _State()

    def beside(self, address: Address, *, proxied: bool = False) -> RunningNginx:
        """Another server of the same nginx; both share the log, and one connection at a time."""
        other = RunningNginx(address, self._log, self._log_is_whole, proxied=proxied)
        other._state = self._state
        return other

    @property
    def address(self) -> Address:
        """On loopback."""
        return self._address

    @contextlib.contextmanager
    def watch(self) -> Iterator[_Watch]:
        """Waits for the connection before to be done with.

        Raises:
            LabError: it can't be told what of the log belongs to which connection.
        """
        with self._state.one_at_a_time:
            self._check_log()
            if self._state.unsettled:
                self._settle(Deadline.after(_FENCE_SECONDS))
            if self._state.unsettled and self._log_is_whole:
                raise LabError(
                    f"nginx did not answer and log a request of the lab's own (at most {_FENCE_SECONDS:g} s were given): what "
                    "it logs next could be about any connection"
                )
            self._forget_strangers()
            if self._upstream is not None:
                self._upstream()
            self._state.unsettled = True
            yield _Watch(self)

    def _check_log(self) -> None:
        """Make sure that the log goes on.

        Raises:
            EngineError: the way to the container was cut off.
            LabError: nginx has ended.
        """
        if not self._log.ended:
            return
        why = self._log.cut() if self._log.cut is not None else ""
        if why:
            raise EngineError(why)
        last = "".join(f"\n  {line}" for line in self._log.tail()[-_LAST_WORDS:])
        raise LabError(f"nginx ended; its last words:{last}")

    def _forget_strangers(self) -> None:
        """Take the lines that are there by now: nobody is watched, so that they are about connections of others."""
        for text in self._log.take_ready():
            line = parse_line(text)
            self._record(line)
            self._state.past = max(self._state.past, line.connection or 0)

    def arrived(self) -> int:
        """Number of the last connection, the fence's own."""
        with self._state.one_at_a_time:
            self._settle(Deadline.after(_FENCE_SECONDS))
            self._state.lines.clear()
            return self._state.past

    def seen(self, after: int, deadline: Deadline) -> tuple[ServerView, ...]:
        """Views of the connections after that number whose end nginx has logged, to any server of the same nginx."""
        with self._state.one_at_a_time:
            self._settle(deadline.within(_FENCE_SECONDS))
            while not (views := self._recorded(after)) and (text := self._log.take(deadline)) is not None:
                self._record(parse_line(text))
        return views

    def heard(self) -> int:
        """Rank of the last connection, or request, the fence's own."""
        with self._state.one_at_a_time:
            self._settle(Deadline.after(_FENCE_SECONDS))
            return next(self._state.fences)

    def heard_after(self, rank: int, deadline: Deadline) -> tuple[ServerView, ...]:
        """Views of the connections that came, or made a request, after that, the latest last."""
        with self._state.one_at_a_time:
            self._settle(deadline.within(_FENCE_SECONDS))
            while not (views := self._ranked(rank)) and (text := self._log.take(deadline)) is not None:
                self._record(parse_line(text))
        return views

    def _ranked(self, rank: int) -> tuple[ServerView, ...]:
        return tuple(sorted((one for one in self._recorded(0) if one.heard > rank), key=lambda one: one.heard))

    def _record(self, line: LogLine) -> None:
        if line.connection is not None:
            self._state.lines.setdefault(line.connection, []).append(line)
            # when an answered connection is closed says nothing about who came last
            if line.access is not None or line.connection not in self._state.heard:
                self._state.heard[line.connection] = next(self._state.fences)
            if len(self._state.lines) > _UNFINISHED:
                number, _ = self._state.lines.popitem(last=False)
                self._state.heard.pop(number, None)

    def _recorded(self, after: int) -> tuple[ServerView, ...]:
        over = (
            (number, lines)
            for number, lines in sorted(self._state.lines.items())
            if number > after and any(line.ends_connection for line in lines)
        )
        heard = self._state.heard
        return tuple(replace(server_view(lines, _SOMEBODY), heard=heard.get(number, 0)) for number, lines in over)

    def _settle(self, deadline: Deadline) -> None:
        """Make a connection that can't be confused with another (a fence): once it is logged, all before it are over."""
        token = f"/mtls-run-fence-{next(self._state.fences)}"
        try:
            with socket.create_connection(
                (self._address.host, self._address.port), max(deadline.remaining(), 0.1)
            ) as plain:
                # Plain HTTP: nginx answers and logs it whatever its TLS settings are.
                plain.sendall((PROXY_PROTOCOL if self._proxied else b"") + f"GET {token} HTTP/1.0\r\n\r\n".encode())
                while plain.recv(4096):
                    pass
        except OSError:
            return
        while (text := self._log.take(deadline)) is not None:
            line = parse_line(text)
            self._record(line)
            if line.access is not None and f" {token} " in line.access.get("request", "") and line.connection:
                self._state.lines.pop(line.connection, None)
                self._state.past = line.connection
                self._state.unsettled = False
                return

    def settled(self) -> Iterator[ServerView]:
        """A view of each connection, or of each of its requests, once the log says what came of it."""
        self._settle(Deadline.after(_FENCE_SECONDS))
        return self._settled(self._state.past)

    def _settled(self, past: int) -> Iterator[ServerView]:
        unfinished: OrderedDict[int, list[LogLine]] = OrderedDict()
        while not self._log.drained:
            text = self._log.take(Deadline.after(_AS_LONG_AS_IT_TAKES))
            line = parse_line(text) if text is not None else None
            if line is None or line.connection is None or line.connection <= past:
                continue
            lines = unfinished.setdefault(line.connection, [])
            lines.append(line)
            if line.ends_connection:
                unfinished.pop(line.connection)
                view = server_view(lines, _SOMEBODY)
                yield replace(view, upstream_request=self._upstream()) if self._upstream is not None else view
            elif len(unfinished) > _UNFINISHED:
                unfinished.popitem(last=False)

    def _view(self, client: ClientView, deadline: Deadline) -> ServerView | None:
        if client.phase in _NEVER_CONNECTED:
            self._state.unsettled = client.local_port is not None
            return None
        silent = client.timed_out or (client.request_number > 1 and client.phase is Phase.REQUEST)
        silent = silent or (client.phase is Phase.DONE and not client.answered)  # it only connected
        limit = deadline.within(_TIMED_OUT_SECONDS if silent else _VIEW_SECONDS)
        lines = self._lines_of(client, limit)
        if self._check is not None:
            self._check()
        if self._log_is_whole and not silent and not is_told(client, lines):
            self._check_log()
            raise LabError(
                f"nginx's log does not tell within {_VIEW_SECONDS:g} s how this connection ended: nobody knows what it saw"
            )
        if not lines:
            return None
        view = server_view(lines, client)
        return replace(view, upstream_request=self._upstream()) if self._upstream is not None else view

    def _lines_of(self, client: ClientView, deadline: Deadline) -> list[LogLine]:
        """The lines of the first connection that can be this client's; without its end, if that is not logged in time."""
        if client.request_number > 1:
            return self._more_lines(self._state.numbers.get(client.local_port or 0), deadline)
        by_number: dict[int, list[LogLine]] = {}
        while (text := self._log.take(deadline)) is not None:
            line = parse_line(text)
            if line.connection is None or line.connection <= self._state.past:
                continue
            lines = by_number.setdefault(line.connection, [])
            lines.append(line)
            if line.ends_connection and can_be_of(client, lines):
                self._state.past = line.connection
                self._state.unsettled = False
                if client.local_port is not None:
                    self._state.numbers[client.local_port] = line.connection
                return lines
        return next((lines for _, lines in sorted(by_number.items()) if can_be_of(client, lines)), [])

    def _more_lines(self, number: int | None, deadline: Deadline) -> list[LogLine]:
        """The lines of a connection's next request."""
        lines: list[LogLine] = []
        while number is not None and (text := self._log.take(deadline)) is not None:
            line = parse_line(text)
            if line.connection == number:
                lines.append(line)
                if line.ends_connection:
                    self._state.unsettled = False
                    break
        return lines


class _Watch:
    """Implements :class:`mtls_runner.model.port.Watch`."""

    def __init__(self, server: RunningNginx) -> None:
        self._server = server

    def view(self, client: ClientView, deadline: Deadline) -> ServerView | None:
        """What nginx logged of the connection; at most some seconds after the client is done."""
        return self._server._view(client, deadline)
