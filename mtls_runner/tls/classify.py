"""Classifies an exchange: facts from both ends, or from one → exactly one outcome and the reasons that they allow. No I/O.

The rules go from what is certain to what is inferred: what a client says about its own material and its own verification,
then what the server says about the client, then alerts by their direction, then how it was answered or how it ended. An exit
code, a status or a title alone decides nothing (a custom error page can show a refusal as 200, and not every 400 is one).
One rule, one function of :data:`RULES`; the first that has something to say counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import (
    Alert,
    ClientView,
    Conclusion,
    Direction,
    HttpResponse,
    Outcome,
    Phase,
    Reason,
    ServerView,
)
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.tls import REASONS, verify_reason
from mtls_runner.tls.rules import (
    ENDS,
    HELD,
    PARAMETERS,
    RESETS,
    VERDICTS,
    alert_reasons,
    answered,
    broken_protocol,
    missing,
    no_agreement,
)

__all__ = [
    "AFTER_VERIFICATION",
    "ISSUER_NAME_EMPTY",
    "NO_POST_HANDSHAKE",
    "RULES",
    "Control",
    "Facts",
    "Found",
    "Judgement",
    "classify",
    "doubtful",
]

Found = tuple[Outcome, Iterable[Reason]]
"""What a rule has to say: the outcome, and the reasons that are possible."""


class Control(Struct, frozen=True):
    """How a server answers the same request by a client that it accepts; ``who`` is that client, for people."""

    who: str
    response: HttpResponse


class Facts(Struct, frozen=True):
    """All that is known of one exchange.

    Args:
        server: what was declared, of the host that was meant; only used for what can't be seen (which versions could have
            been used, whether a certificate was asked for at all). ``None``: not known.
        client: the same (whether a certificate was configured that was then withheld). ``None``: the client is not the lab's.
        seen: what the client saw; ``None``: the client is not the lab's.
        told: what the server saw; ``None``: it never saw the connection, or can't be asked.
        control: how the server answers the same request by a client that the file says is accepted; ``None``: nobody asked.
        notes: what is known of the user's own material that took part, as sentences.
        held: what can be held against the client's certificate, where the server was seen to refuse in the handshake what it
            can't verify; ``None``: nobody looked.
        despite: what the server had to hold against a client that it let in, and why it did not, as sentences.
    """

    server: ServerSpec | None
    client: ClientSpec | None
    seen: ClientView | None
    told: ServerView | None
    control: Control | None = None
    notes: tuple[str, ...] = ()
    despite: tuple[str, ...] = ()
    held: frozenset[Reason] | None = None

    @property
    def in_handshake(self) -> bool:
        """Whether it ended before the handshake was complete, by the client's view, or by the server's where there is none."""
        if self.seen is not None:
            return self.seen.phase is Phase.HANDSHAKE
        return self.told is not None and not self.told.handshake_complete

    @property
    def timed_out(self) -> bool:
        """Whether a time limit passed: the client's, or the server's where there is no client view."""
        view = self.seen if self.seen is not None else self.told
        return view is not None and view.timed_out

    @property
    def nothing_sent(self) -> bool:
        """Whether the client is known to have sent no certificate; not of one that has it, and does not tell."""
        if self.seen is not None:
            has = self.client is not None and self.client.certificate is not None
            tells = bool(self.seen.messages) or self.seen.sent_chain is not None
            untold = has and not tells and self.seen.certificate_requested is not False
            return not (self.seen.sent_certificate or untold)
        return self.told is not None and self.told.presented is None and self.told.client_verify in (None, "NONE")

    @property
    def symbols(self) -> tuple[str, ...]:
        """OpenSSL's symbolic reasons, the server's first."""
        return tuple(view.error_symbol for view in (self.told, self.seen) if view is not None and view.error_symbol)


class Judgement(Conclusion, frozen=True):
    """What follows from the facts.

    Args:
        alert, alert_from: the fatal alert that ended it, and the end that sent it (``client``, ``server``).
    """

    alert: Alert | None = None
    alert_from: str | None = None


#: A client's ``error_symbol`` where it refuses a certificate without an issuer's name by itself, as curl does.
ISSUER_NAME_EMPTY = "ISSUER_NAME_EMPTY"
#: The same where it has taken the server's certificate, and then ends the connection itself: for its own certificate, or a
#: session ticket that it can't read.
AFTER_VERIFICATION = "AFTER_VERIFICATION"

#: OpenSSL's word where a server wants to ask for a certificate after the handshake, and the client did not offer to be asked then
#: (``SSL_verify_client_post_handshake`` in ssl/ssl_lib.c; RFC 8446 §4.2.6).
NO_POST_HANDSHAKE = "EXTENSION_NOT_RECEIVED"
#: OpenSSL's word for a handshake that is signed by another key than the certificate's (``tls_process_cert_verify`` in
#: ssl/statem/statem_lib.c, ``tls_process_key_exchange`` in statem_clnt.c).
_HANDSHAKE_SIGNATURE = "BAD_SIGNATURE"
#: Of a server that says that verification failed, and not with which code (nginx, of a session that is resumed).
_UNNAMED = HELD | {Reason.OTHER}
_CRL_REASONS = frozenset((Reason.NO_CRL, Reason.CRL_EXPIRED, Reason.CRL_NOT_YET_VALID, Reason.CRL_INVALID))


def classify(facts: Facts) -> Judgement:
    """Who refused whom, and why.

    Where only the server can be asked, ``accepted`` means that the handshake was completed and the client's certificate, or
    the lack of one, was not refused.
    """
    alert, sender = _ending_alert(facts)
    found = next((found for rule in RULES if (found := rule(facts, alert, sender)) is not None), None)
    if found is None:
        return Judgement(None, (), alert, sender)
    outcome, reasons = found
    return Judgement(outcome, tuple(sorted(set(reasons), key=_ORDER.index)), alert, sender)


def doubtful(facts: Facts) -> bool:
    """Whether an answer refuses a client that sent its certificate, and nobody says what is held against that."""
    if facts.seen is None or facts.seen.phase is not Phase.DONE or facts.client is None or not facts.client.certificate:
        return False
    reasons = classify(facts).reasons
    return len(reasons) > 1 and Reason.NOT_AUTHORIZED in reasons


_ORDER = tuple(Reason)


def _fatal(alerts: Sequence[Alert], symbol: str) -> Alert | None:
    """The fatal alert that counts; not one that an end sent since the connection had ended (OpenSSL's decode_error)."""
    ended = symbol in ENDS or symbol in RESETS
    return next((a for a in alerts if a.fatal and not (ended and a.direction is Direction.SENT)), None)


def _ending_alert(facts: Facts) -> tuple[Alert | None, str | None]:
    for view, own, other in ((facts.seen, "client", "server"), (facts.told, "server", "client")):
        if view is None:
            continue
        if isinstance(view, ClientView) and view.phase is Phase.DONE:
            break  # it has its answer: an end without close_notify makes OpenSSL send decode_error, sometimes in time to be seen
        if isinstance(view, ServerView) and facts.seen is None and view.handshake_complete:
            break
        if isinstance(view, ServerView) and view.handshake_complete and facts.seen is not None and _minded(facts.seen):
            break  # the client looked at the certificate only then, and went away
        if facts.client is not None and not facts.client.protocol.encrypted:
            break  # to the client it is bytes like others
        alert = _fatal(view.alerts, view.error_symbol)
        if alert is not None:
            return alert, own if alert.direction is Direction.SENT else other
    return None, None


def _minded(client: ClientView) -> bool:
    """Whether the client says itself why it refused the server, or ended the connection for another reason."""
    if client.error_symbol == AFTER_VERIFICATION:
        return True
    return client.phase is Phase.HANDSHAKE and bool(client.verify_code or client.reasons)


def _one(outcome: Outcome, reason: Reason | None) -> Found:
    return outcome, () if reason is None else (reason,)


# --- the rules ---------------------------------------------------------------------------------------------------------


def _before_the_handshake(facts: Facts, _alert: Alert | None, _sender: str | None) -> Found | None:
    client = facts.seen
    if client is None:
        return None
    if client.problem is not None:
        settings = client.problem in REASONS[Outcome.NO_AGREEMENT]
        return _one(Outcome.NO_AGREEMENT if settings else Outcome.CLIENT_UNUSABLE, client.problem)
    if client.phase is not Phase.CONNECT:
        return None
    if client.timed_out:
        return _one(Outcome.TIMED_OUT, Reason.CONNECT)
    if client.error_symbol == "ENOTFOUND":
        return _one(Outcome.NO_CONNECTION, Reason.NAME_NOT_RESOLVED)
    return _one(Outcome.NO_CONNECTION, Reason.RESET if client.error_symbol in RESETS else Reason.REFUSED)


def _client_refused(facts: Facts, alert: Alert | None, sender: str | None) -> Found | None:
    """The client says that it refused the server."""
    client = facts.seen
    if client is None:
        return None
    if client.ocsp is not None:
        return _one(Outcome.CLIENT_REFUSED, client.ocsp)
    if client.phase is not Phase.HANDSHAKE or sender == "server":
        return None
    if client.name_mismatch:
        return _one(Outcome.CLIENT_REFUSED, Reason.NAME_MISMATCH)
    if client.verify_code:
        return _one(Outcome.CLIENT_REFUSED, verify_reason(client.verify_code))
    if client.error_symbol == ISSUER_NAME_EMPTY:
        return _one(Outcome.CLIENT_REFUSED, Reason.NOT_COMPLIANT)
    if client.error_symbol == _HANDSHAKE_SIGNATURE:
        return _one(Outcome.CLIENT_REFUSED, Reason.BAD_SIGNATURE)
    if client.reasons and client.reasons <= REASONS[Outcome.CLIENT_REFUSED]:
        return Outcome.CLIENT_REFUSED, client.reasons
    if client.error_symbol == "CERTIFICATE_VERIFY_FAILED":  # some libraries close before their alert is sent
        return Outcome.CLIENT_REFUSED, _by_alert(facts, alert, "client") if alert is not None else VERDICTS
    return None


def _server_refused(facts: Facts, alert: Alert | None, sender: str | None) -> Found | None:
    """The server says that it refused the client; its alert may narrow the reasons."""
    server = facts.told
    if server is None:
        return None
    if server.error_symbol in ("PEER_DID_NOT_RETURN_A_CERTIFICATE", NO_POST_HANDSHAKE):
        return missing(facts)
    if server.error_symbol == "WRONG_CURVE":
        # of a certificate, which TLS 1.2 holds against the groups, too (``tls12_check_peer_sigalg`` in ssl/t1_lib.c)
        return _one(Outcome.SERVER_REFUSED, Reason.WRONG_CURVE)
    if server.error_symbol == _HANDSHAKE_SIGNATURE:
        return _one(Outcome.SERVER_REFUSED, Reason.BAD_SIGNATURE)
    ended = server.error_symbol == "CERTIFICATE_VERIFY_FAILED"
    if server.verify_code and (ended or server.refused_status is not None):
        return _one(Outcome.SERVER_REFUSED, verify_reason(server.verify_code))
    if server.reasons and server.reasons <= REASONS[Outcome.SERVER_REFUSED]:
        nothing = server.reasons <= {Reason.NO_CERTIFICATE, Reason.CERTIFICATE_WITHHELD}
        if nothing and alert is not None and sender == "client":
            return None  # it was in the place of a certificate
        if nothing:
            return missing(facts)
        return Outcome.SERVER_REFUSED, _narrowed(facts, _looked_at(facts, server), alert, sender)
    if ended:
        return Outcome.SERVER_REFUSED, _narrowed(facts, _UNNAMED, alert, sender)
    if server.refused_status is not None:
        if server.ocsp is not None:
            return _one(Outcome.SERVER_REFUSED, server.ocsp)
        return missing(facts) if server.client_verify == "NONE" else (Outcome.SERVER_REFUSED, _UNNAMED)
    return None


def _looked_at(facts: Facts, server: ServerView) -> frozenset[Reason]:
    """The reasons that it says, without what is about lists where it has none."""
    described = facts.server
    lists = described is None or described.crl or described.option("config")
    return server.reasons if lists else server.reasons - _CRL_REASONS or server.reasons


def _narrowed(facts: Facts, reasons: frozenset[Reason], alert: Alert | None, sender: str | None) -> frozenset[Reason]:
    """The reasons that the server's alert allows as well, if any: a log may say only that the verification failed."""
    if alert is None or sender != "server" or Reason.WRONG_CURVE in reasons:
        return reasons  # no alert is about a key's curve alone
    return reasons & _by_alert(facts, alert, "server") or reasons


def _by_alert(facts: Facts, alert: Alert, sender: str) -> frozenset[Reason]:
    if sender == "server":
        library = facts.server.backend.library if facts.server is not None else ""
        return alert_reasons(alert.name, library) - {Reason.NAME_MISMATCH}
    own = facts.client if facts.seen is not None else None
    allowed = alert_reasons(alert.name, own.tool.library if own is not None else "") - {Reason.NOT_AUTHORIZED}
    # the lab's own client looks no CRL up unless it is told to
    return allowed - _CRL_REASONS if own is not None and own.crl_check is RevocationCheck.NONE else allowed


def _refused_by_alert(facts: Facts, alert: Alert | None, sender: str | None) -> Found | None:
    """The end that refused says nothing itself, but its alert arrived."""
    if alert is None:
        return None
    if sender == "client":
        reasons = _by_alert(facts, alert, "client")
        return (Outcome.CLIENT_REFUSED, reasons) if reasons and facts.in_handshake else None
    if alert.name == "certificate_required":
        return missing(facts)
    if alert.name == "handshake_failure":
        # RFC 5246 §7.4.6: what a TLS 1.2 server sends that demands a certificate and gets none. Otherwise it says only
        # that no acceptable set of parameters was found; a client that has sent its certificate had agreed on them.
        if facts.seen is not None and _may_have_been_asked(facts.seen):
            return missing(facts) if facts.nothing_sent else (Outcome.SERVER_REFUSED, HELD)
        return (Outcome.NO_AGREEMENT, PARAMETERS) if facts.in_handshake else None
    reasons = _by_alert(facts, alert, "server")
    if alert.name == "access_denied" or (reasons and not facts.nothing_sent):
        # RFC 8446 §6.2: access control, not the certificate; so nginx ends a session that is carried to another host
        return Outcome.SERVER_REFUSED, {Reason.NOT_AUTHORIZED} if facts.nothing_sent else reasons
    return missing(facts) if reasons and facts.seen is not None and _may_have_been_asked(facts.seen) else None


def _may_have_been_asked(client: ClientView) -> bool:
    """Whether it was asked for a certificate, or can't tell and had come so far: what is agreed on is minded no more."""
    return client.agreed if client.certificate_requested is None else client.certificate_requested


_REQUEST_TIMEOUT = 408
"""RFC 9110 §15.5.9: the request was not complete within the time that the server was prepared to wait."""


def _waited_no_longer(facts: Facts, _alert: Alert | None, _sender: str | None) -> Found | None:
    """The server says that it gave up, while the client was still sending: by its answer, or where it closes without one."""
    client, server = facts.seen, facts.told
    if client is None or facts.client is None or client.body_sent is None:
        return None
    if client.response is not None:
        early = client.body_sent < len(facts.client.request.body)
        gave_up = early and client.response.status == _REQUEST_TIMEOUT
    else:
        gave_up = server is not None and server.timed_out and client.phase is Phase.REQUEST
    return _one(Outcome.TIMED_OUT, Reason.REQUEST) if gave_up else None


def _ended(facts: Facts, _alert: Alert | None, _sender: str | None) -> Found | None:
    client = facts.seen
    if facts.timed_out:
        return _one(Outcome.TIMED_OUT, Reason.HANDSHAKE if facts.in_handshake else Reason.RESPONSE)
    symbol = client.error_symbol if client is not None else facts.told.error_symbol if facts.told is not None else ""
    if symbol in RESETS:
        return _one(Outcome.NO_CONNECTION, Reason.RESET)
    if symbol in ENDS:
        return _one(Outcome.NO_CONNECTION, Reason.CLOSED)
    return None


_Rule = Callable[[Facts, Alert | None, str | None], Found | None]

RULES: tuple[_Rule, ...] = (
    _before_the_handshake,
    _client_refused,
    _server_refused,
    no_agreement,
    _refused_by_alert,
    _waited_no_longer,
    answered,
    broken_protocol,
    _ended,
)
