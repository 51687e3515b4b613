"""How an end closes so that the other one learns why.

An end that sends its alert and closes at once, with unread data in its socket, makes the kernel send RST, which discards
the alert at the other end. Sending the alert, shutting down the sending side, reading what is left and only then closing
makes it arrive every time.
"""

from __future__ import annotations

import errno
import socket
import ssl

from mtls_runner.deadline import Deadline
from mtls_runner.model.observation import Direction
from mtls_runner.tls.patience import limit
from mtls_runner.tls.transcript import RecordingSocket

__all__ = ["close_after_alert", "say_goodbye", "was_reset"]

_MOST = 1 << 20
"""Bytes that are drained."""


def close_after_alert(sock: socket.socket, deadline: Deadline) -> None:
    """Shut down the sending side, drain until the other end closes or the deadline passes, and close.

    An end that sends more than :data:`_MOST` does not listen.

    Works on the TCP level also for an ``ssl.SSLSocket``, whose ``shutdown`` ends its TLS.
    """
    try:
        sock.shutdown(socket.SHUT_WR)
        rest = _MOST
        while rest > 0:
            limit(sock, deadline)
            data = socket.socket.recv(sock, 65536)
            if not data:
                break
            rest -= len(data)
    except OSError:
        pass  # it is gone already, or the deadline passed
    finally:
        sock.close()


def say_goodbye(sock: ssl.SSLSocket) -> None:
    """Send close_notify, without waiting for the other end's (RFC 8446 §6.1).

    Without it an end that reads on can't tell the end of the data from an attacker's cut; OpenSSL 3 calls it an error.
    """
    try:
        sock.setblocking(False)
        sock.unwrap()
    except (OSError, ValueError):
        pass  # its close_notify has not come, which is fine; or it is gone already


def was_reset(sock: socket.socket) -> bool:
    """Whether what looks like the end of the data was a reset.

    CPython's ``SSLSocket.recv`` takes one for the other, since it asks for the errno only where ``SSL_read_ex`` returned -1,
    and that returns 0. A socket that was reset has no peer any more. Nor has one whose peer had closed before it was sent
    OpenSSL's alert about that, but there the error is still to be fetched (Linux, ``tcp_reset``).
    """
    if isinstance(sock, RecordingSocket) and sock.transcript is not None:
        heard = sock.transcript.alerts()
        if any(alert.name == "close_notify" and alert.direction is Direction.RECEIVED for alert in heard):
            return False
    try:
        sock.getpeername()
    except OSError as error:
        return error.errno == errno.ENOTCONN and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return False
