"""What is known of one exchange → one :class:`Observation`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.model import HINTS, MEANINGS, because
from mtls_runner.model.observation import (
    ClientView,
    HttpRequest,
    HttpResponse,
    Observation,
    Outcome,
    Phase,
    Reason,
    ServerView,
    readable,
)
from mtls_runner.tls import VERIFY_CODES
from mtls_runner.tls.classify import NO_POST_HANDSHAKE, Facts, Judgement, classify
from mtls_runner.tls.messages import subject
from mtls_runner.tls.rules import ENDS, RESETS

__all__ = ["observe", "reloaded", "server_started", "server_unusable", "with_lines"]

_WHO = {
    Outcome.SERVER_REFUSED: "server refused the client",
    Outcome.CLIENT_REFUSED: "client refused the server",
    Outcome.NO_AGREEMENT: "no agreement",
    Outcome.CLIENT_UNUSABLE: "client unusable",
    Outcome.NO_CONNECTION: "no connection",
    Outcome.PROTOCOL_ERROR: "protocol error",
    Outcome.TIMED_OUT: "timed out",
    Outcome.SERVER_UNUSABLE: "server did not start",
}

_UNTOLD = (
    "Say at the server how it refuses (refusal: {status: 403}), or let another client of this file be accepted for the same "
    "request, so that the two answers can be compared."
)
_UNASKED = "Nobody is asked for a certificate in a handshake for {} (SNI). "
_NOT_OFFERED = (
    "The server asks for a certificate after the handshake (TLS 1.3), and the client has not offered to be asked then "
    "(post_handshake_auth: true)."
)
_SOMEBODY = ClientView(tool="", tool_version="", phase=Phase.CONNECT)
"""A client of which only the server tells."""
_SOME_SERVER = ServerView("")
"""A server of which only the client tells."""


def _code(number: int) -> str:
    known = VERIFY_CODES.get(number)
    return f"verify code {number} (X509_V_{known.symbol})" if known else f"verify code {number}"


def _cut(response: HttpResponse) -> str:
    return f"{len(response.body)} of {response.size} bytes of the body kept (body_limit)"


def _client_evidence(view: ClientView, judgement: Judgement, asked: int) -> str:
    """``asked``: bytes of the request's body."""
    parts = []
    if judgement.alert is not None and judgement.alert in view.alerts:
        parts.append(f"{judgement.alert.direction} alert {judgement.alert.name} ({judgement.alert.code})")
    if view.name_mismatch:
        parts.append("the name does not match")
    elif view.verify_code:
        parts.append(_code(view.verify_code))
    if view.response is not None:
        parts.append(f"HTTP status {view.response.status}")
        if view.response.cut:
            parts.append(_cut(view.response))
    if view.body_sent is not None and view.body_sent < asked:
        parts.append(f"{view.body_sent} of {asked} bytes of the request's body sent")
    if view.received is not None:
        parts.append(f"{len(view.received)} bytes received")
    if view.messages_left_out:
        parts.append(f"{view.messages_left_out} TLS messages more than are told")
    if view.error:
        parts.append(view.error)
    if not parts:
        parts.append("done" if view.phase is Phase.DONE else f"ended at {view.phase}")
    return f"client ({view.tool} {view.tool_version}): {'; '.join(parts)}"


def _server_evidence(view: ServerView, judgement: Judgement) -> str:
    parts = []
    if view.verify_code:
        parts.append(_code(view.verify_code))
    elif view.client_verify is not None:
        seen = f" {view.client_subject}" if view.client_subject else ""
        parts.append(f"client verify {view.client_verify}{seen}")
    if view.error and not (view.verify_code and view.error_symbol):
        parts.append(view.error)
    if judgement.alert is not None and not parts:
        parts.extend(f"{a.direction} alert {a.name} ({a.code})" for a in view.alerts if a.fatal)
    if not parts and view.log and not view.handshake_complete:
        parts.append(view.log[-1].strip())  # in words that nobody knows
    if not parts:
        parts.append("answered the request" if view.request else "nothing to say")
    return f"server ({view.source}): {'; '.join(parts)}"


def _verify_result(client: ClientView, judgement: Judgement) -> int | None:
    """The client's own verify result where it refused the server: curl's is not always OpenSSL's."""
    own = client.verify_result if judgement.outcome is Outcome.CLIENT_REFUSED else None
    return client.verify_code if own is None else own


def _summary(judgement: Judgement, facts: Facts) -> str:
    outcome, view = judgement.outcome, facts.seen
    status = view.response.status if view is not None and view.response is not None else None
    if outcome is None:
        return "nothing that the lab recognises: no outcome fits what was seen"
    if outcome is Outcome.ACCEPTED:
        answer = f", status {status}" if status is not None else ""
        if view is not None and view.received:
            answer = f", {len(view.received)} bytes"
        spoken = [view.tls_version or "", _goes_on(view)] if view is not None else []
        version = f" ({', '.join(filter(None, spoken))})" if any(spoken) else ""
        cut = [_cut(view.response)] if view is not None and view.response is not None and view.response.cut else []
        return ", ".join([f"accepted{answer}{version}", *cut, *facts.despite[:1]])
    if outcome is Outcome.ANSWERED:
        return f"answered, status {status}: nothing tells whether that is a refusal"
    how = ""
    if judgement.alert is not None:
        how = f" (alert {judgement.alert.name})"
    elif outcome is Outcome.SERVER_REFUSED and status is not None:
        how = f" (HTTP {status})"
    return f"{_WHO[outcome]}: {_why(judgement, facts)}{how}"


