"""Facts from both ends → exactly one outcome, its reason, and the evidence for both. Pure.

The rules go from what is certain to what is inferred: what a client says about its own material and its own verification,
then what the server says about the client, then alerts by their direction, then how the connection ended. An exit code, a
status or a title alone decides nothing (a custom error page can show a refusal as 200, and not every 400 is one).
"""

from __future__ import annotations

from dataclasses import dataclass

from mtls_runner.model.client import ClientSpec
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Alert, ClientView, Direction, Outcome, Phase, Reason, ServerView
from mtls_runner.model.server import ClientAuth, ServerSpec
from mtls_runner.tls.names import ALERT_REASONS, verify_reason

__all__ = [
    "ALERT_DISAGREEMENTS",
    "DISAGREEMENTS",
    "ENDS",
    "ISSUER_NAME_EMPTY",
    "NOT_TLS",
    "RESETS",
    "Judgement",
    "causes",
    "classify",
    "usable_versions",
]

#: A client's ``error_symbol`` where it refuses a certificate without an issuer's name by itself, as curl does.
ISSUER_NAME_EMPTY = "ISSUER_NAME_EMPTY"

_OLD = (TlsVersion.V1_0, TlsVersion.V1_1)

#: OpenSSL's symbolic reasons (``include/openssl/sslerr.h``) for an end that finds nothing in common with the other.
DISAGREEMENTS = {
    "UNSUPPORTED_PROTOCOL": Reason.PROTOCOL_VERSION,
    "NO_PROTOCOLS_AVAILABLE": Reason.PROTOCOL_VERSION,
    "NO_CIPHERS_AVAILABLE": Reason.PROTOCOL_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": Reason.PROTOCOL_VERSION,
    "WRONG_SSL_VERSION": Reason.PROTOCOL_VERSION,
    "VERSION_TOO_LOW": Reason.PROTOCOL_VERSION,
    "NO_SHARED_CIPHER": Reason.CIPHER,
    "NO_CIPHER_MATCH": Reason.CIPHER,
    "NO_SUITABLE_KEY_SHARE": Reason.GROUP,
    "NO_SUITABLE_GROUPS": Reason.GROUP,
    "WRONG_CURVE": Reason.GROUP,
    "BAD_KEY_SHARE": Reason.GROUP,
    "NO_SHARED_GROUPS": Reason.GROUP,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": Reason.SIGNATURE_ALGORITHM,
    "NO_SHARED_SIGNATURE_ALGORITHMS": Reason.SIGNATURE_ALGORITHM,
    "WRONG_SIGNATURE_TYPE": Reason.SIGNATURE_ALGORITHM,
    "NO_APPLICATION_PROTOCOL": Reason.ALPN,
}
#: Alerts that say the same (RFC 8446 §6.2).
ALERT_DISAGREEMENTS = {
    "protocol_version": Reason.PROTOCOL_VERSION,
    "insufficient_security": Reason.CIPHER,
    "no_application_protocol": Reason.ALPN,
    "unrecognized_name": Reason.SERVER_NAME,
}
#: What OpenSSL says of bytes that are no TLS record.
NOT_TLS = frozenset(("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG"))
#: How OpenSSL, and the lab's own clients and servers, name a connection that was closed.
ENDS = frozenset(("EOF", "UNEXPECTED_EOF_WHILE_READING"))
#: Names of the errno values of one that was reset.
RESETS = frozenset(("ECONNRESET", "EPIPE", "ECONNABORTED"))
_REFUSALS_BY_STATUS = (401, 403)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from the two views. ``outcome`` is ``None`` where nothing that the lab recognises happened."""

    outcome: Outcome | None
    reason: Reason | None = None
    alert: Alert | None = None
    alert_from: str | None = None


def usable_versions(server: ServerSpec, client: ClientSpec) -> tuple[TlsVersion, ...]:
    """The TLS versions that both ends allow and can use.

    OpenSSL 3 has no signature algorithm for TLS 1.0 and 1.1 (MD5 and SHA-1 only) above security level 0.
    """
    level = max(server.security_level, client.security_level)
    return tuple(v for v in client.tls if v in server.tls and (v not in _OLD or level == 0))


def _fatal(alerts: tuple[Alert, ...]) -> Alert | None:
    return next((alert for alert in alerts if alert.fatal), None)


def causes(alerts: tuple[Alert, ...], symbol: str) -> tuple[Alert, ...]:
    """Without those that an end sent since the connection ended in the middle (OpenSSL says decode_error then)."""
    if symbol in ENDS or symbol in RESETS:
        return tuple(alert for alert in alerts if alert.direction is Direction.RECEIVED)
    return alerts


def _ending_alert(client: ClientView, server: ServerView | None) -> tuple[Alert | None, str | None]:
    if client.phase is Phase.DONE:
        return (
            None,
            None,
        )  # it has its answer; an end without close_notify makes OpenSSL send decode_error, by luck in time
    alert = _fatal(causes(client.alerts, client.error_symbol))
    if alert is not None:
        return alert, "client" if alert.direction is Direction.SENT else "server"
    alert = _fatal(causes(server.alerts, server.error_symbol)) if server is not None else None
    if alert is not None:
        return alert, "server" if alert.direction is Direction.SENT else "client"
    return None, None


def classify(
    server_spec: ServerSpec, client_spec: ClientSpec, client: ClientView, server: ServerView | None
) -> Judgement:
    """Who refused whom, and why.

    Args:
        server_spec, client_spec: what was declared; only used for what can't be seen (which versions could have been
            used, whether a certificate was configured that was then withheld, whether one was asked for at all).
        client, server: the two views; ``server`` is ``None`` where it never saw the connection or can't be asked.
    """
    alert, sender = _ending_alert(client, server)
    rule = (
        _before_the_handshake(client)
        or _client_refused(client, alert, sender)
        or _server_refused(client_spec, client, server)
        or _no_agreement(server_spec, client_spec, client, server, alert)
        or _refused_by_alert(client_spec, client, alert, sender)
        or _answered(server_spec, client_spec, client, server)
        or _ended(client, alert)
    )
    outcome, reason = rule or (None, None)
    return Judgement(outcome, reason, alert, sender)


_Rule = tuple[Outcome, Reason | None]


def _before_the_handshake(client: ClientView) -> _Rule | None:
    if client.problem is not None:
        agreed = client.problem in (Reason.PROTOCOL_VERSION, Reason.CIPHER)
        return Outcome.NO_AGREEMENT if agreed else Outcome.CLIENT_UNUSABLE, client.problem
    if client.phase is not Phase.CONNECT:
        return None
    if client.timed_out:
        return Outcome.TIMED_OUT, Reason.CONNECT
    if client.error_symbol == "ENOTFOUND":
        return Outcome.NO_CONNECTION, Reason.NAME_NOT_RESOLVED
    return Outcome.NO_CONNECTION, Reason.RESET if client.error_symbol in RESETS else Reason.REFUSED


def _client_refused(client: ClientView, alert: Alert | None, sender: str | None) -> _Rule | None:
    if client.ocsp is not None:
        return Outcome.CLIENT_REFUSED, client.ocsp
    if client.phase is not Phase.HANDSHAKE or sender == "server":
        return None
    if client.name_mismatch:
        return Outcome.CLIENT_REFUSED, Reason.NAME_MISMATCH
    if client.verify_code:
        return Outcome.CLIENT_REFUSED, verify_reason(client.verify_code)
    if client.error_symbol == ISSUER_NAME_EMPTY:
        return Outcome.CLIENT_REFUSED, Reason.NOT_COMPLIANT
    if client.error_symbol == "CERTIFICATE_VERIFY_FAILED" and alert is not None:
        return Outcome.CLIENT_REFUSED, ALERT_REASONS.get(alert.name, Reason.OTHER)
    return None


def _missing(client_spec: ClientSpec, client: ClientView) -> Reason:
    """None was sent: by the author's will, since nobody asked, or since its key fits nothing that the server offers."""
    asked = client.certificate_requested is not False
    withheld = client_spec.certificate is not None and not client.sent_chain and asked
    return Reason.CERTIFICATE_WITHHELD if withheld else Reason.NO_CERTIFICATE


