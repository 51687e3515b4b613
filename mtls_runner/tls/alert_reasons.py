"""What an alert alone allows as the reason why its sender refused the other end's certificate.

Only used where the sender can't be asked for its verdict: a dozen faults share an alert, and implementations differ in which
alert they send for one fault. Whose library the sender is built on, where that is known, makes the set smaller.
"""

from __future__ import annotations

from collections.abc import Mapping

from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.tls.names import REASONS, VERIFY_CODES

__all__ = ["OPENSSL", "VERDICTS", "alert_reasons"]

OPENSSL = "openssl"
"""As the traits of a backend or a client name it."""

_R = Reason

#: What somebody who verifies a chain can hold against it, whatever the library; a name is a client's business.
VERDICTS: frozenset[Reason] = frozenset(REASONS[Outcome.CLIENT_REFUSED]) - {_R.OTHER}

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
#: (bad_certificate for signatures), GnuTLS (access_denied as a server, bad_certificate as a client, for all).
_BY_OTHERS: Mapping[str, frozenset[Reason]] = {
    "unknown_ca": frozenset((_R.BAD_SIGNATURE, _R.WEAK_DIGEST, _R.CRL_EXPIRED)),
    "certificate_expired": frozenset((_R.NOT_YET_VALID,)),
    "decrypt_error": frozenset((_R.WEAK_KEY, _R.WEAK_DIGEST)),
    "bad_certificate": VERDICTS,
    "certificate_unknown": VERDICTS,
    "access_denied": VERDICTS,
}


def alert_reasons(alert: str, library: str) -> frozenset[Reason]:
    """The reasons that an alert about a certificate allows; none: it says nothing about one.

    Args:
        alert: its RFC 8446 name.
        library: that its sender is built on (:data:`OPENSSL`); ``""``: not known.
    """
    known = _BY_OPENSSL.get(alert, frozenset())
    return known if library == OPENSSL else known | _BY_OTHERS.get(alert, frozenset())
