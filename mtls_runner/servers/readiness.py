"""Proof that a TLS server answers: a handshake, not a TCP connect (a published container port accepts with nothing behind)."""

from __future__ import annotations

import socket
import ssl
from enum import Enum

from mtls_runner.deadline import Deadline
from mtls_runner.model.endpoint import Address

__all__ = ["Answer", "knock"]


class Answer(Enum):
    """What a server made of a ClientHello."""

    TLS = "a handshake or an alert"
    OTHER = "bytes that are no TLS"
    NOTHING = "no connection, or one that ended without a byte"


def knock(address: Address, deadline: Deadline) -> Answer:
    """One handshake that offers everything OpenSSL has and checks nothing; a refusal by alert is an answer too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    seconds = max(deadline.remaining(), 0.001)
    try:
        with (
            socket.create_connection((address.host, address.port), seconds) as plain,
            context.wrap_socket(plain, do_handshake_on_connect=False) as tls,
        ):
            tls.do_handshake()
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
        return Answer.NOTHING
    except ssl.SSLError as error:
        return Answer.OTHER if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"} else Answer.TLS
    except OSError:
        return Answer.NOTHING
    return Answer.TLS
