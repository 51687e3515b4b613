"""Why ``curl --cert-status`` refused a server: from the stapled response itself, and from curl's words where only it judged.

Source: ``verifystatus`` in curl's ``lib/vtls/openssl.c``, in whose order this goes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mtls_runner.model.observation import Reason

__all__ = ["status_reason"]

_SKEW = timedelta(minutes=5)
_UNTRUSTED = ("OCSP response verification failed", "Could not find certificate ID in OCSP response")
_NO_ISSUER = "Error computing OCSP ID"


def status_reason(words: str, response: bytes | None) -> Reason:
    """The reason.

    Args:
        words: curl's.
        response: the stapled ``OCSPResponse``, DER; ``None``: none came.
    """
    if response is None:
        return Reason.OCSP_UNAVAILABLE
    from cryptography.x509 import ocsp

    try:
        parsed = ocsp.load_der_ocsp_response(response)
        if parsed.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return Reason.OCSP_UNAVAILABLE
        status = parsed.certificate_status
        begin, end = parsed.this_update_utc, parsed.next_update_utc
    except (ValueError, NotImplementedError):
        return Reason.OCSP_INVALID
    if any(text in words for text in _UNTRUSTED):
        return Reason.OCSP_INVALID
    if _NO_ISSUER in words:
        return Reason.OTHER  # the issuer is not in the chain that the server sent, and curl looks nowhere else
    now = datetime.now(UTC)
    if begin > now + _SKEW:
        return Reason.OCSP_NOT_YET_VALID
    if end is not None and end < now - _SKEW:
        return Reason.OCSP_EXPIRED
    if status is ocsp.OCSPCertStatus.REVOKED:
        return Reason.REVOKED
    return Reason.OCSP_UNKNOWN if status is ocsp.OCSPCertStatus.UNKNOWN else Reason.OCSP_INVALID