def _why(judgement: Judgement, facts: Facts) -> str:
    told, ended = facts.told, judgement.reason
    if told is not None and ended in _ENDED and (told.wants_proxy_protocol or _said_why(told)):
        return f"{ended}, {_ENDED[ended]}; the server says why"
    return because(judgement.reasons)


def _said_why(told: ServerView) -> bool:
    """Whether the server says why it ended the connection, and not only how it ended."""
    return bool(told.error_symbol) and told.error_symbol not in ENDS | RESETS


def _goes_on(view: ClientView) -> str:
    if view.request_number > 1:
        return f"request {view.request_number} of its connection"
    return "a resumed session" if view.resumed else ""


_CERTIFICATES = (Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED)
"""Outcomes for which a certificate may be to blame."""
_ENDED = {Reason.RESET: "the connection was reset", Reason.CLOSED: "the connection was closed"}
_SERVER_ERRORS = 500
_MISDIRECTED = 421
"""RFC 9110 §15.5.20."""


def _hint(judgement: Judgement, facts: Facts, culprit: Callable[[Judgement], str]) -> str:
    """The culprit where the material shows one; otherwise what usually causes such an outcome."""
    status = facts.seen.response.status if facts.seen is not None and facts.seen.response is not None else None
    if status == _MISDIRECTED and facts.client is not None:
        asked = facts.client.server_name or "no name"
        return (
            f"The handshake was for {asked} (SNI), and the request for another host: a server that verifies clients answers that "
            "with 421."
        )
    if judgement.outcome is Outcome.ANSWERED:
        seen, name = facts.seen, facts.client.server_name if facts.client is not None else None
        unasked = seen is not None and seen.certificate_requested is False
        return (_UNASKED.format(name or "no name") if unasked else "") + _UNTOLD
    if judgement.outcome is Outcome.ACCEPTED:
        return culprit(judgement)
    if facts.told is not None and facts.told.error_symbol == NO_POST_HANDSHAKE:
        return _NOT_OFFERED
    told = _before_tls(judgement, facts)
    if told:
        return told
    reason = judgement.reason
    shown = (
        judgement.outcome in (*_CERTIFICATES, Outcome.NO_AGREEMENT, Outcome.CLIENT_UNUSABLE)
        and reason is not Reason.NO_CERTIFICATE
    )
    return (shown and culprit(judgement)) or (HINTS.get(reason, "") if reason is not None else "")


_BEFORE_TLS = (Outcome.NO_CONNECTION, Outcome.PROTOCOL_ERROR, Outcome.NO_AGREEMENT)
"""Outcomes of plain text where TLS is expected: BoringSSL takes the text for a record of an unknown version."""


def _before_tls(judgement: Judgement, facts: Facts) -> str:
    """A hint about what one end sends before TLS, unexpected by the other (the PROXY protocol); ``""``: there is none."""
    sent = facts.client.proxy_protocol if facts.client is not None else None
    if facts.told is not None and facts.told.wants_proxy_protocol and sent is None:
        return "The server expects the PROXY protocol before TLS, and the client sent none (proxy_protocol: v1)."
    if sent is not None and judgement.outcome in _BEFORE_TLS:
        return f"The client begins with the PROXY protocol (proxy_protocol: {sent}), which this server may not expect."
    return ""


def _nobody(judgement: Judgement) -> str:  # noqa: ARG001
    return ""


def observe(facts: Facts, name: Callable[[bytes], str], culprit: Callable[[Judgement], str] = _nobody) -> Observation:
    """The outcome of one exchange, with everything that was seen.

    Args:
        facts: of both ends, or of the server alone.
        name: a certificate's id in the scenario, or its subject.
        culprit: what the lab's material shows to be to blame, as a sentence.
    """
    judgement = classify(facts)
    client, server = facts.seen or _SOMEBODY, facts.told or _SOME_SERVER
    behind = _behind(server, name)
    refused_behind = behind is not None and behind.seen.outcome is not Outcome.ACCEPTED
    response, upstream = client.response, _forwarded(server)
    return Observation(
        outcome=judgement.outcome,
        reasons=judgement.reasons,
        summary=_summary(judgement, facts) + (f"; {behind}" if refused_behind else ""),
        hint=_hint(judgement, facts, culprit),
        evidence=tuple(_evidence(judgement, facts, behind)),
        status=response.status if response else None,
        headers=readable(response.headers) if response else None,
        body=response.body if response else None,
        received=client.received,
        body_sent=_whole(client, facts),
        curl_exit=client.exit_code,
        alert=judgement.alert.name if judgement.alert else None,
        alert_from=judgement.alert_from,
        ssl_verify_result=_verify_result(client, judgement),
        server_verify_code=server.verify_code,
        tls_version=client.tls_version or server.tls_version,
        cipher=client.cipher or server.cipher,
        alpn=client.alpn,
        server_subject=subject(client.received_chain[0]) if client.received_chain else None,
        client_subject=server.client_subject,
        client_verify=server.client_verify,
        client_chain=_names(client.sent_chain, name),
        server_chain=_names(client.received_chain, name),
        client_ca_names=client.ca_names,
        upstream_headers=readable(upstream.headers) if upstream else None,
        handshake=tuple(m.name for m in client.messages if not m.alert) if facts.seen is not None else None,
        resumed=client.resumed,
        server_name=server.server_name,
        server_signature_algorithm=client.signature_algorithms[0],
        client_signature_algorithm=client.signature_algorithms[1],
        server_log=server.log if facts.told is not None else None,
        upstream=_upstream(behind.seen) if behind is not None else None,
        client=facts.seen,
        server=facts.told,
    )


