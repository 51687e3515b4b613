"""Two views of one exchange → one :class:`Observation`."""

from __future__ import annotations

from collections.abc import Callable

from mtls_runner.model.case import Case
from mtls_runner.model.client import ClientSpec
from mtls_runner.model.observation import ClientView, Observation, Outcome, Phase, Reason, ServerView
from mtls_runner.tls.classify import Judgement, classify
from mtls_runner.tls.curl_exit import verify_result
from mtls_runner.tls.hints import HINTS, MEANINGS
from mtls_runner.tls.messages import subject
from mtls_runner.tls.names import VERIFY_CODES

__all__ = ["observe", "reloaded", "server_started", "server_unusable"]

_WHO = {
    Outcome.SERVER_REFUSED: "server refused the client",
    Outcome.CLIENT_REFUSED: "client refused the server",
    Outcome.NO_AGREEMENT: "no agreement",
    Outcome.CLIENT_UNUSABLE: "client unusable",
    Outcome.NO_CONNECTION: "no connection",
    Outcome.TIMED_OUT: "timed out",
    Outcome.SERVER_UNUSABLE: "server did not start",
}


def _code(number: int) -> str:
    known = VERIFY_CODES.get(number)
    return f"verify code {number} (X509_V_{known.symbol})" if known else f"verify code {number}"


def _client_evidence(view: ClientView, judgement: Judgement) -> str:
    parts = []
    if judgement.alert is not None and judgement.alert in view.alerts:
        parts.append(f"{judgement.alert.direction} alert {judgement.alert.name} ({judgement.alert.code})")
    if view.name_mismatch:
        parts.append("the name does not match")
    elif view.verify_code:
        parts.append(_code(view.verify_code))
    if view.response is not None:
        parts.append(f"HTTP status {view.response.status}")
    if view.error and not view.verify_code:
        parts.append(view.error)
    if not parts:
        parts.append("a whole response" if view.phase is Phase.DONE else f"ended at {view.phase}")
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
    if not parts:
        parts.append("answered the request" if view.request else "nothing to say")
    return f"server ({view.source}): {'; '.join(parts)}"


def _summary(judgement: Judgement, view: ClientView) -> str:
    outcome, reason = judgement.outcome, judgement.reason
    if outcome is None:
        return "nothing that the lab recognises: no outcome fits what was seen"
    if outcome is Outcome.ACCEPTED:
        status = f", status {view.response.status}" if view.response else ""
        spoken = [view.tls_version or "", "a resumed session" if view.resumed else ""]
        version = f" ({', '.join(filter(None, spoken))})" if any(spoken) else ""
        return f"accepted{status}{version}"
    why = MEANINGS[reason] if reason is not None else "the reason was not observed"
    how = ""
    if judgement.alert is not None:
        how = f" (alert {judgement.alert.name})"
    elif outcome is Outcome.SERVER_REFUSED and view.response is not None:
        how = f" (HTTP {view.response.status})"
    return f"{_WHO[outcome]}: {reason or 'unknown'}, {why}{how}"


def observe(
    case: Case, spec: ClientSpec, client: ClientView, server: ServerView | None, name: Callable[[bytes], str]
) -> Observation:
    """The outcome of one exchange, with everything that was seen.

    Args:
        case: what was run.
        spec: its client.
        client, server: the two views.
        name: a certificate's id in the scenario, or its subject.
    """
    judgement = classify(case.server, spec, client, server)
    evidence = [_client_evidence(client, judgement)]
    if server is not None:
        evidence.append(_server_evidence(server, judgement))
    reason = judgement.reason
    upstream = server.upstream_request if server is not None else None
    return Observation(
        outcome=judgement.outcome,
        reason=reason,
        summary=_summary(judgement, client),
        hint=HINTS.get(reason, "") if reason is not None else "",
        evidence=tuple(evidence),
        status=client.response.status if client.response else None,
        headers=client.response.headers if client.response else None,
        body=client.response.body if client.response else None,
        curl_exit=client.exit_code,
        alert=judgement.alert.name if judgement.alert else None,
        alert_from=judgement.alert_from,
        ssl_verify_result=verify_result(client) if judgement.outcome is Outcome.CLIENT_REFUSED else client.verify_code,
        server_verify_code=server.verify_code if server else None,
        tls_version=client.tls_version or (server.tls_version if server else None),
        cipher=client.cipher or (server.cipher if server else None),
        alpn=client.alpn,
        server_subject=subject(client.received_chain[0]) if client.received_chain else None,
        client_subject=server.client_subject if server else None,
        client_verify=server.client_verify if server else None,
        client_chain=tuple(map(name, client.sent_chain)) if client.sent_chain is not None else None,
        server_chain=tuple(map(name, client.received_chain)) if client.received_chain is not None else None,
        client_ca_names=client.ca_names,
        upstream_headers=upstream.headers if upstream else None,
        handshake=tuple(m.name for m in client.messages if not m.alert),
        resumed=client.resumed,
        server_name=server.server_name if server else None,
        server_signature_algorithm=client.signature_algorithms[0],
        client_signature_algorithm=client.signature_algorithms[1],
        server_log=server.log if server else None,
        client=client,
        server=server,
    )


def server_started() -> Observation:
    """A server's own case: it started."""
    return Observation(outcome=Outcome.SERVER_STARTED, summary="the server started")


def reloaded() -> Observation:
    """A reload: the server goes on with what its files hold now."""
    return Observation(outcome=Outcome.SERVER_STARTED, summary="the server has read its files again")


def server_unusable(reason: Reason, text: str, log: tuple[str, ...]) -> Observation:
    """A server's own case: it could not start."""
    return Observation(
        outcome=Outcome.SERVER_UNUSABLE,
        reason=reason,
        summary=f"{_WHO[Outcome.SERVER_UNUSABLE]}: {reason}, {MEANINGS[reason]}",
        hint=HINTS.get(reason, ""),
        evidence=(f"server: {text}",),
        server_log=log or None,
    )
