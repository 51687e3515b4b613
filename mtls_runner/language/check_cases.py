"""Cases and servers' own expectations: what can't be true, what can't be reached, and what proves nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mtls_runner.language.certificates import Certificates
from mtls_runner.language.context import Context
from mtls_runner.language.document import Document, Loc
from mtls_runner.language.expectation import CASE_OUTCOMES, When
from mtls_runner.language.expected import ConditionalExpectation
from mtls_runner.model.case import Case
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.chain import lineage
from mtls_runner.model.chain_faults import faults
from mtls_runner.model.expectation import Check, Expectation, Match
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.revocation import CrlSpec, RevocationCheck
from mtls_runner.model.server import ClientAuth
from mtls_runner.model.verifier import Verifier, client_verifies, server_verifies
from mtls_runner.span import Diagnostic, Severity
from mtls_runner.tls.names import REASONS
from mtls_runner.tls.outlook import never_holds

__all__ = ["Planned", "check_cases", "check_faults", "check_outlook"]

#: Nothing came back over HTTP.
_NO_RESPONSE = frozenset({Outcome.CLIENT_REFUSED, Outcome.NO_AGREEMENT, Outcome.CLIENT_UNUSABLE, Outcome.NO_CONNECTION})
_HTTP = ("status", "headers", "body", "upstream_headers")


@dataclass(frozen=True, slots=True)
class Planned:
    """A case as written and what became of it.

    Args:
        document, loc: where its expectation stands.
        server: id of the server, as declared; ``None`` where the case changes it.
        wanted: its expectation.
        cells: the cases that it makes.
    """

    document: Document
    loc: Loc
    server: str | None
    wanted: ConditionalExpectation
    cells: Sequence[Case]


def check_cases(context: Context, planned: Iterable[Planned]) -> None:
    """All of a file."""
    for one in planned:
        _CaseCheck(context, one).run()


class _CaseCheck:
    def __init__(self, context: Context, planned: Planned) -> None:
        self._context = context
        self._planned = planned

    def run(self) -> None:
        planned = self._planned
        self._where()
        seen: set[int] = set()
        for case in planned.cells:
            if id(case.expect) not in seen:
                seen.add(id(case.expect))
                self._expectation(case.expect)
            self._versions(case)

    def _say(self, check: Check, message: str, expected: str = "") -> None:
        self._context.problems.add([Diagnostic(message, check.span, expected)])

    def _where(self) -> None:
        planned = self._planned
        for entry in planned.wanted.entries:
            if not entry.when.model_fields_set:
                self._absent(entry.loc, "'when' says nothing", f"one of: {', '.join(When.model_fields)}")
            if not entry.checks:
                self._absent((*entry.loc[:-1], "expect"), "nothing is expected here")
            if entry.when.tls is None or not planned.cells:
                continue
            reachable = {case.tls for case in planned.cells}
            if not reachable.intersection(entry.when.tls):
                names = ", ".join(version.value for version in reachable if version is not None)
                self._error(
                    (*entry.loc, "tls"),
                    "no case here is planned to speak this version alone",
                    f"one of: {names}"
                    if names
                    else "client.tls: [TLSv1.2, TLSv1.3] under matrix:, for a case of each version",
                )

    def _absent(self, loc: Loc, message: str, expected: str = "") -> None:
        self._context.problems.absent(self._planned.document, loc, message, expected)

    def _error(self, loc: Loc, message: str, expected: str = "") -> None:
        self._context.problems.error(self._planned.document, loc, message, expected)

    def _expectation(self, expectation: Expectation) -> None:
        checks = {check.path: check for check in expectation.checks}
        outcomes = [Outcome(str(value)) for value in _values(checks.get("outcome"))]
        if not outcomes:
            self._absent(
                self._planned.loc,
                "'outcome' is missing: without it anything could have happened",
                f"one of: {', '.join(CASE_OUTCOMES)}",
            )
            return
        self._reason(outcomes, checks.get("outcome"), [check for check in expectation.checks if check.path == "reason"])
        if _NO_RESPONSE.issuperset(outcomes):
            for check in expectation.checks:
                if check.path.partition(".")[0] in _HTTP and check.alternatives[0].value is not None:
                    self._say(check, f"no response is ever seen where the outcome is {_or(outcomes)}")

    def _reason(self, outcomes: Sequence[Outcome], outcome: Check | None, checks: Sequence[Check]) -> None:
        possible = frozenset().union(*(REASONS[one] for one in outcomes))
        for check in checks:
            for value in _values(check):
                if value is not None and Reason(str(value)) not in possible:
                    names = ", ".join(sorted(reason.value for reason in possible))
                    self._say(
                        check,
                        f"{value} can't be the reason where the outcome is {_or(outcomes)}",
                        f"one of: {names}" if possible else "no reason",
                    )
        if not checks and outcome is not None and not any(not REASONS[one] for one in outcomes):
            self._context.problems.add(
                [
                    Diagnostic(
                        f"no reason is given: any reason for {_or(outcomes)} would pass",
                        outcome.span,
                        f"reason: one of {', '.join(sorted(reason.value for reason in possible))}",
                        severity=Severity.WARNING,
                    )
                ]
            )

    def _versions(self, case: Case) -> None:
        if case.client is None:
            return
        common = [version.value for version in case.server.tls if version in case.client.tls]
        for check in case.expect.checks:
            if check.path == "tls_version":
                wanted = [value for value in _values(check) if value is not None]
                if wanted and not set(wanted).intersection(common):
                    self._say(
                        check,
                        f"{' or '.join(map(str, wanted))} can't be spoken in {case.name!r}: "
                        f"server and client have {', '.join(common) or 'no version'} in common",
                    )


def _values(check: Check | None) -> list[str | int | bool | tuple[str, ...] | None]:
    if check is None:
        return []
    return [matcher.value for matcher in check.alternatives if matcher.kind is Match.EQUALS]


def _or(outcomes: Sequence[Outcome]) -> str:
    return " or ".join(outcome.value for outcome in outcomes)


def check_outlook(
    context: Context, cases: Iterable[Case], specs: Mapping[str, CertificateSpec], crls: Mapping[str, CrlSpec]
) -> None:
    """A warning for each expectation that can never hold, as material and settings have it."""
    now = datetime.now(UTC)
    for case in cases:
        foreseen = never_holds(case, specs, crls, now)
        check = next((check for check in case.expect.checks if check.path == "outcome"), None)
        if foreseen is not None and check is not None:
            message = f"this can never hold: {foreseen.why}"
            context.problems.add([Diagnostic(message, check.span, severity=Severity.WARNING)])


_TRUST = frozenset((Reason.UNKNOWN_CA, Reason.SELF_SIGNED))
"""Blamed on whoever stands at the end of the way; it is the certificate that leads there."""
#: What a certificate can have beside others, and that every verifier sees.
_WORDS: Mapping[Reason, str] = {
    Reason.EXPIRED: "expired",
    Reason.NOT_YET_VALID: "not yet valid",
    Reason.WRONG_PURPOSE: "not for {purpose}",
    **dict.fromkeys(_TRUST, "of an authority that is not trusted"),
    Reason.WEAK_KEY: "a weak key",
    Reason.WEAK_DIGEST: "a weak hash",
    Reason.UNHANDLED_EXTENSION: "a critical extension that nobody knows",
    Reason.BAD_SIGNATURE: "a signature that does not verify",
    Reason.REVOKED: "revoked",
}


def check_faults(
    context: Context,
    certificates: Certificates,
    specs: Mapping[str, CertificateSpec],
    crls: Mapping[str, CrlSpec],
    cases: Sequence[Case],
) -> None:
    """A warning for each certificate that would be refused for two reasons, unless the author allows for both."""
    warned: set[str] = set()
    known: dict[tuple[str, Verifier, bool], tuple[str, ...]] = {}
    now = datetime.now(UTC)
    for case in cases:
        client, server = case.client, case.server
        if client is None:
            continue
        shown = []
        if client.certificate is not None and server.client_auth is not ClientAuth.NONE:
            asks = server.ocsp is not RevocationCheck.NONE
            shown.append((client.certificate, server_verifies(server, crls), asks))
        if server.certificate is not None and not client.insecure:
            shown.append((server.certificate, client_verifies(client, crls), False))
        for id_, verifier, asks in shown:
            if id_ in warned or id_ not in specs:
                continue
            key = (id_, verifier, asks)
            if key not in known:
                known[key] = _faults(specs, id_, verifier, now, asks=asks)
            found = known[key]
            if len(found) < 2 or _allows_both(case):
                continue
            warned.add(id_)
            declared = certificates.get(id_)
            if declared is not None:
                context.problems.warning(
                    declared.document,
                    declared.loc,
                    f"'{id_}' has {len(found)} independent faults ({', '.join(found)}), and servers differ in which they name",
                    "one fault, or several reasons to expect",
                    key=True,
                )


def _allows_both(case: Case) -> bool:
    return any(check.path == "reason" and len(check.alternatives) > 1 for check in case.expect.checks)


def _faults(
    specs: Mapping[str, CertificateSpec], id_: str, verifier: Verifier, now: datetime, *, asks: bool
) -> tuple[str, ...]:
    """Of the certificate itself, whatever else is sent: each kind once."""
    sent = [spec.id for spec in lineage(specs, id_)]
    found = faults(sent, replace(verifier, name=None, depth=None), specs, now)
    # an own configuration, or a server that runs already, says itself whom it trusts
    reasons = {one.reason for one in found if (one.depth == 0 or one.reason in _TRUST)}
    if not verifier.trust:
        reasons -= _TRUST
    if asks and specs[id_].revoked is not None:
        reasons.add(Reason.REVOKED)
    words = [word.format(purpose=verifier.purpose) for reason, word in _WORDS.items() if reason in reasons]
    return tuple(dict.fromkeys(words))