def with_lines(seen: Observation, server: ServerView) -> Observation:
    """What was observed, and lines of the server's log that say nothing which the lab understands: people may."""
    odd = seen.outcome is not Outcome.ACCEPTED or (seen.status or 0) >= _SERVER_ERRORS
    said = (f"server ({server.source}): {server.log[-1].strip()}",) if odd else ()
    return replace(seen, server_log=server.log, evidence=(*seen.evidence, *said))


class _Behind(Struct, frozen=True):
    """What the server that stands behind another saw of the same request."""

    id: str
    seen: Observation

    def __str__(self) -> str:
        return f"upstream ({self.id}): {self.seen.summary}"


def _behind(server: ServerView, name: Callable[[bytes], str]) -> _Behind | None:
    """Judged by its own evidence alone: to the server behind, the proxy is a client of unknown make."""
    if server.behind is None:
        return None
    id_, view = server.behind
    return _Behind(id_, observe(Facts(None, None, None, view), name))


def _evidence(judgement: Judgement, facts: Facts, behind: _Behind | None) -> Iterator[str]:
    if facts.seen is not None:
        yield _client_evidence(facts.seen, judgement, _size(facts))
    if facts.told is not None:
        yield _server_evidence(facts.told, judgement)
    if behind is not None:
        yield str(behind)
    if facts.told is not None and facts.told.unheard:
        whose = ", ".join(facts.told.unheard)
        yield f"upstream ({whose}): not asked, or over an open connection, of whose later requests its log tells nothing"
    if facts.control is not None:
        yield f"control ({facts.control.who}, the same request): HTTP status {facts.control.response.status}"
    if facts.held is not None:
        yield "a certificate that leads to no authority, the same request: refused in the handshake"
    yield from facts.despite if judgement.outcome is Outcome.ACCEPTED else facts.notes


def _names(chain: tuple[bytes, ...] | None, name: Callable[[bytes], str]) -> tuple[str, ...] | None:
    return tuple(map(name, chain)) if chain is not None else None


def _size(facts: Facts) -> int:
    return len(facts.client.request.body) if facts.client is not None else 0


def _whole(view: ClientView, facts: Facts) -> bool | None:
    """Whether all of the request's body went out."""
    return None if view.body_sent is None else view.body_sent >= _size(facts)


def _upstream(seen: Observation) -> tuple[tuple[str, str], ...]:
    """The fields of ``upstream:``, from what the server behind saw."""
    told = (("outcome", seen.outcome), ("reason", seen.reason), ("client_subject", seen.client_subject))
    return tuple((key, str(value)) for key, value in told if value is not None)


def _forwarded(server: ServerView) -> HttpRequest | None:
    """The request as the application behind it had it."""
    behind = server.behind[1].request if server.behind is not None else None
    return behind or server.upstream_request


def server_started() -> Observation:
    """A server's own case: it started."""
    return Observation(outcome=Outcome.SERVER_STARTED, summary="the server started")


def reloaded() -> Observation:
    """A reload: the server goes on with what its files hold now."""
    return Observation(outcome=Outcome.SERVER_STARTED, summary="the server has read its files again")


def server_unusable(
    reason: Reason, text: str, log: tuple[str, ...], *, notes: tuple[str, ...] = (), reload: str = ""
) -> Observation:
    """It could not start, or not read its files again: of a server's own case, or of a step.

    Args:
        reason, text, log: why, and what it says.
        notes: what is known of the user's own material that takes part, as sentences.
        reload: what it does where it was told to read its files again.
    """
    what = f"the reload failed, the server {reload}" if reload else _WHO[Outcome.SERVER_UNUSABLE]
    return Observation(
        outcome=Outcome.SERVER_UNUSABLE,
        reasons=(reason,),
        summary=f"{what}: {reason}, {MEANINGS[reason]}",
        hint=HINTS.get(reason, ""),
        evidence=(f"server: {text}", *notes),
        server_log=log or None,
    )
