"""What the script compares for a case: outcome and reason, curl's exit, the HTTP status."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from mtls_runner.model.case import Case, Check, Match
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, Response, ServerSpec, TlsVersion
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.traits import Refusal
from mtls_runner.tls.openssl_errors import UNUSABLE_SINCE_8_16

__all__ = ["ANY", "COMPARED", "ScriptExpectation", "expected"]

ANY = "-"
"""Stands for what is not compared."""
COMPARED = frozenset(("outcome", "reason", "status", "curl_exit"))

_WITH_REASON = frozenset((Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED))
#: Reasons that curl meets as an error of cryptography, before its verification's verdict.
_SIGNATURES = frozenset((Reason.BAD_SIGNATURE, Reason.CRL_INVALID, Reason.MALFORMED, Reason.NOT_COMPLIANT))
#: Their alert is certificate_expired, which curl takes for a verdict of its own.
_EXPIRED = frozenset((Reason.EXPIRED, Reason.CRL_EXPIRED))
_OCSP = frozenset(reason for reason in Reason if reason.startswith("ocsp-"))
_OF_OUTCOME = {
    Outcome.ACCEPTED: "0",
    Outcome.ANSWERED: "0",
    Outcome.NO_AGREEMENT: "35|59",
    Outcome.CLIENT_UNUSABLE: f"58|{UNUSABLE_SINCE_8_16}|77|82",
    Outcome.TIMED_OUT: "28",
}
_OF_REASON = {
    Reason.REFUSED: "7",
    Reason.NAME_NOT_RESOLVED: "6",
    Reason.RESET: "35|56",
    Reason.CLOSED: "35|52|56",
    Reason.NOT_TLS: "35",
}


class ScriptExpectation(Struct, frozen=True):
    """As the shell compares it: alternatives with ``|`` between them, or :data:`ANY`."""

    outcome: str
    exits: str
    status: str


def expected(case: Case, client: ClientSpec, *, odd_chain: bool = False) -> ScriptExpectation:
    """From the case's own expectation; what it leaves open follows from the outcome, where that is certain.

    Args:
        case: its server and expectation.
        client: its client.
        odd_chain: the server's chain has extensions of the author's own: where OpenSSL can't read one, that is the first
            error that curl meets.
    """
    checks = {check.path: check for check in case.expect.checks if not check.only_for}
    versioned = {check.path for check in case.expect.checks if check.only_for} & COMPARED
    outcomes = _values(checks.get("outcome"))
    reasons = _values(checks.get("reason"))
    if versioned & {"outcome", "reason"}:  # what holds for any version: whose it is, the script does not know
        outcomes, reasons = (_of_all(case.expect.checks, path) for path in ("outcome", "reason"))
    told = [
        outcome if not reasons or Outcome(outcome) not in _WITH_REASON else f"{outcome}: {_visible(reason)}"
        for outcome in outcomes
        for reason in (reasons or [""])
    ]
    exits = [] if versioned else _values(checks.get("curl_exit"))
    statuses = [] if "status" in versioned else _values(checks.get("status"))
    if len(outcomes) == 1 and not versioned:
        reason = Reason(reasons[0]) if len(reasons) == 1 else None
        outcome = Outcome(outcomes[0])
        exits = exits or _exits(outcome, reason, case, client)
        if odd_chain and exits == ["60"]:
            exits = ["35|60"]
        statuses = statuses or _statuses(outcome, reason, case.server, client)
    if Outcome.PROTOCOL_ERROR in outcomes:  # what a script reads can't tell it from a disagreement
        told = []
    return ScriptExpectation("|".join(dict.fromkeys(told)) or ANY, "|".join(exits) or ANY, "|".join(statuses) or ANY)


def _values(check: Check | None) -> list[str]:
    if check is None or any(one.kind is not Match.EQUALS or one.value is None for one in check.alternatives):
        return []
    return [str(one.value) for one in check.alternatives]


def _of_all(checks: Iterable[Check], path: str) -> list[str]:
    return [value for check in checks if check.path == path for value in _values(check)]


def _visible(reason: str) -> str:
    """The reason as it looks from outside, where a certificate that the client withheld is none."""
    return Reason.NO_CERTIFICATE if reason == Reason.CERTIFICATE_WITHHELD else reason


def _exits(outcome: Outcome, reason: Reason | None, case: Case, client: ClientSpec) -> list[str]:
    if outcome is Outcome.CLIENT_REFUSED:
        return ["91"] if reason in _OCSP else ["35|60" if reason in _SIGNATURES or reason is None else "60"]
    if outcome is Outcome.NO_CONNECTION:
        return [_OF_REASON[reason]] if reason in _OF_REASON else []
    if outcome is Outcome.SERVER_REFUSED:
        return _refused(reason, case, client)
    return [_OF_OUTCOME[outcome]] if outcome in _OF_OUTCOME else []


def _refused(reason: Reason | None, case: Case, client: ClientSpec) -> list[str]:
    server = case.server
    if server.backend.refusal is None:
        return []
    if server.backend.refusal is Refusal.STATUS or reason is Reason.NOT_AUTHORIZED or _by_status(reason, server):
        return ["0"]
    if TlsVersion.V1_3 in client.tls and TlsVersion.V1_3 in server.tls:
        return ["56"]
    return ["60" if reason in _EXPIRED else "35"]


def _by_status(reason: Reason | None, server: ServerSpec) -> bool:
    """Whether a server that does not demand a certificate answers 401 or 403 where there is none."""
    return reason is Reason.NO_CERTIFICATE and server.client_auth is not ClientAuth.REQUIRED


def _statuses(outcome: Outcome, reason: Reason | None, server: ServerSpec, client: ClientSpec) -> list[str]:
    if server.option("config") or server.hosts or server.backend.runs_already:
        return ["000"] if outcome in (Outcome.CLIENT_REFUSED, Outcome.NO_AGREEMENT, Outcome.CLIENT_UNUSABLE) else []
    if outcome is Outcome.ACCEPTED:
        return [str(answer(server, client).status)]
    if outcome is Outcome.SERVER_REFUSED:
        if reason is Reason.NOT_AUTHORIZED or _by_status(reason, server):
            return [str(answer(server, client).status)]
        return [str(server.backend.refusal_status or "000")]
    return ["000"] if outcome not in (Outcome.TIMED_OUT, Outcome.PROTOCOL_ERROR) else []


def answer(server: ServerSpec, client: ClientSpec) -> Response:
    """What the server answers to this request."""
    return server.response_to(client.request.path) or Response(status=404)
