"""A declared server that runs: its log, told apart by connection, becomes views."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.implementation import DeclaredServer, Implementation
from mtls_runner.model.observation import ClientView, Direction, HttpRequest, Phase, Reason, ServerView
from mtls_runner.model.port import RunningServer
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.runtimes.process import ended
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.view import OF_REQUESTS, facts, is_over, said, server_view
from mtls_runner.servers.declared.visits import Visits
from mtls_runner.servers.readiness import HEAD_REQUEST, greet
from mtls_runner.tls import verify_reason
from mtls_runner.tls.rules import alert_reasons, heard

__all__ = ["OTHERS_LOG_SECONDS", "VIEW_SECONDS", "Instance", "RunningDeclared", "Started"]

VIEW_SECONDS = 3.0
"""Seconds after a connection's end; a line that is not there by then never comes."""
OTHERS_LOG_SECONDS = 0.4
"""Likewise where the program may log nothing."""
_SETTLED_SECONDS = 0.1
"""From the first line of an answered request, where nobody knows how many there are."""
_FENCE_SECONDS = 1.0
"""Likewise for a connection of the lab's own."""
_GATEWAY_ERRORS = (502, 503, 504)
"""Statuses with which an own log's words on TLS are about the server behind (RFC 9110 §15.6.3 to §15.6.5)."""
_LAST_WORDS = 5


class Instance(Protocol):
    """A program that runs, as a process or in a container."""

    @property
    def log(self) -> LogStream:
        """What it writes."""
        ...

    def exit_code(self) -> int | None:
        """``None`` while it runs."""
        ...

    def signal(self, name: str) -> None:
        """Send it a signal."""
        ...


class Started(Struct, frozen=True):
    """A declared server that was started, and answers.

    Args:
        implementation, declared: what runs, and how.
        address: on loopback.
        instance: the process or container.
        log: its connections' lines.
        own_log: the log is as declared, so that every connection has its line; an author's configuration may log less.
        greeted: what it expects before TLS (nothing, or a PROXY protocol header), and the name that it was asked for.
        arguments: what it is told when it starts, of a description; ``None``: all stands in its files.
        answer_as: tells the lab's application behind it of another description; ``None``: there is none.
    """

    implementation: Implementation
    declared: DeclaredServer
    address: Address
    instance: Instance
    log: ConnectionLog
    own_log: bool = True
    greeted: tuple[bytes, str | None] = (b"", None)
    arguments: Callable[[ServerSpec], object] | None = None
    answer_as: Callable[[ServerSpec], None] | None = None


