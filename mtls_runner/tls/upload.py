"""A request's body on its way: as fast as it goes, or so many bytes a second, for as long as the server wants it."""

from __future__ import annotations

import socket

from mtls_runner.deadlines import Deadline
from mtls_runner.tls.http_response import ResponseReader
from mtls_runner.tls.sockets import send_all

__all__ = ["Upload"]

_TURN_SECONDS = 1.0
"""What may go out in a second goes out at its beginning, as with curl's ``--limit-rate``."""


class Upload:
    """A head and the body behind it.

    Args:
        head, body: as they go over the wire.
        rate: bytes of the body a second; 0: as fast as they go.
    """

    __slots__ = ("_body", "_head", "_rate", "_taken", "stopped")

    def __init__(self, head: bytes, body: bytes, rate: int) -> None:
        self._head = head
        self._body = body
        self._rate = rate
        self._taken = 0
        self.stopped = False
        """The server did not want the rest: nothing else can follow on this connection."""

    @property
    def sent(self) -> int:
        """Bytes of the body that went out."""
        return max(0, self._taken - len(self._head))

    def send_head(self, sock: socket.socket, deadline: Deadline) -> None:
        """The head alone, of a client that waits to be told to go on.

        Raises:
            OSError: from the socket.
            TimeoutError: the deadline passed.
        """
        self._send(sock, self._head, deadline)

    def send(self, sock: socket.socket, reader: ResponseReader, deadline: Deadline) -> None:
        """What has not gone out yet. At a rate, the server is listened to: who refuses early is sent no more (RFC 9112 §9.5).

        Raises:
            OSError: from the socket (``ssl.SSLError`` when the server refuses by an alert).
            TimeoutError: the deadline passed.
        """
        rest = (self._head + self._body)[self._taken :]
        if not self._rate:
            self._send(sock, rest, deadline)
            return
        first = self._rate + max(0, len(self._head) - self._taken)
        while rest:
            turn = Deadline.after(_TURN_SECONDS)
            self._send(sock, rest[:first], deadline)
            rest, first = rest[first:], self._rate
            if rest and reader.refuses(turn, deadline):
                self.stopped = True
                return

    def _send(self, sock: socket.socket, data: bytes, deadline: Deadline) -> None:
        send_all(sock, data, deadline, self._count)

    def _count(self, octets: int) -> None:
        self._taken += octets
