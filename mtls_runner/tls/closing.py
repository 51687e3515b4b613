"""How an end closes so that the other one learns why.

An end that sends its alert and closes at once, with unread data in its socket, makes the kernel send RST, which discards
the alert at the other end. Sending the alert, shutting down the sending side, reading what is left and only then closing
makes it arrive every time.
"""

from __future__ import annotations

import socket
import ssl

from mtls_runner.deadline import Deadline
from mtls_runner.tls.patience import limit

__all__ = ["close_after_alert", "say_goodbye"]


def close_after_alert(sock: socket.socket, deadline: Deadline) -> None:
    """Shut down the sending side, drain until the other end closes or the deadline passes, and close.

    Works on the TCP level also for an ``ssl.SSLSocket``, whose ``shutdown`` ends its TLS.
    """
    try:
        sock.shutdown(socket.SHUT_WR)
        while True:
            limit(sock, deadline)
            if not socket.socket.recv(sock, 65536):
                break
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