class RunningDeclared(RunningServer):
    """A process or a container, with a log that tells of its connections."""

    tells_of_everyone = True

    def __init__(self, started: Started) -> None:
        #: Takes the request that a stub behind it had last, if one stands there.
        self.application: Callable[[], HttpRequest | None] | None = None
        self._implementation = started.implementation
        self._declared = started.declared
        self._address = started.address
        self._instance = started.instance
        self._log = started.log
        self._own_log = started.own_log
        self._first, self._name = started.greeted
        self._log_seconds = VIEW_SECONDS if started.own_log else OTHERS_LOG_SECONDS
        self._one_at_a_time = threading.Lock()
        self._every_line = False
        self._gone = False  # it has ended, as declared, since it could not use new files

    @property
    def address(self) -> Address:
        """On loopback."""
        return self._address

    @contextlib.contextmanager
    def watch(self) -> Iterator[_Watch]:
        """Where the log doesn't tell connections apart, waits for the connection before to be done with.

        Raises:
            LabError: the program has ended.
        """
        code = self._instance.exit_code()
        if code is not None and not self._gone:
            raise LabError(f"{self._implementation.title} {ended(code)}; its last words:{self._last_words()}")
        with contextlib.nullcontext() if self._log.by_port else self._one_at_a_time:
            if self.application is not None:
                self.application()
            yield _Watch(self, self._log.count)

    def view(self, client: ClientView, after: int, deadline: Deadline) -> tuple[int, ServerView | None]:
        """What it logged of the request, and what a stub behind it was asked."""
        after, view = self._logged(client, after, deadline)
        asked = self.application() if self.application is not None else None
        if asked is not None:
            if view is None or not view.telling:
                lines = view.log if view is not None else ()
                view = ServerView("its application", handshake_complete=True, log=lines)
            view = replace(view, upstream_request=asked)
        return after, view

    def _logged(self, client: ClientView, after: int, deadline: Deadline) -> tuple[int, ServerView | None]:
        """What it logged of the connection, or of its next request, after that many lines; and the number of lines by now."""
        if client.phase in (Phase.PREPARE, Phase.CONNECT):
            return after, None
        later = client.request_number > 1
        # of an idle one's end, and of one that only connected, nothing is said
        silent = (later and client.phase is Phase.REQUEST) or (client.phase is Phase.DONE and not client.answered)
        # where only refusals are read, an answer is the end: what would say that it is none comes at once
        silent = silent or (client.answered and not (self._declared.log.facts or self._declared.log.ended))
        told = self._own_log and not silent
        limit = deadline.within(VIEW_SECONDS if told else OTHERS_LOG_SECONDS)
        port = client.local_port if self._log.by_port else None
        if later or client.stays_open:
            after, lines = self._log.wait_for_line(port, after, self._tells_of_request, limit)
        else:
            # an answer's line is the last one that an author's log has
            settles = _SETTLED_SECONDS if client.answered and not self._own_log else None
            lines = self._log.wait(port, after, self._is_over, limit, settles)
        if self._first and client.phase is Phase.HANDSHAKE and not heard(client):
            what = "it answers TLS behind the PROXY protocol, and nothing without"
            source = f"{self._implementation.title}, asked when it started"
            return after, ServerView(source=source, error=what, wants_proxy_protocol=True, log=tuple(lines))
        passed_on = client.response is not None and client.response.status in _GATEWAY_ERRORS
        if not lines:
            return after, None
        if not self._own_log and (passed_on or not self._tells(lines)):
            return after, self._untold(lines)
        view = self._view(lines)
        if not self._own_log and _is_about_another(view, client, self._implementation.library):
            return after, None  # it came late, and is about who was there before
        return after, view

    def arrived(self) -> int:
        """Number of the last connection that its log tells of."""
        return self._visits().count

    def seen(self, after: int, deadline: Deadline) -> tuple[ServerView, ...]:
        """Views of the connections after that number, in order."""
        visits = self._all_known(deadline)
        return tuple(replace(self._view(lines), heard=rank) for rank, lines in visits.after(after, deadline))

    def heard(self) -> int:
        """Rank of the last connection, or request, that its log tells of."""
        return self._visits().rank

    def heard_after(self, rank: int, deadline: Deadline) -> tuple[ServerView, ...]:
        """Views of the connections that came, or made a request, after that."""
        return tuple(map(self._view, self._all_known(deadline).heard_after(rank, deadline)))

    def _all_known(self, deadline: Deadline) -> Visits:
        """All visits, once all that was logged of them is read.

        A line may come after its client is gone. So the lab itself connects, where the log tells its connection from others,
        and waits for the line about that.
        """
        visits = self._visits()
        if self._log.by_port:
            before, limit = visits.count, deadline.within(_FENCE_SECONDS)
            greeting = greet(self._address, limit, HEAD_REQUEST, first=self._first, name=self._name)
            visits.leave_out(greeting.port, before, limit)
        return visits

    def settled(self) -> Iterator[ServerView]:
        """A view of each connection, once the log says what came of it; of an author's log, one of each line that says
        nothing else that is understood, too.
        """
        self._every_line = not self._own_log
        visits = self._visits()
        return (self._shown(lines) for lines in visits.each(visits.count))

    def _shown(self, lines: Sequence[str]) -> ServerView:
        """Of an author's log, that verification failed is no visit by itself: why stood before it, or stands nowhere."""
        if self._every_line and not self._tells(lines):
            return self._untold(lines)
        view = self._view(lines)
        unnamed = view.error_symbol == "CERTIFICATE_VERIFY_FAILED" and not view.verify_code
        return self._untold(lines[:1]) if self._every_line and unnamed else view

    def _untold(self, lines: Sequence[str]) -> ServerView:
        return ServerView(f"{self._implementation.title} log", log=tuple(lines), telling=False)

    def _visits(self) -> Visits:
        over = self._is_over if self._log.by_port else self._was_answered
        return self._log.visits(
            lambda: Visits(
                over, self._is_telling, self._is_another, self._tells_of_request, self._goes_on, self._application_port
            )
        )

    def _was_answered(self, lines: Sequence[str]) -> bool:
        """Whether these lines tell of a refusal or a request, and not only of a handshake."""
        if self._every_line and not self._tells(lines[-1:]):
            return True
        refused = said(self._declared, lines) is not None and self._is_over(lines)
        return refused or "method" in facts(self._declared, lines)

    def _is_another(self, lines: Sequence[str], line: str) -> bool:
        """Whether the line repeats what these have said, so that it is about the next connection."""
        return not self._log.by_port and not facts(self._declared, lines).keys().isdisjoint(
            facts(self._declared, [line])
        )

    def _goes_on(self, lines: Sequence[str], line: str) -> bool:
        """Whether the line is about another request of the connection that these have told of: it names the same port, and
        contradicts nothing that holds for a whole connection.
        """
        if not self._log.by_port or said(self._declared, [*lines, line]) is not None:
            return False
        before, now = facts(self._declared, lines), facts(self._declared, [line])
        return "method" in now and not any(
            now[name] != before.get(name, now[name]) for name in now.keys() - OF_REQUESTS
        )

    def _application_port(self, line: str) -> int | None:
        port = facts(self._declared, [line]).get("application_port")
        return int(port) if port is not None else None

    def _view(self, lines: Sequence[str]) -> ServerView:
        return server_view(self._implementation, self._declared, lines)

    def _is_telling(self, lines: Sequence[str]) -> bool:
        return self._every_line or self._tells(lines)

    def _tells(self, lines: Sequence[str]) -> bool:
        about_it = facts(self._declared, lines).keys() - {"process"}
        return bool(about_it) or said(self._declared, lines) is not None

    def _tells_of_request(self, line: str) -> bool:
        return "method" in facts(self._declared, [line]) or said(self._declared, [line]) is not None

    def _is_over(self, lines: Sequence[str]) -> bool:
        return is_over(self._declared, lines)

    def _last_words(self) -> str:
        return "".join(f"\n  {line}" for line in self._instance.log.tail()[-_LAST_WORDS:])


def _is_about_another(view: ServerView, client: ClientView, library: str) -> bool:
    """Whether the log's reason does not fit the server's alert, where only the order of lines tells connections apart."""
    told = view.reasons or {verify_reason(view.verify_code or 0)} - {None}
    alerts = (alert for alert in client.alerts if alert.fatal and alert.direction is Direction.RECEIVED)
    meant = frozenset[Reason]().union(*(alert_reasons(alert.name, library) for alert in alerts))
    return bool(told and meant) and told.isdisjoint(meant)


class _Watch:
    """Implements :class:`mtls_runner.model.port.Watch`."""

    def __init__(self, server: RunningDeclared, after: int) -> None:
        self._server = server
        self._after = after

    def view(self, client: ClientView, deadline: Deadline) -> ServerView | None:
        """What the server logged, some seconds after the client is done at most."""
        self._after, view = self._server.view(client, self._after, deadline)
        return view
