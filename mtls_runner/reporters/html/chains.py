"""The chain that one end showed the other, from its leaf up to the trust store, and the link that broke."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from mtls_runner.model.case import Case, Plan
from mtls_runner.model.certificate import CertificateSpec, Defect, KeyAlgorithm
from mtls_runner.model.observation import Observation, Outcome, Reason
from mtls_runner.reporters.html.moments import moment
from mtls_runner.tls.hints import MEANINGS

__all__ = ["Break", "Chain", "chains", "lineage"]


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain broke.

    Args:
        certificate: id of the certificate that is to blame, or that leads nowhere.
        link: it is not the certificate itself but the link to what stands above it (its issuer, or the trust store).
        why: in words.
    """

    certificate: str
    link: bool
    why: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What one end presented.

    Args:
        holder: ``client`` or ``server``.
        verifier: the other end.
        path: ids from the leaf up to the root.
        trust: ids that the verifier trusts.
        broken: where it broke, as far as the verdict says so.
        judged: the verifier looked at it and refused nothing.
        sent: ids that really went over the wire; ``None``: not observed.
        missed: why an empty path was refused, or ``""``.
    """

    holder: str
    verifier: str
    path: tuple[str, ...]
    trust: tuple[str, ...]
    broken: Break | None
    judged: bool
    sent: tuple[str, ...] | None
    missed: str = ""


_Find = Callable[[Sequence[CertificateSpec], "_Facts"], Break | None]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What else a cause may depend on."""

    trust: tuple[str, ...]
    verifier: str
    sent: tuple[str, ...] | None
    now: datetime
    reason: Reason


def lineage(certificates: Mapping[str, CertificateSpec], leaf: str) -> tuple[CertificateSpec, ...]:
    """The certificate and its issuers, nearest first; it ends at a root, or before it would go in a circle."""
    path: dict[str, CertificateSpec] = {}
    current: str | None = leaf
    while current is not None and current in certificates and current not in path:
        path[current] = certificates[current]
        current = certificates[current].issuer
    return tuple(path.values())


def chains(plan: Plan, case: Case, seen: Observation | None, now: datetime) -> tuple[Chain, ...]:
    """The client's chain, empty when it presents none, and the server's, where the lab knows it.

    Args:
        plan: the case's.
        case: which.
        seen: ``None``: nothing was run.
        now: when the run began; aware.
    """
    found = []
    client, server = case.client, case.server
    if client is not None and client.certificate is None:
        found.append(_none(server.trust, seen))
    elif client is not None:
        found.append(_chain(plan, "client", client.certificate or "", server.trust, seen, now))
    if server.certificate is not None:
        found.append(_chain(plan, "server", server.certificate, client.trust if client is not None else (), seen, now))
    return tuple(chain for chain in found if chain.path or chain.holder == "client")


def _none(trust: tuple[str, ...], seen: Observation | None) -> Chain:
    refused = seen is not None and seen.outcome is Outcome.SERVER_REFUSED and seen.reason is Reason.NO_CERTIFICATE
    missed = "the server demands one" if refused else ""
    return Chain("client", "server", (), trust, None, judged=False, sent=None, missed=missed)


_REFUSALS = {
    Outcome.SERVER_REFUSED: "client",
    Outcome.CLIENT_REFUSED: "server",
    Outcome.CLIENT_UNUSABLE: "client",
    Outcome.SERVER_UNUSABLE: "server",
}


def _chain(
    plan: Plan, holder: str, leaf: str, trust: tuple[str, ...], seen: Observation | None, now: datetime
) -> Chain:
    verifier = "server" if holder == "client" else "client"
    path = lineage(plan.certificates, leaf)
    broken = None
    judged = False
    sent = None
    if seen is not None and seen.outcome is not None:
        sent = seen.client_chain if holder == "client" else seen.server_chain
        if _REFUSALS.get(seen.outcome) == holder and seen.reason is not None and path:
            find = _CAUSES.get(seen.reason)
            unusable = seen.outcome in (Outcome.CLIENT_UNUSABLE, Outcome.SERVER_UNUSABLE)
            if find is not None and (not unusable or seen.reason in _UNUSABLE):
                broken = find(path, _Facts(trust, verifier, sent, now, seen.reason))
        code = seen.server_verify_code if holder == "client" else seen.ssl_verify_result
        judged = broken is None and code == 0 and _REFUSALS.get(seen.outcome) != holder and bool(sent)
    return Chain(holder, verifier, tuple(each.id for each in path), trust, broken, judged, sent)


# --- one function for each class of reasons ----------------------------------------------------------------------------


def _leaf(path: Sequence[CertificateSpec], facts: _Facts) -> Break:
    return Break(path[0].id, link=False, why=MEANINGS[facts.reason])


def _expired(path: Sequence[CertificateSpec], facts: _Facts) -> Break | None:
    for each in path:
        if each.files is None and each.not_after.resolve(facts.now) <= facts.now:
            return Break(each.id, link=False, why=f"expired {moment(each.not_after.resolve(facts.now), facts.now)}")
    return None


def _not_yet_valid(path: Sequence[CertificateSpec], facts: _Facts) -> Break | None:
    for each in path:
        if each.files is None and each.not_before.resolve(facts.now) > facts.now:
            valid_from = moment(each.not_before.resolve(facts.now), facts.now)
            return Break(each.id, link=False, why=f"not valid before {valid_from}")
    return None


