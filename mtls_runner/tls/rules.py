"""How an exchange is understood: an alert, nothing in common, a broken protocol, an HTTP answer that may be a refusal.

A refusal can look like anything over HTTP, and anything can look like one: 403 to a client without a certificate may be what
everybody gets there. What the server says counts first, then what its author declared about it, then how it answers the same
request by a client that it accepts. Where all of these are silent, nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec, TlsVersion
from mtls_runner.model.observation import Alert, ClientView, Direction, HttpResponse, Outcome, Phase, Reason, ServerView
from mtls_runner.tls import REASONS, VERIFY_CODES, verify_reason

if TYPE_CHECKING:
    from mtls_runner.tls.classify import Facts, Found

__all__ = [
    "ENDS",
    "HELD",
    "NOT_HTTP",
    "NOT_TLS",
    "OPENSSL",
    "PARAMETERS",
    "RESETS",
    "VERDICTS",
    "alert_reasons",
    "answered",
    "broken_protocol",
    "heard",
    "missing",
    "no_agreement",
    "offered_versions",
    "suspicious",
    "usable_versions",
]

OPENSSL = "openssl"
"""OpenSSL, as traits of backends and clients name a TLS library."""

_R = Reason

#: Why a chain can be refused by any verifier, whatever its library; names are for clients only.
VERDICTS: frozenset[Reason] = frozenset(REASONS[Outcome.CLIENT_REFUSED]) - {_R.OTHER}

# --- what an alert alone allows as the reason why its sender refused the other end's certificate ---
#
# Only used where the sender can't be asked for its verdict: a dozen faults share an alert, and implementations differ in
# which alert they send for one fault. Whose library the sender is built on, where that is known, makes the set smaller.

#: ``x509table`` of OpenSSL 3 (``ssl/statem/statem_lib.c``); for every other code it is certificate_unknown.
_OPENSSL_ALERTS: Mapping[str, tuple[int, ...]] = {
    "bad_certificate": (4, 5, 6, 9, 11, 13, 14, 15, 16, 27, 28, 62, 63, 64, 65, 66, 67, 68, 94),
    "certificate_expired": (10, 12),
    "certificate_revoked": (23,),
    "decrypt_error": (7, 8),
    "handshake_failure": (50,),
    "internal_error": (1, 17, 69, 70),
    "unknown_ca": (2, 3, 18, 19, 20, 21, 22, 25, 33, 79),
    "unsupported_certificate": (26,),
}
_LISTED = frozenset(code for codes in _OPENSSL_ALERTS.values() for code in codes)
_OCSP = frozenset((_R.OCSP_UNAVAILABLE, _R.OCSP_INVALID, _R.OCSP_UNKNOWN, _R.OCSP_EXPIRED, _R.OCSP_NOT_YET_VALID))


def _openssl() -> Mapping[str, frozenset[Reason]]:
    table = dict(_OPENSSL_ALERTS)
    table["certificate_unknown"] = tuple(code for code in VERIFY_CODES if code and code not in _LISTED)
    meant = {name: VERDICTS & {VERIFY_CODES[code].reason for code in codes} for name, codes in table.items()}
    # A receiver of a bad stapled response is told no more; RFC 8446 §6.2 has access_denied for access control.
    meant["bad_certificate_status_response"] = _OCSP | {_R.REVOKED}
    meant["access_denied"] = frozenset((_R.NOT_AUTHORIZED,))
    meant["certificate_required"] = frozenset((_R.NO_CERTIFICATE,))
    return {name: reasons for name, reasons in meant.items() if reasons}


_BY_OPENSSL = _openssl()

#: What other implementations send these alerts for besides, measured: Go (unknown_ca for signatures and weak digests,
#: certificate_expired for what is not yet valid, bad_certificate for the rest, and for everything as a client), rustls
#: (unknown_ca for CRLs, decrypt_error for weak keys and algorithms), JSSE (certificate_unknown for nearly all), NSS
#: (bad_certificate for signatures), GnuTLS (access_denied as a server, bad_certificate as a client, for all), and Envoy
#: (certificate_unknown for a name that it does not let in, bad_certificate_hash_value for another certificate than a pinned one).
_BY_OTHERS: Mapping[str, frozenset[Reason]] = {
    "unknown_ca": frozenset((_R.BAD_SIGNATURE, _R.WEAK_DIGEST, _R.CRL_EXPIRED)),
    "certificate_expired": frozenset((_R.NOT_YET_VALID,)),
    "decrypt_error": frozenset((_R.WEAK_KEY, _R.WEAK_DIGEST)),
    "bad_certificate": VERDICTS,
    "certificate_unknown": VERDICTS | {_R.NOT_AUTHORIZED},
    "access_denied": VERDICTS,
    "bad_certificate_hash_value": frozenset((_R.NOT_AUTHORIZED,)),
}


def alert_reasons(alert: str, library: str) -> frozenset[Reason]:
    """The reasons that an alert about a certificate allows; none: it says nothing about one.

    Args:
        alert: its RFC 8446 name.
        library: that its sender is built on (:data:`OPENSSL`); ``""``: not known.
    """
    known = _BY_OPENSSL.get(alert, frozenset())
    return known if library == OPENSSL else known | _BY_OTHERS.get(alert, frozenset())


# --- what both ends must share ---

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


def offered_versions(client: ClientSpec) -> tuple[TlsVersion, ...]:
    """What its ClientHello offers of the versions that it allows: OpenSSL's nothing above the first one that is left out
    (``ssl_get_min_max_version`` in ``ssl/statem/statem_lib.c``).
    """
    if client.tool.library != OPENSSL:
        return client.tls
    known = tuple(TlsVersion)
    without_gap = known[known.index(client.tls[0]) :]
    return tuple(version for version, next_one in zip(client.tls, without_gap, strict=False) if version is next_one)


def usable_versions(server: ServerSpec, client: ClientSpec) -> tuple[TlsVersion, ...]:
    """The TLS versions that the client offers, and the server allows and can use.

    OpenSSL 3 has no signature algorithm for TLS 1.0 and 1.1 (MD5 and SHA-1 only) above security level 0.
    """
    level = max(server.security_level, client.security_level)
    return tuple(v for v in offered_versions(client) if v in server.tls and (v not in _OLD or level == 0))


def no_agreement(facts: Facts, alert: Alert | None, sender: str | None) -> Found | None:
    """The two ends share nothing: either one says so, or an alert does."""
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
        if sender == "client" and _not_offered(facts.client, client.alpn):
            return Outcome.NO_AGREEMENT, (Reason.ALPN,)
    for symbol in facts.symbols if client is not None or sender != "client" else ():
        if symbol in _DISAGREEMENTS:
            return Outcome.NO_AGREEMENT, _disagreement(facts, symbol)
    for view in (server, client):
        if view is not None and view.reasons and view.reasons <= REASONS[Outcome.NO_AGREEMENT]:
            return Outcome.NO_AGREEMENT, _possible(facts, view.reasons)
    broken = (
        client is not None and client.error_symbol in NOT_TLS
    )  # amid TLS, which OpenSSL answers with protocol_version
    if alert is not None and alert.name in _ALERT_DISAGREEMENTS and not broken:
        return Outcome.NO_AGREEMENT, (_ALERT_DISAGREEMENTS[alert.name],)
    return None


def _not_offered(client: ClientSpec | None, chosen: str | None) -> bool:
    """Whether the server chose a protocol all the same where none is in common, as Apache does (RFC 7301 §3.2 forbids it)."""
    return client is not None and bool(client.alpn) and chosen is not None and chosen not in client.alpn


def _disagreement(facts: Facts, symbol: str) -> Iterable[Reason]:
    """Up to TLS 1.2 a cipher suite needs a group and a signature algorithm that both ends allow (``tls1_check_cert_param``
    and ``ssl3_choose_cipher`` in OpenSSL): where none is shared, no cipher is.
    """
    if symbol != "NO_SHARED_CIPHER":
        return (_DISAGREEMENTS[symbol],)
    return _possible(facts, (Reason.CIPHER, Reason.GROUP, Reason.SIGNATURE_ALGORITHM))


def _possible(facts: Facts, reasons: Iterable[Reason]) -> Iterable[Reason]:
    """Those that can be the cause: settings that neither end restricts are left out, where both ends are known."""
    if facts.server is None or facts.client is None or facts.server.option("config"):
        return reasons  # an unknown client; or a configuration that only its server has read
    ends = (facts.server, facts.client)
    narrowed = {
        Reason.GROUP: any(end.groups for end in ends),
        Reason.SIGNATURE_ALGORITHM: any(end.signature_algorithms for end in ends),
    }
    return [reason for reason in reasons if narrowed.get(reason, True)] or reasons


# --- a broken protocol ---

#: A client's ``error_symbol`` where what came is not HTTP/1.1.
NOT_HTTP = "HTTP"
#: OpenSSL's symbolic reasons for records that can't be read, or that don't belong where they came (RFC 8446 §5).
_BROKEN_RECORDS = NOT_TLS | {
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
    """One end broke the protocol: by an unambiguous alert, OpenSSL's reason, or bytes that are no HTTP."""
    view = facts.seen if facts.seen is not None else facts.told
    if view is None or facts.timed_out:
        return None
    symbol = view.error_symbol
    if symbol == NOT_HTTP:
        return Outcome.PROTOCOL_ERROR, (Reason.HTTP,)
    said = alert is not None and (facts.seen is not None or alert.name in _RECORD_ALERTS)
    if symbol in NOT_TLS and not said and not heard(view):
        return Outcome.NO_CONNECTION, (Reason.NOT_TLS,)
    own = "client" if facts.seen is not None else "server"
    if (alert is not None and sender != own) or _received_alert(symbol):
        return Outcome.PROTOCOL_ERROR, (Reason.ALERT,)
    if symbol in _BROKEN_RECORDS or (alert is not None and alert.name in _RECORD_ALERTS):
        return Outcome.PROTOCOL_ERROR, (Reason.RECORD,)
    if alert is not None or (symbol and symbol not in ENDS and symbol not in RESETS):
        return Outcome.PROTOCOL_ERROR, (Reason.HANDSHAKE,)
    return None


