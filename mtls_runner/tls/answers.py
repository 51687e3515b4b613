"""Whether an HTTP answer is a refusal of the client's certificate, or of its lack.

A refusal can look like anything over HTTP, and anything can look like one: 403 to a client without a certificate may be what
everybody gets there. What the server says counts first, then what its author declared about it, then how it answers the same
request by a client that it accepts. Where all of these are silent, nobody can tell.
"""

from __future__ import annotations

from mtls_runner.model.observation import Alert, HttpResponse, Outcome, Phase, Reason
from mtls_runner.model.server import ClientAuth
from mtls_runner.tls.alert_reasons import VERDICTS
from mtls_runner.tls.facts import Facts, Found
from mtls_runner.tls.names import verify_reason

__all__ = ["HELD", "answered", "missing", "suspicious"]

#: What a server can hold against a certificate that it was sent.
HELD = VERDICTS - {Reason.NAME_MISMATCH}

_NO_CERTIFICATE_PAGE = b"400 No required SSL certificate was sent"
_CERTIFICATE_PAGE = b"400 The SSL certificate error"


def missing(facts: Facts) -> Found:
    """None was sent: by the author's will, since nobody asked, or since its key fits nothing that the server offers."""
    configured = facts.client is not None and facts.client.certificate is not None
    if facts.seen is None:
        # somebody else's client was meant to have one: whether it was given it, the server does not know
        return Outcome.SERVER_REFUSED, (Reason.NO_CERTIFICATE, *([Reason.CERTIFICATE_WITHHELD] * configured))
    asked = facts.seen.certificate_requested is not False
    withheld = configured and not facts.seen.sent_chain and asked
    return Outcome.SERVER_REFUSED, (Reason.CERTIFICATE_WITHHELD if withheld else Reason.NO_CERTIFICATE,)


def suspicious(facts: Facts) -> bool:
    """Whether the answer may be a refusal that only another client's answer to the same request tells from none."""
    return _unexplained(facts) is not None and facts.control is None


def answered(facts: Facts, _alert: Alert | None, _sender: str | None) -> Found | None:
    """A whole answer came; where only the server can be asked, the handshake was completed."""
    if facts.seen is None:
        return (Outcome.ACCEPTED, ()) if facts.told is not None and facts.told.handshake_complete else None
    declared = facts.server.refusal if facts.server is not None else None
    if facts.seen.phase is not Phase.DONE:
        silent = facts.seen.phase is Phase.REQUEST and not facts.seen.timed_out and declared is not None
        return refused(facts) if silent and declared is not None and declared.closed and _was_asked(facts) else None
    response = facts.seen.response
    if response is None:
        return None
    if declared is not None and _was_asked(facts):
        return refused(facts) if declared.fits(response) else (Outcome.ACCEPTED, ())
    page = _nginx_page(facts, response)
    if page is not None:
        return page
    unexplained = _unexplained(facts)
    if unexplained is None:
        return Outcome.ACCEPTED, ()
    if facts.control is not None:
        if same_answer(facts.control.response, response):
            return Outcome.ACCEPTED, ()
        if facts.control.response.status < _ERRORS:  # else it is the other one that was refused, or nobody knows
            return refused(facts)
    if facts.told is None:
        return (Outcome.ACCEPTED, ()) if response.status < _REDIRECTS else (Outcome.ANSWERED, ())
    return (Outcome.ANSWERED, ()) if response.status in _FORBIDDEN else (Outcome.ACCEPTED, ())


_REDIRECTS, _ERRORS = 300, 400
_FORBIDDEN = (401, 403)


def same_answer(one: HttpResponse, other: HttpResponse) -> bool:
    """Whether two answers tell their clients the same: status, and where to go instead."""
    return one.status == other.status and _location(one) == _location(other)


def _location(response: HttpResponse) -> tuple[str, ...]:
    return tuple(value for name, value in response.headers if name.lower() == "location")


def _was_asked(facts: Facts) -> bool:
    """Whether the answer can hang on a certificate: one was asked for, or sent, or is in the session that goes on."""
    client = facts.seen
    if client is None:
        return False
    declared = facts.told is not None and facts.server is not None and facts.server.client_auth is not ClientAuth.NONE
    return bool(declared or client.certificate_requested is not False or client.sent_chain or client.resumed)


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
    # it says whom it saw: of a client whose certificate verified, only these are about who that is (RFC 9110 §15.5)
    verified = server.client_verify == "SUCCESS" and client.response.status not in _FORBIDDEN
    return client.response if client.response.status >= _REDIRECTS and not verified else None


def refused(facts: Facts) -> Found:
    """It is a refusal: by what is known of the certificate, why."""
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
    return Outcome.SERVER_REFUSED, HELD | {Reason.NOT_AUTHORIZED}


def _nginx_page(facts: Facts, response: HttpResponse) -> Found | None:
    """nginx's own error pages, where its log can't be read (``ngx_http_special_response.c``)."""
    if facts.told is not None or response.status != 400 or not _was_asked(facts):
        return None
    if _NO_CERTIFICATE_PAGE in response.body:
        return missing(facts)
    return (Outcome.SERVER_REFUSED, HELD) if _CERTIFICATE_PAGE in response.body else None
