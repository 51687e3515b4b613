"""A deadline as a socket's time limit, which holds however fast data keeps coming."""

from __future__ import annotations

import socket

from mtls_runner.deadline import Deadline
from mtls_runner.tls.transcript import RecordingSocket

__all__ = ["limit", "send_all"]

_RECORD = 16384
"""What one TLS record holds (RFC 8446 §5.1)."""
_CLOSE_ENOUGH = 0.05


def limit(sock: socket.socket, deadline: Deadline) -> None:
    """Let the next operation take no longer than until the deadline, at most 50 ms more.

    An operation of TLS may work through any number of records before it has something to give back: a recording socket
    looks at the deadline at each of them.

    A limit that is close enough already is left alone: setting one gives up the interpreter's lock, which costs more
    than the system call where both ends of a connection live in one process.

    Raises:
        TimeoutError: it has passed already.
    """
    left = deadline.remaining()
    if not left:
        raise TimeoutError("the time limit passed")
    if isinstance(sock, RecordingSocket):
        sock.until = deadline.at
    present = sock.gettimeout()
    if present is None or not left <= present <= left + _CLOSE_ENOUGH:
        sock.settimeout(left)


def send_all(sock: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send everything before the deadline, however slowly the other end reads.

    Raises:
        OSError: from the socket.
        TimeoutError: the deadline passed.
    """
    rest = memoryview(data)
    while rest:
        limit(sock, deadline)
        rest = rest[sock.send(rest[:_RECORD]) :]
