"""The embedded server's connections: the threads that accept them, as few as will do, and what was seen of each.

Threads that are blocked in ``accept`` take turns, so that each connection would wake another one while the last one is
still at its end: with the client in the same process they fight for the interpreter's lock, which costs more than half of
a handshake. So one thread serves one connection after the other, another one is added when it is away for longer than
:data:`PATIENCE`, or when more clients are announced, and surplus threads end. Connections are told apart by the
client's port, and counted in the order they came.
"""

from __future__ import annotations

import errno
import queue
import socket
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.observation import ClientView, Direction, HttpRequest, ServerView
from mtls_runner.tls.messages import subject
from mtls_runner.tls.openssl_errors import ENDED, told
from mtls_runner.tls.sockets import Transcript

__all__ = ["PATIENCE", "Acceptors", "Connections", "RecordedConnection"]

PATIENCE = 0.02
"""Seconds that a connection may wait to be accepted because of one that takes long."""
_QUIET = 1.0
"""Seconds without a connection after which the thread that looks for such waits sleeps."""
_POKE = 0.2
"""Seconds for a connection to the listener itself, which wakes a thread that is blocked in ``accept``."""


class Acceptors:
    """Threads that call ``serve(socket, port)`` for each connection, until :meth:`close`.

    Args:
        listener: bound and listening; belongs to this object from now on.
        serve: deals with a connection and closes it; ``port`` is the client's. It must not raise.
        name: of the threads.
    """

    def __init__(self, listener: socket.socket, serve: Callable[[socket.socket, int], None], name: str) -> None:
        self._listener = listener
        self._serve = serve
        self._name = name
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._relief: threading.Thread | None = None
        self._accepting = 0
        self._expected = 0
        self._wanted = 1
        self._taken = 0
        self._resting = False
        self._stopping = False
        with self._changed:
            self._add()

    @contextmanager
    def expect(self) -> Iterator[None]:
        """One more client is about to connect: as many threads are kept as clients were ever announced at once."""
        with self._changed:
            self._expected += 1
            self._wanted = max(self._wanted, self._expected)
            if len(self._threads) < self._wanted and not self._stopping:
                self._add()
        try:
            yield
        finally:
            with self._changed:
                self._expected -= 1

    def close(self, seconds: float) -> None:
        """Stop accepting and wait for every thread; what is still being served must have been ended.

        Raises:
            LabError: a thread goes on for longer than ``seconds``.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            threads = [*self._threads, *([self._relief] if self._relief else [])]
        address = self._listener.getsockname()
        for _ in threads:  # a blocked accept() is not woken by closing its socket: give each thread a connection
            try:
                socket.create_connection(address, _POKE).close()
            except OSError:
                break
        self._listener.close()
        for thread in threads:
            thread.join(seconds)
            if thread.is_alive():
                raise LabError(f"thread {thread.name} does not end")

    def _add(self) -> None:
        thread = threading.Thread(target=self._accept, name=self._name, daemon=True)
        thread.start()  # where the system has no more of them it raises, and nothing has changed
        self._threads.add(thread)
        self._accepting += 1

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                with self._changed:
                    if self._stopping or self._listener.fileno() < 0:
                        return
                    self._changed.wait(PATIENCE)  # no file descriptor is free: the client waits in the kernel's queue
                continue
            with self._changed:
                if self._stopping:
                    sock.close()
                    return
                self._accepting -= 1
                self._taken += 1
                if not self._accepting:
                    self._watch_over()
            try:
                self._serve(sock, peer[1])
            finally:
                with self._changed:
                    enough = self._accepting >= self._wanted
                    if enough:
                        self._threads.discard(threading.current_thread())
                        self._changed.notify_all()
                    else:
                        self._accepting += 1
            if enough:
                return

    def _watch_over(self) -> None:
        if self._relief is None:
            relief = threading.Thread(target=self._relieve, name=f"{self._name}-relief", daemon=True)
            relief.start()
            self._relief = relief
        elif self._resting:
            self._resting = False
            self._changed.notify_all()

    def _relieve(self) -> None:
        """Add a thread where none has accepted for a while and those that there are serve the same connections still."""
        quiet = 0.0
        with self._changed:
            while not self._stopping:
                taken, busy = self._taken, not self._accepting
                self._changed.wait(PATIENCE)
                if taken != self._taken:
                    quiet = 0.0
                elif busy and not self._accepting:
                    self._add()
                elif (quiet := quiet + PATIENCE) >= _QUIET and not self._stopping:
                    self._resting, quiet = True, 0.0
                    while self._resting and not self._stopping:
                        self._changed.wait()


_KEPT = 1024
"""Connections that are remembered, and requests of each; the oldest are forgotten."""


_Answered = tuple[HttpRequest | None, str, int | None, bytes | None, bool]
"""A request, the error if there was one, the status that refused it; the client's certificate by then (DER), and whether one had
been asked for."""


class RecordedConnection:
    """One connection; written by its thread, read once ``settled``, or over."""

    __slots__ = (
        "answered",
        "asks",
        "cipher",
        "complete",
        "error",
        "heard",
        "number",
        "over",
        "peer",
        "refused_status",
        "request",
        "requests",
        "resumed",
        "server_name",
        "settled",
        "symbol",
        "taken",
        "timed_out",
        "tls_version",
        "transcript",
        "verify_code",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.heard = 0
        self.transcript = Transcript()
        self.complete = False
        self.settled = False
        self.over = False
        self.taken = False
        self.requests = 0
        """How many have come."""
        self.answered: OrderedDict[int, _Answered] = OrderedDict()
        """The last of them that were answered, by number from 1."""
        self.error = ""
        self.symbol = ""
        self.timed_out = False
        self.verify_code: int | None = None
        self.peer: bytes | None = None
        self.request: HttpRequest | None = None
        self.server_name: str | None = None
        self.tls_version: str | None = None
        self.cipher: str | None = None
        self.resumed: bool | None = None
        self.refused_status: int | None = None
        self.asks = False
        """Whether the host that it came to asks for a client certificate."""

    def asked(self, request: HttpRequest) -> None:
        """A request has come; what is known from now on is about this one."""
        self.requests += 1
        self.request, self.error, self.refused_status = request, "", None

    def at(self, request_number: int) -> ServerView | None:
        """The connection as it was when that request had been answered, or as it is if that is the last one; ``None``: it is
        forgotten how it was.
        """
        if request_number in self.answered:
            return self.view(self.answered[request_number])
        return self.view() if request_number >= self.requests else None

    def failed(self, error: OSError) -> None:
        """Take down why the socket, or TLS on it, failed."""
        if isinstance(error, ssl.SSLError):
            self.symbol = error.reason or ("EOF" if isinstance(error, ENDED) else "")
            if isinstance(error, ssl.SSLCertVerificationError):
                self.verify_code = error.verify_code
            self.error = told(error)
        elif isinstance(error, TimeoutError):
            self.timed_out, self.error = True, "the time limit passed"
        else:
            self.symbol = errno.errorcode.get(error.errno or 0, "")
            self.error = error.strerror or str(error)

    def now(self) -> _Answered:
        """What may change with the next request."""
        return self.request, self.error, self.refused_status, self.peer, self.asks

    def view(self, answered: _Answered | None = None) -> ServerView:
        """What the server saw of its last request, or of an earlier one that was ``answered``."""
        request, error, refused_status, peer, asks = answered or self.now()
        verify_code = self.verify_code
        client_verify = None
        hello = self.transcript.server_hello() if self.tls_version is None else None
        if verify_code is not None:
            client_verify = f"FAILED:{verify_code}"
        elif self.complete and (asks or refused_status is not None):
            client_verify = "SUCCESS" if peer else "NONE"
            verify_code = 0 if peer else None
        return ServerView(
            source="python ssl",
            handshake_complete=self.complete,
            error=error,
            error_symbol="" if answered else self.symbol,
            verify_code=verify_code,
            client_verify=client_verify,
            client_subject=subject(peer) if peer else None,
            alerts=self.transcript.alerts(),
            messages=self.transcript.messages(),
            request=request,
            server_name=self.server_name,
            tls_version=hello.tls_version if hello is not None else self.tls_version,
            cipher=hello.cipher if hello is not None else self.cipher,
            resumed=self.resumed,
            refused_status=refused_status,
            presented=self._presented(peer),
            timed_out=self.timed_out and not answered,
            heard=self.heard,
        )

    def _presented(self, peer: bytes | None) -> str | None:
        """Subject of the certificate that the client sent; of one that was refused, which Python's ``ssl`` does not hand out, by
        the message.
        """
        if peer is not None:
            return subject(peer)
        chain = self.transcript.chain(Direction.RECEIVED)
        return subject(chain[0]) if chain else None


class Connections:
    """The connections of one server."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._by_port: OrderedDict[int, RecordedConnection] = OrderedDict()
        self._number = 0
        self._rank = 0
        self._followers: list[queue.SimpleQueue[RecordedConnection | None]] = []
        self._closed = False

    @property
    def number(self) -> int:
        """Number of the last connection that came; 0: none yet."""
        return self._number

    @property
    def rank(self) -> int:
        """Rank of the latest news (a connection, or another request on one); 0: none yet."""
        return self._rank

    def opened(self, port: int) -> RecordedConnection:
        """A client has connected from this port."""
        with self._changed:
            self._number += 1
            connection = RecordedConnection(self._number)
            self._by_port.pop(port, None)  # the same port again is a later connection
            self._by_port[port] = connection
            if len(self._by_port) > _KEPT:
                self._by_port.popitem(last=False)
            self._changed.notify_all()
        return connection

    def heard(self, connection: RecordedConnection) -> None:
        """Note that this connection is the one with the latest news."""
        with self._changed:
            self._rank = connection.heard = self._rank + 1

    def settle(self, connection: RecordedConnection, *, over: bool = True) -> None:
        """All that matters about its last request is known; unless it is ``over``, further requests may come."""
        if not connection.heard:  # when an answered connection is closed says nothing about who came last
            self.heard(connection)
        with self._changed:
            if not over:
                connection.answered[connection.requests] = connection.now()
                if len(connection.answered) > _KEPT:
                    connection.answered.popitem(last=False)
            connection.over = over
            self._changed.notify_all()
            if not connection.settled:
                connection.settled = True
                for follower in self._followers:
                    follower.put(connection)

    def follow(self) -> Iterator[RecordedConnection]:
        """The connections that settle from this call on, in that order; waits for each, and ends at :meth:`close`."""
        follower: queue.SimpleQueue[RecordedConnection | None] = queue.SimpleQueue()
        with self._changed:
            self._followers.append(follower)
            if self._closed:
                follower.put(None)
        return iter(follower.get, None)

    def close(self) -> None:
        """No more will come."""
        with self._changed:
            self._closed = True
            for follower in self._followers:
                follower.put(None)

    def take(self, client: ClientView, after: int, deadline: Deadline) -> ServerView | None:
        """Of the client's request, once it is answered, or the connection over, or as it is when the deadline passes.

        A connection that somebody has asked for is none of those that :meth:`since` tells of.

        Args:
            client: what it saw.
            after: number of the last connection that came before the client's; the kernel gives ports out again.
        """
        port, number = client.local_port or 0, client.request_number
        with self._changed:
            while True:
                found = self._by_port.get(port)
                if found is not None and number == 1 and found.number <= after:
                    found = None
                if found is not None and (found.over or number in found.answered):
                    break
                if not self._changed.wait(deadline.remaining()) and deadline.passed:
                    break
            if found is None:
                return None
            found.taken = True
            return found.at(number)

    def since(self, number: int, deadline: Deadline) -> tuple[RecordedConnection, ...]:
        """Those that came after that number, in order.

        Waits until there is one and all have settled, at most until the deadline; what has not settled by then is among
        them as it is.
        """
        with self._changed:
            while not (found := self._after(number)) or not all(connection.settled for connection in found):
                if not self._changed.wait(deadline.remaining()) and deadline.passed:
                    break
            return found

    def heard_after(self, rank: int, deadline: Deadline) -> tuple[RecordedConnection, ...]:
        """The connections that had news, in the order of the latest; waits for one until the deadline at most."""
        with self._changed:
            while not (found := [one for one in self._by_port.values() if one.heard > rank and not one.taken]):
                if not self._changed.wait(deadline.remaining()) and deadline.passed:
                    break
            return tuple(sorted(found, key=lambda one: one.heard))

    def _after(self, number: int) -> tuple[RecordedConnection, ...]:
        return tuple(one for one in self._by_port.values() if one.number > number and not one.taken)
