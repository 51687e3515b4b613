"""Checks cases and servers' own expectations: what contradicts itself, can never hold, can't be reached, or proves nothing.

An outcome is only foretold where material and settings make it certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.errors import Diagnostic, Severity
from mtls_runner.language.context import Context
from mtls_runner.language.document import Loc, meant
from mtls_runner.language.expectation import CASE_OUTCOMES, When
from mtls_runner.language.expected import Planned
from mtls_runner.model.case import Case, Check, Expectation, Match
from mtls_runner.model.certificate import CertificateSpec, Defect, KeyAlgorithm
from mtls_runner.model.chain import Certificates, client_verifies, lineage, presented, server_verifies
from mtls_runner.model.chain_faults import Fault, faults
from mtls_runner.model.endpoint import ByMeeting, ClientAuth, ClientSpec, Request, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.revocation import CrlSpec, RevocationCheck
from mtls_runner.model.traits import ClientProtocol
from mtls_runner.tls import REASONS
from mtls_runner.tls.rules import usable_versions

__all__ = ["Outlook", "check_cases", "check_outlook", "never_holds", "outlook"]

_JUDGED = frozenset((Outcome.ACCEPTED, Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED))
#: Ends differ in which of them they name.
_ALIKE = (
    frozenset((Reason.UNKNOWN_CA, Reason.SELF_SIGNED, Reason.BAD_SIGNATURE)),
    frozenset((Reason.WRONG_PURPOSE, Reason.INVALID_CA, Reason.PATH_LENGTH)),
)
_PLAIN_KEYS = frozenset(
    (KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096, KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384)
)
_UNUSABLE = frozenset((Defect.KEY_MISMATCH, Defect.KEY_TYPE_MISMATCH, Defect.VERSION_1))
_LEVEL = 2


class Outlook(Struct, frozen=True):
    """What will be seen of a case, by the descriptions alone.

    Args:
        outcome: accepted, or who refuses whom.
        reasons: any of these.
        why: a clause.
    """

    outcome: Outcome
    reasons: frozenset[Reason]
    why: str


def outlook(
    server: ServerSpec, client: ClientSpec, certificates: Certificates, crls: Mapping[str, CrlSpec], now: datetime
) -> Outlook | None:
    """What will be seen, by the certificates alone; ``None``: something else may decide, or the descriptions don't show all."""
    host = server.host(client.server_name)
    if not _is_plain(server, client) or not _shown(server, client, certificates):
        return None
    if not client.insecure:
        told = presented(host, certificates)
        found = faults(told.ids, client_verifies(client, crls), certificates, now) if told is not None else ()
        if found:
            return _refusal(Outcome.CLIENT_REFUSED, "client", found)
        if not _names_are_dns(host, client, certificates):
            return None
    return _at_server(host, client, certificates, crls, now)


def _at_server(
    host: ServerSpec, client: ClientSpec, certificates: Certificates, crls: Mapping[str, CrlSpec], now: datetime
) -> Outlook | None:
    nothing: frozenset[Reason] = frozenset()
    if host.client_auth is ClientAuth.NONE:
        return Outlook(Outcome.ACCEPTED, nothing, "the server verifies nobody (client_auth: none)")
    told = presented(client, certificates)
    if told is None:
        if host.client_auth is not ClientAuth.REQUIRED:
            why = f"the server can do without a certificate (client_auth: {host.client_auth})"
            return Outlook(Outcome.ACCEPTED, nothing, why)
        why = "the server demands a certificate (client_auth: required), and the client has none"
        return Outlook(Outcome.SERVER_REFUSED, frozenset((Reason.NO_CERTIFICATE,)), why)
    found = faults(told.ids, server_verifies(host, crls), certificates, now)
    if found and host.client_auth is ClientAuth.OPTIONAL_NO_CA:
        return None  # backends differ: nginx lets pass only that nobody trusted issued it, Go any fault
    if found:
        return _refusal(Outcome.SERVER_REFUSED, "server", found)
    return Outlook(Outcome.ACCEPTED, nothing, f"the server has nothing against `{client.certificate}`")


def _refusal(outcome: Outcome, who: str, found: tuple[Fault, ...]) -> Outlook:
    return Outlook(outcome, frozenset(one.reason for one in found), f"the {who} refuses: {found[0]}")


