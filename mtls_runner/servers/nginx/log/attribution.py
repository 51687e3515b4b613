"""Whether a connection in nginx's log can be a certain client's.

Others may connect at any time: an editor that looks at every port that opens, a scanner. A published port hides the client's
own port from nginx, so that a connection is told by what both ends say of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtls_runner.model.observation import ClientView, Direction, Phase
from mtls_runner.servers.nginx.log.lines import LogLine, fingerprint_of

__all__ = ["can_be_of", "is_told"]


def can_be_of(client: ClientView, lines: Sequence[LogLine]) -> bool:
    """Whether nothing in the lines of one connection contradicts what the client saw of its own."""
    sent = {alert.code for alert in client.alerts if alert.direction is Direction.SENT}
    if client.messages and any(number not in sent for line in lines for number in line.client_alerts):
        return False
    access = next((line.access for line in lines if line.access is not None), None)
    if access is not None:
        return _same_exchange(client, access)
    # A client that got an answer asked for something, and a request ends in an access line.
    asked = client.answered and client.encrypted
    return not asked or not any(line.ends_connection for line in lines)


def is_told(client: ClientView, lines: Sequence[LogLine]) -> bool:
    """Whether the lines, where every connection is logged, tell of the client's: an answered request has its access line.

    Of one that ends before its first request nginx logs nothing once HTTP/2 was agreed upon.
    """
    if client.answered and client.encrypted:
        return any(line.access is not None for line in lines)
    return bool(lines) or client.alpn == "h2"


def _same_exchange(client: ClientView, access: Mapping[str, str]) -> bool:
    protocol, request = access.get("protocol", ""), access.get("request", "")
    if client.phase is Phase.HANDSHAKE and protocol and request:
        return False  # it asked for nothing
    if not client.encrypted:
        if protocol:
            return False
    elif client.shaken and protocol != (client.tls_version or protocol or None):
        return False  # without a protocol: it spoke no TLS
    if (
        client.phase is Phase.DONE
        and client.response is not None
        and access.get("status") != str(client.response.status)
    ):
        return False
    return bool(client.resumed) or _same_certificate(client, access)


def _same_certificate(client: ClientView, access: Mapping[str, str]) -> bool:
    """A full handshake's; in a resumed one none is sent."""
    if client.sent_chain is None and not client.messages:
        return True  # the client can't tell
    fingerprint = access.get("fingerprint", "")
    if client.sent_chain:
        return fingerprint in ("", fingerprint_of(client.sent_chain[0])) and access.get("verify") != "NONE"
    return access.get("verify") != "NONE" if client.sent_certificate else not fingerprint
