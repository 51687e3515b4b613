"""What both ends have to have in common, and how it shows that they don't."""

from __future__ import annotations

from collections.abc import Iterable

from mtls_runner.model.client import ClientSpec
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Alert, Outcome, Reason
from mtls_runner.model.server import ServerSpec
from mtls_runner.tls.facts import Facts, Found
from mtls_runner.tls.names import REASONS

__all__ = ["NOT_TLS", "PARAMETERS", "no_agreement", "usable_versions"]

_OLD = (TlsVersion.V1_0, TlsVersion.V1_1)

#: OpenSSL's symbolic reasons (``include/openssl/sslerr.h``) for an end that finds nothing in common with the other.
_DISAGREEMENTS = {
    "UNSUPPORTED_PROTOCOL": Reason.PROTOCOL_VERSION,
    "NO_PROTOCOLS_AVAILABLE": Reason.PROTOCOL_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": Reason.PROTOCOL_VERSION,
    "WRONG_SSL_VERSION": Reason.PROTOCOL_VERSION,
    "VERSION_TOO_LOW": Reason.PROTOCOL_VERSION,
    "NO_CIPHERS_AVAILABLE": Reason.CIPHER,  # of its own, for the versions that it allows
    "NO_SHARED_CIPHER": Reason.CIPHER,
    "NO_CIPHER_MATCH": Reason.CIPHER,
    "NO_SUITABLE_KEY_SHARE": Reason.GROUP,
    "NO_SUITABLE_GROUPS": Reason.GROUP,
    "WRONG_CURVE": Reason.GROUP,  # at a client: of the server's key exchange
    "NO_SHARED_GROUPS": Reason.GROUP,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": Reason.SIGNATURE_ALGORITHM,
    "NO_SHARED_SIGNATURE_ALGORITHMS": Reason.SIGNATURE_ALGORITHM,
    "WRONG_SIGNATURE_TYPE": Reason.SIGNATURE_ALGORITHM,
    "NO_APPLICATION_PROTOCOL": Reason.ALPN,
}
#: Alerts that say the same (RFC 8446 §6.2).
_ALERT_DISAGREEMENTS = {
    "protocol_version": Reason.PROTOCOL_VERSION,
    "insufficient_security": Reason.CIPHER,
    "no_application_protocol": Reason.ALPN,
    "unrecognized_name": Reason.SERVER_NAME,
}
#: "Unable to negotiate an acceptable set of security parameters" (RFC 8446 §6.2, handshake_failure).
PARAMETERS = (Reason.PROTOCOL_VERSION, Reason.CIPHER, Reason.GROUP, Reason.SIGNATURE_ALGORITHM)
#: What OpenSSL says of bytes that are no TLS record.
NOT_TLS = frozenset(("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG"))


def usable_versions(server: ServerSpec, client: ClientSpec) -> tuple[TlsVersion, ...]:
    """The TLS versions that both ends allow and can use.

    OpenSSL 3 has no signature algorithm for TLS 1.0 and 1.1 (MD5 and SHA-1 only) above security level 0.
    """
    level = max(server.security_level, client.security_level)
    return tuple(v for v in client.tls if v in server.tls and (v not in _OLD or level == 0))


def no_agreement(facts: Facts, alert: Alert | None, sender: str | None) -> Found | None:
    """They found nothing in common, by the words of either, or by an alert that says so."""
    if not facts.in_handshake or facts.timed_out:
        return None
    server, client = facts.told, facts.seen
    if client is not None:
        if client.error_symbol in NOT_TLS and alert is None:
            return Outcome.NO_CONNECTION, (Reason.NOT_TLS,)
        if alert is None and client.error_symbol not in _DISAGREEMENTS and not client.reasons and server is None:
            return None
        if facts.server is not None and facts.client is not None and not usable_versions(facts.server, facts.client):
            return Outcome.NO_AGREEMENT, (Reason.PROTOCOL_VERSION,)
    for symbol in facts.symbols if client is not None or sender != "client" else ():
        if symbol in _DISAGREEMENTS:
            return Outcome.NO_AGREEMENT, _disagreement(facts, symbol)
    for view in (server, client):
        if view is not None and view.reasons and view.reasons <= REASONS[Outcome.NO_AGREEMENT]:
            return Outcome.NO_AGREEMENT, view.reasons
    broken = (
        client is not None and client.error_symbol in NOT_TLS
    )  # amid TLS, which OpenSSL answers with protocol_version
    if alert is not None and alert.name in _ALERT_DISAGREEMENTS and not broken:
        return Outcome.NO_AGREEMENT, (_ALERT_DISAGREEMENTS[alert.name],)
    return None


def _disagreement(facts: Facts, symbol: str) -> Iterable[Reason]:
    """Up to TLS 1.2 a cipher suite needs a group and a signature algorithm that both ends allow (``tls1_check_cert_param``
    and ``ssl3_choose_cipher`` in OpenSSL): where none is shared, no cipher is. What neither end narrows can't be the cause.
    """
    ends = [end for end in (facts.server, facts.client) if end is not None]
    if symbol != "NO_SHARED_CIPHER" or not ends:
        return (_DISAGREEMENTS[symbol],)
    if facts.server is not None and facts.server.option("config"):
        return Reason.CIPHER, Reason.GROUP, Reason.SIGNATURE_ALGORITHM  # nobody but nginx has read it
    return (
        Reason.CIPHER,
        *([Reason.GROUP] if any(end.groups for end in ends) else []),
        *([Reason.SIGNATURE_ALGORITHM] if any(end.signature_algorithms for end in ends) else []),
    )