def heard(view: ClientView | ServerView) -> bool:
    """Whether the other end spoke TLS before."""
    return any(message.direction is Direction.RECEIVED for message in view.messages)


def _received_alert(symbol: str) -> bool:
    """``SSLV3_ALERT_…`` and the like: on TLS 1.3 every alert ends the connection, whatever its level (RFC 8446 §6)."""
    return "ALERT_" in symbol and symbol not in _BROKEN_RECORDS


# --- HTTP answers ---

#: What a server can hold against a certificate that it was sent.
HELD = VERDICTS - {Reason.NAME_MISMATCH}

_NO_CERTIFICATE_PAGE = b"400 No required SSL certificate was sent"
_CERTIFICATE_PAGE = b"400 The SSL certificate error"


def missing(facts: Facts) -> Found:
    """No certificate was sent: the client has none, the server did not ask, or it asked for other keys or issuers."""
    configured = facts.client is not None and facts.client.certificate is not None
    if facts.seen is None:
        # somebody else's client was meant to have one: whether it was given it, the server does not know
        return Outcome.SERVER_REFUSED, (Reason.NO_CERTIFICATE, *([Reason.CERTIFICATE_WITHHELD] * configured))
    asked = facts.seen.certificate_requested is not False
    withheld = configured and not facts.seen.sent_certificate and asked
    return Outcome.SERVER_REFUSED, (Reason.CERTIFICATE_WITHHELD if withheld else Reason.NO_CERTIFICATE,)


