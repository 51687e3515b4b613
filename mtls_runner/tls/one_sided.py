"""What one server saw → an outcome, where the client is somebody else's and says nothing to the lab.

The server knows for certain whom it refused and why. Of a client that refused *it*, it has the alert alone, which is why
such a reason can be missing: ``bad_certificate`` is sent for a wrong name as well as for a certificate that can't be read.
"""

from __future__ import annotations

from mtls_runner.model.observation import Alert, Direction, Outcome, Reason, ServerView
from mtls_runner.tls.classify import ALERT_DISAGREEMENTS, DISAGREEMENTS, ENDS, NOT_TLS, RESETS, Judgement, causes
from mtls_runner.tls.names import ALERT_REASONS, verify_reason

__all__ = ["classify_server"]

_SAY_TOO_LITTLE = frozenset(("bad_certificate", "certificate_unknown"))


def classify_server(server: ServerView) -> Judgement:
    """Who refused whom, and why, as far as the server can tell.

    ``accepted`` means that the handshake was completed and the client's certificate, or the lack of one, was not refused.
    """
    fatal = next((alert for alert in causes(server.alerts, server.error_symbol) if alert.fatal), None)
    sender = None
    if fatal is not None:
        sender = "server" if fatal.direction is Direction.SENT else "client"
    rule = _refused(server) or (None if server.handshake_complete else _ended(server, fatal))
    if rule is None and server.handshake_complete:
        return Judgement(Outcome.ACCEPTED)
    outcome, reason = rule or (None, None)
    return Judgement(outcome, reason, fatal, sender)


_Rule = tuple[Outcome, Reason | None]


def _refused(server: ServerView) -> _Rule | None:
    if server.error_symbol == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return Outcome.SERVER_REFUSED, Reason.NO_CERTIFICATE
    ended = server.error_symbol == "CERTIFICATE_VERIFY_FAILED"
    if server.verify_code and (ended or server.refused_status is not None):
        return Outcome.SERVER_REFUSED, verify_reason(server.verify_code)
    if ended:
        return Outcome.SERVER_REFUSED, Reason.OTHER
    if server.refused_status is None:
        return None
    if server.ocsp is not None:
        return Outcome.SERVER_REFUSED, server.ocsp
    if server.client_verify == "NONE":
        return Outcome.SERVER_REFUSED, Reason.NO_CERTIFICATE
    return Outcome.SERVER_REFUSED, Reason.OTHER if server.client_verify else None


def _ended(server: ServerView, fatal: Alert | None) -> _Rule | None:
    if fatal is not None and fatal.direction is Direction.RECEIVED:
        if fatal.name in ALERT_DISAGREEMENTS:
            return Outcome.NO_AGREEMENT, ALERT_DISAGREEMENTS[fatal.name]
        if fatal.name in ALERT_REASONS:
            return Outcome.CLIENT_REFUSED, None if fatal.name in _SAY_TOO_LITTLE else ALERT_REASONS[fatal.name]
        return None
    if server.error_symbol in DISAGREEMENTS:
        return Outcome.NO_AGREEMENT, DISAGREEMENTS[server.error_symbol]
    if server.error_symbol in NOT_TLS:
        return Outcome.NO_CONNECTION, Reason.NOT_TLS
    if server.error_symbol in RESETS:
        return Outcome.NO_CONNECTION, Reason.RESET
    if server.error_symbol in ENDS:
        return Outcome.NO_CONNECTION, Reason.CLOSED
    return None
