"""What a case expects, as one outcome to tell the story by, and the rest in words."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from mtls_runner.explain.words import either
from mtls_runner.model.case import Case, Check, Match, Matcher
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.snippet import MASK, is_secret

__all__ = ["ExpectedInWords", "expected"]

_SENTENCES = {
    Outcome.ACCEPTED: "the client gets its answer",
    Outcome.ANSWERED: "the client gets an answer, and nothing tells whether that is a refusal",
    Outcome.SERVER_REFUSED: "the server refuses the client",
    Outcome.CLIENT_REFUSED: "the client refuses the server",
    Outcome.NO_AGREEMENT: "the two find nothing in common",
    Outcome.CLIENT_UNUSABLE: "the client can't use its own material, and never connects",
    Outcome.NO_CONNECTION: "no connection comes about that either end could explain",
    Outcome.PROTOCOL_ERROR: "the other end breaks TLS or HTTP",
    Outcome.TIMED_OUT: "the time limit passes",
    Outcome.SERVER_STARTED: "the server starts",
    Outcome.SERVER_UNUSABLE: "the server does not start",
}
_KINDS = {
    Match.EQUALS: "",
    Match.CONTAINS: "containing ",
    Match.MATCHES: "matching ",
    Match.IN_ORDER: "in this order: ",
}
_LONGEST = 60


class ExpectedInWords(Struct, frozen=True):
    """A case's expectation in words.

    Args:
        outcome: the first of those that will do; ``None``: it names none.
        reason: likewise.
        alert, status: what the scenario says that the refusal looks like; ``None``: it does not say.
        sentence: outcome and reasons in words.
        resumed: a session has to be resumed.
        details: what else is checked, each a few words.
    """

    outcome: Outcome | None
    reason: Reason | None
    alert: str | None
    status: int | None
    sentence: str
    resumed: bool
    details: tuple[str, ...]


def expected(case: Case) -> ExpectedInWords:
    """The expectation of a case in words."""
    checks = case.expect.checks
    outcomes = _values(checks, "outcome")
    reasons = _values(checks, "reason")
    outcome = Outcome(outcomes[0]) if outcomes else None
    behind = _sentence(checks, "upstream.")
    told = [_sentence(checks), behind and f"at the upstream, whose client the proxy is, {behind}"]
    alerts, statuses = _values(checks, "alert"), _values(checks, "status")
    return ExpectedInWords(
        outcome=outcome,
        reason=Reason(reasons[0]) if reasons else None,
        alert=alerts[0] if alerts else None,
        status=int(statuses[0]) if statuses and statuses[0].isdigit() else None,
        sentence=", and ".join(filter(None, told)) or "whatever happens",
        resumed=_values(checks, "resumed") == ["True"],
        details=tuple(_details(checks)),
    )


def _sentence(checks: tuple[Check, ...], of: str = "") -> str:
    outcomes, reasons = _values(checks, f"{of}outcome"), _values(checks, f"{of}reason")
    what = either(_SENTENCES[Outcome(each)] for each in outcomes) if outcomes else ""
    return f"{what}: {either(reasons)}" if what and reasons else what or (either(reasons) if reasons else "")


def _values(checks: tuple[Check, ...], path: str) -> list[str]:
    """What the check that always counts asks for, as far as it is exact."""
    found: list[str] = []
    for check in checks:
        if check.path == path and not check.only_for:
            found = [
                str(each.value) for each in check.alternatives if each.kind is Match.EQUALS and each.value is not None
            ]
    return found


def _details(checks: tuple[Check, ...]) -> Iterator[str]:
    for check in checks:
        if check.path.removeprefix("upstream.") not in ("outcome", "reason"):
            condition = f" ({check.only_for})" if check.only_for else ""
            hidden = is_secret(check.path.partition(".")[2])
            yield f"{check.path} {MASK if hidden else either(map(_matcher, check.alternatives))}{condition}"


def _matcher(matcher: Matcher) -> str:
    value = matcher.value
    if value is None:
        return "absent"
    if isinstance(value, tuple):
        text = ", ".join(value) or "empty"
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = str(value)
        if len(text) > _LONGEST:
            text = text[: _LONGEST - 1] + "…"
        if isinstance(value, str) and (not text or not text.isprintable() or " " in text):
            text = repr(text)
    return _KINDS[matcher.kind] + text
