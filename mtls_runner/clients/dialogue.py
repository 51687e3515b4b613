"""Bytes of the author's over a connection, with TLS or without: what is sent, and what comes back."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from mtls_runner.deadlines import Deadline
from mtls_runner.tls.openssl_errors import ENDED
from mtls_runner.tls.sockets import CHUNK, arrived, limit, send_all, was_reset

__all__ = ["Dialogue", "DialogueEnded"]

_UNASKED = "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
"""OpenSSL's reason where the server has gone on to speak: it has let the client in."""


class DialogueEnded(Exception):
    """The other end closed the connection, and not all had come that was waited for."""


class Dialogue:
    """Of one connection; what comes behind the end of an answer is kept for the next one.

    Args:
        sock: connected, its TLS handshake done if it has one.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._rest = b""
        self.received: bytes | None = None
        """What came of the last answer, as far as it was kept; ``None``: nothing was waited for."""

    def speak(self, send: bytes, until: bytes, deadline: Deadline, most: int) -> None:
        """Send, and read what comes back.

        Args:
            send: what is said; empty: the other end begins.
            until: what is read up to; empty: until the other end closes. With neither, TLS is ended, and the server heard:
                one of TLS 1.3 says only after the client's handshake whom it refuses.
            deadline: for all of it.
            most: bytes that are kept; the others are read and dropped.

        Raises:
            DialogueEnded: the other end closed before ``until`` came, or without an answer.
            OSError: from the socket (``ssl.SSLError`` where the server refuses by an alert).
            TimeoutError: the deadline passed.
        """
        self.received = None
        if not send and not until:
            if isinstance(self._sock, ssl.SSLSocket) and not self._part(self._sock):
                self._hear(b"", deadline, most)
            return
        unsent: OSError | None = None
        try:
            send_all(self._sock, send, deadline)
        except (ConnectionError, ssl.SSLEOFError) as error:
            unsent = error  # it may have answered all the same
        try:
            found = self._hear(until, deadline, most)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise unsent or error from None
        if until and not found:
            raise DialogueEnded(f"the server closed the connection, and {until!r} had not come")
        if not self.received:
            raise unsent or DialogueEnded("the server closed the connection without an answer")

    def ended(self) -> bool:
        """Whether the other end has closed the connection, so that there is nobody to speak to.

        Raises:
            OSError: from the socket; a reset, for one.
        """
        data = arrived(self._sock)
        self._rest += data or b""
        return data == b""

    def _part(self, sock: ssl.SSLSocket) -> bool:
        """Send close_notify; whether it is known already what the server has to say: an alert, for one, is raised."""
        sock.setblocking(False)
        try:
            sock.unwrap()
        except ssl.SSLWantReadError:
            return False
        except ENDED:
            pass
        except ssl.SSLError as error:
            if error.reason != _UNASKED:
                raise
            return True  # what it says is lost
        self.received = b""
        return True

    def _hear(self, until: bytes, deadline: Deadline, most: int) -> bool:
        """Read what comes; whether ``until`` was in it."""
        kept, window = bytearray(), b""
        data, self._rest = self._rest, b""
        while True:
            window += data
            at = window.find(until) if until else -1
            if at >= 0:
                end = at + len(until)
                fresh = len(data) - (len(window) - end)  # so many of the bytes that have just come belong to it
                kept += data[: max(0, min(fresh, most - len(kept)))]
                self._rest = window[end:]
                self.received = bytes(kept)
                return True
            kept += data[: most - len(kept)]
            self.received = bytes(kept)
            window = window[-(len(until) - 1) :] if len(until) > 1 else b""
            data = self._more(deadline)
            if not data:
                return False

    def _more(self, deadline: Deadline) -> bytes:
        limit(self._sock, deadline)
        try:
            data = self._sock.recv(CHUNK)
        except ssl.SSLZeroReturnError:  # its close_notify, behind our own
            return b""
        if not data and isinstance(self._sock, ssl.SSLSocket) and was_reset(self._sock):
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return data
