"""What nginx held against a client by OCSP: one of three messages, and behind one of them the cause on a line of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mtls_runner.model.observation import Reason
from mtls_runner.tls.openssl_errors import openssl_errors

__all__ = ["OcspVerdict", "ocsp_held"]

# ngx_ssl_ocsp_get_status in src/event/ngx_event_openssl_stapling.c
_VERDICTS: Mapping[str, Reason | None] = {
    "certificate revoked": Reason.REVOKED,
    "certificate status unknown": Reason.OCSP_UNKNOWN,
    "certificate status request failed": None,
}
_ASKING = " while requesting certificate status"
# ngx_ssl_ocsp_responder: before it asks anybody, as if the handshake were still going on
_UNASKED = (
    "no OCSP responder URL in certificate",
    "invalid URL prefix in OCSP responder",
    "empty host in OCSP responder",
)
# The rest of that file; whatever else it logs there means that no answer came.
_INVALID = (
    "OCSP_basic_verify() failed",
    "OCSP_check_validity() failed",
    "OCSP_response_get1_basic() failed",
    "d2i_OCSP_RESPONSE() failed",
    "OCSP responder sent invalid",
    "certificate status not found in the OCSP response",
    "invalid nextUpdate time in certificate status",
)
_OCSP_LIBRARY = 39  # ERR_LIB_OCSP
_DATES = {
    125: Reason.OCSP_EXPIRED,  # OCSP_R_STATUS_EXPIRED (ocsperr.h)
    126: Reason.OCSP_NOT_YET_VALID,  # OCSP_R_STATUS_NOT_YET_VALID
    127: Reason.OCSP_EXPIRED,  # OCSP_R_STATUS_TOO_OLD
}


class OcspVerdict(NamedTuple):
    """Why, and the message that says so (``""``: the verdict itself does)."""

    reason: Reason
    cause: str


def ocsp_held(verdict: str, messages: Sequence[str]) -> OcspVerdict | None:
    """What nginx held against a client; ``None``: it was not OCSP.

    Args:
        verdict: what nginx gives as the verification's result, without ``FAILED:``.
        messages: of the connection's error-log lines. An HTTP status other than 200 leaves none.
    """
    if verdict not in _VERDICTS:
        return None
    known = _VERDICTS[verdict]
    if known is not None:
        return OcspVerdict(known, "")
    causes = [
        message.partition(_ASKING)[0].partition(" while SSL handshaking")[0]
        for message in messages
        if _ASKING in message or message.startswith(_UNASKED)
    ]
    for cause in causes:
        if cause.startswith(_INVALID):
            dates = (_DATES.get(error.reason) for error in openssl_errors(cause) if error.library == _OCSP_LIBRARY)
            return OcspVerdict(next((reason for reason in dates if reason is not None), Reason.OCSP_INVALID), cause)
    return OcspVerdict(Reason.OCSP_UNAVAILABLE, causes[0] if causes else "")
