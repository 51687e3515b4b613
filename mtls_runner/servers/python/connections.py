"""What the embedded server saw of its connections: told apart by the client's port, counted in the order they came."""

from __future__ import annotations

import errno
import queue
import ssl
import threading
from collections import OrderedDict
from collections.abc import Iterator

from mtls_runner.deadline import Deadline
from mtls_runner.model.observation import Direction, HttpRequest, ServerView
from mtls_runner.tls.messages import subject
from mtls_runner.tls.openssl_errors import told
from mtls_runner.tls.transcript import Transcript

__all__ = ["RecordedConnection", "Connections"]

_KEPT = 1024
"""Connections that nobody has asked for."""


class RecordedConnection:
    """One connection; written by its thread, read once ``settled``."""

    __slots__ = (
        "asks",
        "cipher",
        "complete",
        "error",
        "number",
        "peer",
        "refused_status",
        "request",
        "resumed",
        "server_name",
        "settled",
        "symbol",
        "timed_out",
        "tls_version",
        "transcript",
        "verify_code",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.transcript = Transcript()
        self.complete = False
        self.settled = False
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

    def failed(self, error: OSError) -> None:
        """Take down why the socket, or TLS on it, failed."""
        if isinstance(error, ssl.SSLError):
            self.symbol = error.reason or ""
            if isinstance(error, ssl.SSLCertVerificationError):
                self.verify_code = error.verify_code
            self.error = told(error)
        elif isinstance(error, TimeoutError):
            self.timed_out, self.error = True, "the time limit passed"
        else:
            self.symbol = errno.errorcode.get(error.errno or 0, "")
            self.error = error.strerror or str(error)

    def view(self) -> ServerView:
        """As the lab's own noun."""
        verify_code = self.verify_code
        client_verify = None
        hello = self.transcript.server_hello() if self.tls_version is None else None
        if verify_code is not None:
            client_verify = f"FAILED:{verify_code}"
        elif self.complete and (self.asks or self.refused_status is not None):
            client_verify = "SUCCESS" if self.peer else "NONE"
            verify_code = 0 if self.peer else None
        return ServerView(
            source="python ssl",
            handshake_complete=self.complete,
            error=self.error,
            error_symbol=self.symbol,
            verify_code=verify_code,
            client_verify=client_verify,
            client_subject=subject(self.peer) if self.peer else None,
            alerts=self.transcript.alerts(),
            messages=self.transcript.messages(),
            request=self.request,
            server_name=self.server_name,
            tls_version=hello.tls_version if hello is not None else self.tls_version,
            cipher=hello.cipher if hello is not None else self.cipher,
            resumed=self.resumed,
            refused_status=self.refused_status,
            presented=self._presented(),
            timed_out=self.timed_out,
        )

    def _presented(self) -> str | None:
        """Python's ``ssl`` hands out no certificate that it has refused, but the message went by."""
        if self.peer is not None:
            return subject(self.peer)
        chain = self.transcript.chain(Direction.RECEIVED)
        return subject(chain[0]) if chain else None


class Connections:
    """All of one server, the oldest forgotten first where nobody asks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._by_port: OrderedDict[int, RecordedConnection] = OrderedDict()
        self._number = 0
        self._followers: list[queue.SimpleQueue[RecordedConnection | None]] = []
        self._closed = False

    @property
    def number(self) -> int:
        """Of the last one that came; 0: none yet."""
        return self._number

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

    def settle(self, connection: RecordedConnection) -> None:
        """What matters of it is known."""
        if not connection.settled:
            with self._changed:
                connection.settled = True
                self._changed.notify_all()
                for follower in self._followers:
                    follower.put(connection)

    def follow(self) -> Iterator[RecordedConnection]:
        """Those that settle from this call on, in that order; it waits for each, and ends at :meth:`close`."""
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

    def take(self, port: int, after: int, deadline: Deadline) -> RecordedConnection | None:
        """The one from a client's port, once it has settled, or as it is when the deadline passes; it is then forgotten.

        Args:
            port: the client's.
            after: number of the last one that came before the client; the kernel gives ports out again.
        """
        with self._changed:
            while (connection := self._from(port, after)) is None or not connection.settled:
                if not self._changed.wait(deadline.remaining()) and deadline.passed:
                    break
            found = self._from(port, after)
            return self._by_port.pop(port) if found is not None else None

    def _from(self, port: int, after: int) -> RecordedConnection | None:
        found = self._by_port.get(port)
        return found if found is not None and found.number > after else None

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

    def _after(self, number: int) -> tuple[RecordedConnection, ...]:
        return tuple(connection for connection in self._by_port.values() if connection.number > number)
