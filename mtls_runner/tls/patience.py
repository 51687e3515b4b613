"""A deadline as a socket's time limit."""

from __future__ import annotations

import socket

from mtls_runner.deadline import Deadline

__all__ = ["limit"]

_LEAST = 0.001  # 0 would make the socket non-blocking
_CLOSE_ENOUGH = 0.05


def limit(sock: socket.socket, deadline: Deadline) -> None:
    """Let the next operation take no longer than until the deadline, at most 50 ms more.

    A limit that is close enough already is left alone: setting one gives up the interpreter's lock, which costs more
    than the system call where both ends of a connection live in one process.
    """
    left = max(deadline.remaining(), _LEAST)
    present = sock.gettimeout()
    if present is None or not left <= present <= left + _CLOSE_ENOUGH:
        sock.settimeout(left)