def suspicious(facts: Facts) -> bool:
    """Whether only a comparison with an accepted client's answer to the same request can tell whether the answer is a refusal."""
    return _unexplained(facts) is not None and facts.control is None


def answered(facts: Facts, _alert: Alert | None, _sender: str | None) -> Found | None:
    """A whole answer came; or, where only the server's view is known, the handshake was completed."""
    if facts.seen is None:
        return (Outcome.ACCEPTED, ()) if facts.told is not None and facts.told.handshake_complete else None
    declared = facts.server.refusal if facts.server is not None else None
    if facts.seen.phase is not Phase.DONE:
        silent = facts.seen.phase is Phase.REQUEST and not facts.seen.timed_out and declared is not None
        return refused(facts) if silent and declared is not None and declared.closed and _was_asked(facts) else None
    response = facts.seen.response
    if response is None:  # bytes, which are neither a refusal nor none
        return (Outcome.ACCEPTED, ()) if facts.client is not None and not facts.client.protocol.asks else None
    if declared is not None and (_was_asked(facts) or _asks_others(facts)):
        return refused(facts) if declared.fits(response) else (Outcome.ACCEPTED, ())
    page = _nginx_page(facts, response)
    if page is not None:
        return page
    unexplained = _unexplained(facts)
    if unexplained is None:
        hidden = declared is None and response.status in _FORBIDDEN and facts.told is None and _asks_others(facts)
        return (Outcome.ANSWERED if hidden else Outcome.ACCEPTED), ()
    if facts.control is not None:
        if same_answer(facts.control.response, response):
            return Outcome.ACCEPTED, ()
        if facts.control.response.status < _ERRORS:  # otherwise the control itself was refused, or nobody knows
            return refused(facts)
    if facts.told is None:
        return (Outcome.ACCEPTED, ()) if response.status < _REDIRECTS else (Outcome.ANSWERED, ())
    return (Outcome.ANSWERED, ()) if response.status in _FORBIDDEN else (Outcome.ACCEPTED, ())


