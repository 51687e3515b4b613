"""What will come of a meeting as material and settings have it, where that is certain; and expectations that can never hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mtls_runner.model.case import Case
from mtls_runner.model.certificate import CertificateSpec, Defect, KeyAlgorithm
from mtls_runner.model.chain import lineage, presented
from mtls_runner.model.chain_faults import Fault, faults
from mtls_runner.model.client import ClientSpec
from mtls_runner.model.expectation import Match
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.revocation import CrlSpec, RevocationCheck
from mtls_runner.model.server import ClientAuth, ServerSpec
from mtls_runner.model.verifier import client_verifies, server_verifies
from mtls_runner.tls.agreement import usable_versions

__all__ = ["Outlook", "never_holds", "outlook"]

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

Certificates = Mapping[str, CertificateSpec]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What will be seen.

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
    """Of certificates alone: ``None`` where more than that may decide, or where the descriptions don't show it all."""
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
) -> Outlook:
    nothing: frozenset[Reason] = frozenset()
    if host.client_auth in (ClientAuth.NONE, ClientAuth.OPTIONAL_NO_CA):
        return Outlook(Outcome.ACCEPTED, nothing, f"the server verifies nobody (client_auth: {host.client_auth})")
    told = presented(client, certificates)
    if told is None:
        if host.client_auth is ClientAuth.OPTIONAL:
            return Outlook(Outcome.ACCEPTED, nothing, "the server can do without a certificate (client_auth: optional)")
        why = "the server demands a certificate (client_auth: required), and the client has none"
        return Outlook(Outcome.SERVER_REFUSED, frozenset((Reason.NO_CERTIFICATE,)), why)
    found = faults(told.ids, server_verifies(host, crls), certificates, now)
    if found:
        return _refusal(Outcome.SERVER_REFUSED, "server", found)
    return Outlook(Outcome.ACCEPTED, nothing, f"the server has nothing against `{client.certificate}`")


def _refusal(outcome: Outcome, who: str, found: tuple[Fault, ...]) -> Outlook:
    return Outlook(outcome, frozenset(one.reason for one in found), f"the {who} refuses: {found[0]}")


def _is_plain(server: ServerSpec, client: ClientSpec) -> bool:
    """Nothing but certificates decides."""
    others = (
        server.option("config"),
        server.backend.runs_already,
        server.hosts,
        server.reject_handshake,
        server.other_certificates,
        server.refusal,
        server.ocsp is not RevocationCheck.NONE,
        server.stapling,
        client.cert_status,
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


def never_holds(case: Case, certificates: Certificates, crls: Mapping[str, CrlSpec], now: datetime) -> Outlook | None:
    """What will be seen in place of what a case expects; ``None``: it may hold, or nobody can tell."""
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
    foreseen = outlook(case.server, case.client, certificates, crls, now)
    if foreseen is None:
        return None
    if foreseen.outcome not in outcomes:
        return foreseen
    likely = set(foreseen.reasons).union(*(alike for alike in _ALIKE if alike & foreseen.reasons))
    return foreseen if reasons and likely and not likely & reasons else None