def _is_plain(server: ServerSpec, client: ClientSpec) -> bool:
    """Whether nothing but certificates decides."""
    others = (
        server.option("config"),
        server.backend.runs_already,
        server.hosts,
        server.reject_handshake,
        server.other_certificates,
        server.refusal,
        any(one.client_auth is not None for one in server.responses),
        server.ocsp is not RevocationCheck.NONE,
        server.stapling,
        client.cert_status,
        client.proxy_protocol,
        client.protocol is not ClientProtocol.HTTPS,
        client.location is not None,
        client.connect,
        client.key,
        *(
            end.ciphers or end.ciphersuites or end.groups or end.signature_algorithms or end.alpn
            for end in (server, client)
        ),
        server.security_level != _LEVEL or client.security_level != _LEVEL,
    )
    return not any(others) and bool(usable_versions(server, client))


def _shown(server: ServerSpec, client: ClientSpec, certificates: Certificates) -> bool:
    """Whether the descriptions show all that matters of what both present."""
    for end in (server, client):
        chain = lineage(certificates, end.certificate or "")
        if any(one.files or one.extensions or one.ocsp or one.name_constraints or not one.subject for one in chain):
            return False
        if any(one.serial is not None or Defect.DUPLICATE_SERIAL in one.defects for one in chain):
            return False  # another one's may be on a CRL
        if chain and (chain[0].passphrase != end.passphrase or not _UNUSABLE.isdisjoint(chain[0].defects)):
            return False
        if chain and (chain[0].key.algorithm not in _PLAIN_KEYS or chain[0].signature.hash in ("sha1", "md5")):
            return False
    return True


def _names_are_dns(host: ServerSpec, client: ClientSpec, certificates: Certificates) -> bool:
    spec = certificates.get(host.certificate or "")
    dns = [name for name in (spec.san or () if spec is not None else ()) if name.startswith("DNS:")]
    return client.server_name is not None and bool(dns)


def never_holds(
    case: Case,
    certificates: Certificates,
    crls: Mapping[str, CrlSpec],
    now: datetime,
    known: ByMeeting[Outlook | None] | None = None,
) -> Outlook | None:
    """What will be seen in place of what a case expects; ``None``: it may hold, or nobody can tell.

    Args:
        case: a plain one; of others nobody can tell.
        certificates, crls: the plan's, by id.
        now: when it runs.
        known: what other cases of the plan were found to come to.
    """
    if not case.plain or case.client is None:
        return None
    wanted = {check.path: check for check in case.expect.checks if check.path in ("outcome", "reason")}
    if any(check.only_for for check in case.expect.checks if check.path in wanted):
        return None
    outcome, reason = wanted.get("outcome"), wanted.get("reason")
    if outcome is None or any(one.kind is not Match.EQUALS for check in wanted.values() for one in check.alternatives):
        return None
    outcomes = {Outcome(str(one.value)) for one in outcome.alternatives}
    reasons = (
        {Reason(str(one.value)) for one in reason.alternatives if one.value is not None}
        if reason is not None
        else set()
    )
    if not outcomes <= _JUDGED or Reason.NOT_AUTHORIZED in reasons:
        return None
    server, client = case.server, case.client
    remembered = known if known is not None else ByMeeting()
    foreseen = remembered.get(server, client, lambda: outlook(server, client, certificates, crls, now))
    if foreseen is None:
        return None
    if foreseen.outcome not in outcomes:
        if outcomes == {Outcome.CLIENT_REFUSED}:
            who = f"`{server.certificate}`" if server.certificate is not None else "the server"
            return replace(foreseen, why=f"the client has nothing against {who}")
        return foreseen
    likely = set(foreseen.reasons).union(*(alike for alike in _ALIKE if alike & foreseen.reasons))
    return foreseen if reasons and likely and not likely & reasons else None


_ENCRYPTED = tuple(protocol for protocol in ClientProtocol if protocol.encrypted)
_ASKING = tuple(protocol for protocol in ClientProtocol if protocol.asks)
_SPEAKING = tuple(protocol for protocol in ClientProtocol if not protocol.asks)
#: Nothing came back over HTTP.
_NO_RESPONSE = frozenset({Outcome.CLIENT_REFUSED, Outcome.NO_AGREEMENT, Outcome.CLIENT_UNUSABLE, Outcome.NO_CONNECTION})
_HTTP = ("status", "headers", "body", "upstream_headers")