_REDIRECTS, _ERRORS, _FAULTS = 300, 400, 500
_FORBIDDEN = (401, 403)


def same_answer(one: HttpResponse, other: HttpResponse) -> bool:
    """Whether two answers tell their clients the same: status, and where to go instead."""
    return one.status == other.status and _location(one) == _location(other)


def _location(response: HttpResponse) -> tuple[str, ...]:
    return tuple(value for name, value in response.headers if name.lower() == "location")


def _was_asked(facts: Facts) -> bool:
    """Whether the answer can depend on a certificate: one was requested, or sent, or belongs to the resumed session."""
    client = facts.seen
    if client is None or (facts.client is not None and not facts.client.protocol.encrypted):
        return False
    declared = facts.told is not None and facts.server is not None and facts.server.client_auth is not ClientAuth.NONE
    return bool(declared or client.certificate_requested is not False or client.sent_certificate or client.resumed)


def _asks_others(facts: Facts) -> bool:
    """Whether nobody was asked in this handshake of a server that asks others, and whose rules are not the lab's."""
    server = facts.server
    if server is None or facts.client is None or not facts.client.protocol.encrypted:
        return False
    rules = bool(server.option("config")) or server.backend.runs_already
    return rules and server.client_auth is not ClientAuth.NONE and not _was_asked(facts)


def _unexplained(facts: Facts) -> HttpResponse | None:
    """The answer, where a certificate was asked for and the server does not say what it made of it."""
    client, server = facts.seen, facts.told
    if client is None or client.phase is not Phase.DONE or client.response is None or not _was_asked(facts):
        return None
    declared = facts.server.refusal if facts.server is not None else None
    if declared is not None:
        return None
    if server is None:
        return client.response if _nginx_page(facts, client.response) is None else None
    if server.refused_status is not None:
        return None
    # it says whom it saw: of a client whose certificate verified, only these are about who that is (RFC 9110 §15.5; 404 hides
    # what is forbidden, §15.5.4)
    status = client.response.status
    may_be = _ERRORS <= status < _FAULTS if server.client_verify == "SUCCESS" else status >= _REDIRECTS
    return client.response if may_be else None


def refused(facts: Facts) -> Found:
    """The answer is a refusal; the reasons follow from what is known of the certificate."""
    server = facts.told
    verify = server.client_verify if server is not None else None
    resumed = facts.seen is not None and bool(facts.seen.resumed)
    if verify == "NONE" or (verify is None and facts.nothing_sent and not resumed):
        return missing(facts)
    if verify == "SUCCESS":
        return Outcome.SERVER_REFUSED, (Reason.NOT_AUTHORIZED,)
    if server is not None and server.verify_code:
        reason = verify_reason(server.verify_code)
        return Outcome.SERVER_REFUSED, () if reason is None else (reason,)
    held = HELD if facts.held is None else facts.held
    return Outcome.SERVER_REFUSED, held | {Reason.NOT_AUTHORIZED}


def _nginx_page(facts: Facts, response: HttpResponse) -> Found | None:
    """nginx's own error pages, where its log can't be read (``ngx_http_special_response.c``)."""
    if facts.told is not None or response.status != 400 or not _was_asked(facts):
        return None
    if _NO_CERTIFICATE_PAGE in response.body:
        return missing(facts)
    return (Outcome.SERVER_REFUSED, HELD) if _CERTIFICATE_PAGE in response.body else None
