"""One end broke TLS or HTTP, and the other one said so or gave up."""

from __future__ import annotations

from mtls_runner.model.observation import Alert, ClientView, Direction, Outcome, Reason, ServerView
from mtls_runner.tls.agreement import NOT_TLS
from mtls_runner.tls.facts import Facts, Found

__all__ = ["BROKEN_RECORDS", "ENDS", "NOT_HTTP", "RESETS", "broken_protocol"]

#: A client's ``error_symbol`` where what came is not HTTP/1.1.
NOT_HTTP = "HTTP"
#: OpenSSL's symbolic reasons for records that can't be read, or that don't belong where they came (RFC 8446 §5).
BROKEN_RECORDS = NOT_TLS | {
    "APP_DATA_IN_HANDSHAKE",
    "BAD_CHANGE_CIPHER_SPEC",
    "BAD_RECORD_TYPE",
    "CCS_RECEIVED_EARLY",
    "DATA_LENGTH_TOO_LONG",
    "DECRYPTION_FAILED",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    "ENCRYPTED_LENGTH_TOO_LONG",
    "INVALID_ALERT",
    "INVALID_CCS_MESSAGE",
    "RECORD_LENGTH_MISMATCH",
    "RECORD_TOO_SMALL",
    "TOO_MANY_WARN_ALERTS",
    "UNEXPECTED_CCS_MESSAGE",
    "UNEXPECTED_RECORD",
    "UNKNOWN_ALERT_TYPE",
}
#: How OpenSSL, and the lab's own clients and servers, name a connection that was closed.
ENDS = frozenset(("EOF", "UNEXPECTED_EOF_WHILE_READING"))
#: Names of the errno values of one that was reset; ENOTCONN is what asking such a socket for its peer gives.
RESETS = frozenset(("ECONNRESET", "EPIPE", "ECONNABORTED", "ENOTCONN"))
_RECORD_ALERTS = frozenset(("bad_record_mac", "decryption_failed", "record_overflow"))


def broken_protocol(facts: Facts, alert: Alert | None, sender: str | None) -> Found | None:
    """By an alert that stands for nothing else, by OpenSSL's reason, or by what was to be read as HTTP."""
    view = facts.seen if facts.seen is not None else facts.told
    if view is None or facts.timed_out:
        return None
    symbol = view.error_symbol
    if symbol == NOT_HTTP:
        return Outcome.PROTOCOL_ERROR, (Reason.HTTP,)
    said = alert is not None and (facts.seen is not None or alert.name in _RECORD_ALERTS)
    if symbol in NOT_TLS and not said and not _heard(view):
        return Outcome.NO_CONNECTION, (Reason.NOT_TLS,)
    own = "client" if facts.seen is not None else "server"
    if (alert is not None and sender != own) or _received_alert(symbol):
        return Outcome.PROTOCOL_ERROR, (Reason.ALERT,)
    if symbol in BROKEN_RECORDS or (alert is not None and alert.name in _RECORD_ALERTS):
        return Outcome.PROTOCOL_ERROR, (Reason.RECORD,)
    if alert is not None or (symbol and symbol not in ENDS and symbol not in RESETS):
        return Outcome.PROTOCOL_ERROR, (Reason.HANDSHAKE,)
    return None


def _heard(view: ClientView | ServerView) -> bool:
    """Whether the other end spoke TLS at first."""
    return any(message.direction is Direction.RECEIVED for message in view.messages)


def _received_alert(symbol: str) -> bool:
    """``SSLV3_ALERT_…`` and the like: on TLS 1.3 every alert ends the connection, whatever its level (RFC 8446 §6)."""
    return "ALERT_" in symbol and symbol not in BROKEN_RECORDS