def _server_refused(client_spec: ClientSpec, client: ClientView, server: ServerView | None) -> _Rule | None:
    if server is None:
        return None
    if server.error_symbol == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return Outcome.SERVER_REFUSED, _missing(client_spec, client)
    ended = server.error_symbol == "CERTIFICATE_VERIFY_FAILED"
    if server.verify_code and (ended or server.refused_status is not None):
        return Outcome.SERVER_REFUSED, verify_reason(server.verify_code)
    if ended:
        return Outcome.SERVER_REFUSED, Reason.OTHER
    if server.refused_status is not None:
        if server.ocsp is not None:
            return Outcome.SERVER_REFUSED, server.ocsp
        if server.client_verify == "NONE":
            return Outcome.SERVER_REFUSED, _missing(client_spec, client)
        return Outcome.SERVER_REFUSED, Reason.OTHER if server.client_verify else None
    return None


def _no_agreement(
    server_spec: ServerSpec,
    client_spec: ClientSpec,
    client: ClientView,
    server: ServerView | None,
    alert: Alert | None,
) -> _Rule | None:
    if client.phase is not Phase.HANDSHAKE or client.timed_out:
        return None
    if client.error_symbol in NOT_TLS and alert is None:
        return Outcome.NO_CONNECTION, Reason.NOT_TLS
    if alert is None and client.error_symbol not in DISAGREEMENTS and server is None:
        return None
    if not usable_versions(server_spec, client_spec):
        return Outcome.NO_AGREEMENT, Reason.PROTOCOL_VERSION
    for symbol in (server.error_symbol if server else "", client.error_symbol):
        if symbol in DISAGREEMENTS:
            return Outcome.NO_AGREEMENT, DISAGREEMENTS[symbol]
    if alert is not None and alert.name in ALERT_DISAGREEMENTS:
        return Outcome.NO_AGREEMENT, ALERT_DISAGREEMENTS[alert.name]
    return None