def check_cases(context: Context, known: frozenset[str], planned: Iterable[Planned]) -> None:
    """Check all cases of a file."""
    for one in planned:
        _CaseCheck(context, one, known).run()


class _CaseCheck:
    def __init__(self, context: Context, planned: Planned, known: frozenset[str]) -> None:
        self._known = known
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
            self._protocol(case)

    def _say(self, check: Check, message: str, expected: str = "") -> None:
        self._context.problems.add([Diagnostic(message, check.span, expected)])

    def _doubt(self, check: Check, message: str) -> None:
        self._context.problems.add([Diagnostic(message, check.span, severity=Severity.WARNING)])

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
        # several: which one counts is seen when the versions of what runs are
        stated = [check for check in expectation.checks if check.path == "outcome"]
        outcomes = [Outcome(str(value)) for check in stated for value in _values(check)]
        if not outcomes and any(path.startswith("upstream.") for path in checks):
            return
        if not outcomes:
            self._absent(
                self._planned.loc,
                "'outcome' is missing: without it anything could have happened",
                f"one of: {', '.join(CASE_OUTCOMES)}",
            )
            return
        self._end(outcomes, expectation.checks)
        self._reason(outcomes, checks.get("outcome"), [check for check in expectation.checks if check.path == "reason"])
        if _NO_RESPONSE.issuperset(outcomes):
            for check in expectation.checks:
                if check.path.partition(".")[0] in _HTTP and check.alternatives[0].value is not None:
                    self._say(check, f"no response is ever seen where the outcome is {_or(outcomes)}")

    def _end(self, outcomes: Sequence[Outcome], checks: Sequence[Check]) -> None:
        """Report what an accepted exchange can't show, and certificates that neither end could send."""
        for check in checks:
            values = _values(check)
            if outcomes == [Outcome.ACCEPTED] and len(values) == len(check.alternatives):
                if check.path == "curl_exit" and 0 not in values:
                    self._doubt(check, "this can never hold: curl exits with 0 where the outcome is accepted")
                if check.path in ("alert", "alert_from") and None not in values:
                    self._doubt(check, "this can never hold: there is no fatal alert where the outcome is accepted")
            if check.path in ("client_chain", "server_chain"):
                for name in {name for value in values if isinstance(value, tuple) for name in value} - self._known:
                    close = meant(name, self._known)
                    expected = f"one of: {', '.join(sorted(self._known))}"
                    found = Diagnostic(f"there is no authority or leaf '{name}'", check.span, expected, close)
                    self._context.problems.add([found])

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

    def _protocol(self, case: Case) -> None:
        """Report settings of another protocol than the one that the client speaks."""
        client = case.client
        if client is None or (client.protocol is ClientProtocol.HTTPS and self._context.problems.partial):
            return  # another protocol may be among what was left out
        settings = (
            ("certificate", client.certificate is not None, _ENCRYPTED),
            ("resume", case.steps[0].resume is not None, _ENCRYPTED),
            ("location", client.location is not None, _ASKING),
            ("request", client.request != Request(), _ASKING),
            ("send", bool(client.send), _SPEAKING),
            ("until", bool(client.until), _SPEAKING),
        )
        place = (*self._planned.loc[:-1], "client" if len(self._planned.loc) == 1 else "connect")
        if client.request.limit_rate and not client.request.body:
            self._error(
                (*place, "request", "limit_rate"),
                "there is no body that could be sent at that rate",
                "body: a text, or {size: 1000}",
            )
        for key, given, protocols in settings:
            if given and client.protocol not in protocols:
                self._error(
                    (*place, key),
                    f"a client that speaks {client.protocol} has no use for '{key}'",
                    f"protocol: {' or '.join(protocols)}",
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
    known: ByMeeting[Outlook | None] = ByMeeting()
    for case in cases:
        foreseen = never_holds(case, specs, crls, now, known)
        check = next((check for check in case.expect.checks if check.path == "outcome"), None)
        if foreseen is not None and check is not None:
            message = f"this can never hold: {foreseen.why}"
            context.problems.add([Diagnostic(message, check.span, severity=Severity.WARNING)])