def _untrusted(path: Sequence[CertificateSpec], facts: _Facts) -> Break:
    """The topmost certificate that the verifier got hold of, and that nothing it trusts stands above."""
    trusted = next((number for number, each in enumerate(path) if each.id in facts.trust), None)
    if trusted is None:
        top = path[-1]
        return Break(top.id, link=True, why=f"{top.id} is not among what the {facts.verifier} trusts")
    for below, issuer in pairwise(path[: trusted + 1]):
        if facts.sent is not None and issuer.id not in facts.sent and issuer.id not in facts.trust:
            return Break(below.id, link=True, why=f"{issuer.id} was not sent")
        if Defect.WRONG_ISSUER_NAME in below.defects:
            return Break(below.id, link=True, why="it names another issuer")
    return Break(path[0].id, link=True, why=f"the {facts.verifier} found no way to what it trusts")


def _signature(path: Sequence[CertificateSpec], facts: _Facts) -> Break:
    for each in path:
        if {Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE} & set(each.defects):
            return Break(each.id, link=True, why="its signature does not verify")
    top = path[-1]
    if top.id not in facts.trust and len(path) > 1:
        return Break(path[-2].id, link=True, why=f"the {facts.verifier} trusts another key under the name of {top.id}")
    return Break(path[0].id, link=True, why="its signature does not verify")


def _purpose(path: Sequence[CertificateSpec], facts: _Facts) -> Break:
    wanted = "clientAuth" if facts.verifier == "server" else "serverAuth"
    for each in path:
        usage = each.extended_key_usage
        if usage is not None and wanted not in usage:
            return Break(each.id, link=False, why=f"its usage is {', '.join(usage) or 'nothing'}, not {wanted}")
    return Break(path[0].id, link=False, why=f"it is not for {wanted}")


def _may_not_issue(path: Sequence[CertificateSpec], _facts: _Facts) -> Break | None:
    for each in path[1:]:
        constraints = each.basic_constraints
        no_authority = constraints is None or not constraints.ca or Defect.NO_BASIC_CONSTRAINTS in each.defects
        if no_authority or (each.key_usage is not None and "keyCertSign" not in each.key_usage):
            return Break(each.id, link=False, why="it may not issue certificates")
    return None


def _too_long(path: Sequence[CertificateSpec], _facts: _Facts) -> Break | None:
    for between, each in enumerate(path[1:]):
        limit = each.basic_constraints.path_length if each.basic_constraints is not None else None
        if limit is not None and between > limit:
            return Break(each.id, link=False, why=f"it allows {limit} authorities below it, there are {between}")
    return None


def _names(path: Sequence[CertificateSpec], _facts: _Facts) -> Break | None:
    for below, each in pairwise(path):
        if each.name_constraints is not None:
            return Break(below.id, link=True, why=f"{each.id} may not certify its names")
    return None


def _unknown_extension(path: Sequence[CertificateSpec], _facts: _Facts) -> Break | None:
    for each in path:
        for extension in each.extensions:
            if extension.critical:
                return Break(each.id, link=False, why=f"critical extension {extension.oid}")
    return None


def _weak_key(path: Sequence[CertificateSpec], _facts: _Facts) -> Break | None:
    for each in path:
        if each.key.algorithm is KeyAlgorithm.RSA_1024:
            return Break(each.id, link=False, why=f"its key is {each.key.algorithm}")
    return None


def _weak_digest(path: Sequence[CertificateSpec], _facts: _Facts) -> Break | None:
    for each in path:
        if each.signature.hash in ("sha1", "md5"):
            return Break(each.id, link=True, why=f"signed with {each.signature.hash}")
    return None


def _revoked(path: Sequence[CertificateSpec], _facts: _Facts) -> Break:
    for each in path:
        if each.revoked is not None:
            return Break(each.id, link=False, why=f"revoked: {each.revoked.reason}")
    return Break(path[0].id, link=False, why="revoked")


def _unknown_status(path: Sequence[CertificateSpec], facts: _Facts) -> Break:
    """The codes don't say whose CRL is missing: the leaf's is asked for first."""
    return Break(path[0].id, link=True, why=f"not known whether it is revoked: {facts.reason}")


_CAUSES: Mapping[Reason, _Find] = {
    Reason.UNKNOWN_CA: _untrusted,
    Reason.SELF_SIGNED: _untrusted,
    Reason.EXPIRED: _expired,
    Reason.NOT_YET_VALID: _not_yet_valid,
    Reason.WRONG_PURPOSE: _purpose,
    Reason.BAD_SIGNATURE: _signature,
    Reason.INVALID_CA: _may_not_issue,
    Reason.PATH_LENGTH: _too_long,
    Reason.NAME_CONSTRAINTS: _names,
    Reason.UNHANDLED_EXTENSION: _unknown_extension,
    Reason.WEAK_KEY: _weak_key,
    Reason.WEAK_DIGEST: _weak_digest,
    Reason.NAME_MISMATCH: _leaf,
    Reason.REVOKED: _revoked,
    Reason.NO_CRL: _unknown_status,
    Reason.CRL_EXPIRED: _unknown_status,
    Reason.CRL_NOT_YET_VALID: _unknown_status,
    Reason.CRL_INVALID: _unknown_status,
    Reason.MALFORMED: _leaf,
    Reason.NOT_COMPLIANT: _leaf,
    Reason.NOT_AUTHORIZED: _leaf,
    Reason.CERTIFICATE_WITHHELD: _leaf,
    Reason.KEY_MISMATCH: _leaf,
    Reason.WRONG_PASSPHRASE: _leaf,
    Reason.PASSPHRASE_NEEDED: _leaf,
}
_UNUSABLE = frozenset(
    {Reason.KEY_MISMATCH, Reason.WRONG_PASSPHRASE, Reason.PASSPHRASE_NEEDED, Reason.WEAK_KEY, Reason.WEAK_DIGEST}
)
"""What makes an end unusable through its own certificate or key; other reasons may concern any of its files."""