def _refused_by_alert(
    client_spec: ClientSpec, client: ClientView, alert: Alert | None, sender: str | None
) -> _Rule | None:
    """The refuser can't be asked, but its alert came."""
    if alert is None:
        return None
    if sender == "client":
        reason = ALERT_REASONS.get(alert.name)
        return (Outcome.CLIENT_REFUSED, reason) if reason and client.phase is Phase.HANDSHAKE else None
    if alert.name == "access_denied":
        # RFC 8446 §6.2: access control, not the certificate; so nginx ends a session that is carried to another host
        return Outcome.SERVER_REFUSED, Reason.NOT_AUTHORIZED
    if alert.name == "certificate_required":
        return Outcome.SERVER_REFUSED, _missing(client_spec, client)
    if alert.name == "handshake_failure":
        # RFC 5246 §7.4.6: what a TLS 1.2 server sends that demands a certificate and gets none. Otherwise it says only
        # that no acceptable set of parameters was found.
        if client.certificate_requested and not client.sent_chain:
            return Outcome.SERVER_REFUSED, _missing(client_spec, client)
        return (Outcome.NO_AGREEMENT, Reason.CIPHER) if client.phase is Phase.HANDSHAKE else None
    if alert.name in ALERT_REASONS and client.sent_chain:
        return Outcome.SERVER_REFUSED, ALERT_REASONS[alert.name]
    return None


def _answered(
    server_spec: ServerSpec, client_spec: ClientSpec, client: ClientView, server: ServerView | None
) -> _Rule | None:
    if client.phase is not Phase.DONE or client.response is None:
        return None
    status = client.response.status
    asked = client.certificate_requested if server is None else server_spec.client_auth is not ClientAuth.NONE
    if status in _REFUSALS_BY_STATUS and (asked or client.sent_chain):
        verify = server.client_verify if server is not None else None
        if verify == "NONE" or (verify is None and not client.sent_chain):
            return Outcome.SERVER_REFUSED, _missing(client_spec, client)
        if verify is not None and verify.startswith("FAILED") and server is not None and server.verify_code:
            return Outcome.SERVER_REFUSED, verify_reason(server.verify_code)
        return Outcome.SERVER_REFUSED, Reason.NOT_AUTHORIZED if verify == "SUCCESS" or verify is None else None
    if server is None and status == 400:
        return _nginx_page(client_spec, client)
    return Outcome.ACCEPTED, None


def _nginx_page(client_spec: ClientSpec, client: ClientView) -> _Rule:
    """nginx's own error pages, where its log can't be read (``ngx_http_special_response.c``)."""
    body = client.response.body if client.response else b""
    if client.certificate_requested is not False:
        if b"400 No required SSL certificate was sent" in body:
            return Outcome.SERVER_REFUSED, _missing(client_spec, client)
        if b"400 The SSL certificate error" in body:
            return Outcome.SERVER_REFUSED, None
    return Outcome.ACCEPTED, None


def _ended(client: ClientView, alert: Alert | None) -> _Rule | None:
    if client.timed_out:
        return Outcome.TIMED_OUT, Reason.HANDSHAKE if client.phase is Phase.HANDSHAKE else Reason.RESPONSE
    if alert is not None:
        return None  # an alert that says nothing which the lab knows: never guessed away as a closed connection
    if client.error_symbol in RESETS:
        return Outcome.NO_CONNECTION, Reason.RESET
    if client.error_symbol == "EOF":
        return Outcome.NO_CONNECTION, Reason.CLOSED
    return None
