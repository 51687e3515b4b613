"""The PKI of one file as a forest: authorities above what they issued, and what came of each certificate in the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from mtls_runner.model.case import Plan
from mtls_runner.model.certificate import CertificateSpec, moment
from mtls_runner.reporters.html.chains import Break

__all__ = ["Blame", "Node", "forest"]


class Blame(Struct, frozen=True):
    """Cases whose chain broke at one certificate, for one reason."""

    broken: Break
    cases: int


class Node(Struct, frozen=True):
    """One certificate in the tree of a file's PKI.

    Args:
        id: in the scenario.
        role: ``root``, ``intermediate``, ``leaf`` or ``self-signed leaf``.
        trusted_by: ``servers`` that check clients against it, ``clients`` that check servers.
        subject: RFC 4514.
        facts: key, usage, names, each a short text; empty for the user's own files.
        valid_from, valid_until: ``""`` for the user's own files.
        ill: ``expired`` or ``not yet valid`` when they were made, and no case tells of it; or ``""``.
        oddities: what is wrong on purpose.
        revoked: why it is, or ``""``.
        blames: what broke here.
        issued: certificates that it signed.
    """

    id: str
    role: str
    trusted_by: tuple[str, ...]
    subject: str
    facts: tuple[str, ...]
    valid_from: str
    valid_until: str
    ill: str
    oddities: tuple[str, ...]
    revoked: str
    blames: tuple[Blame, ...]
    issued: tuple[Node, ...]

    @property
    def as_expected(self) -> bool:
        """Whatever broke here broke in cases that expect it."""
        return all(blame.broken.expected for blame in self.blames)


def forest(plan: Plan, breaks: Mapping[Break, int], now: datetime) -> tuple[Node, ...]:
    """The trees of a file's certificates, in its order; what is only in a circle of issuers stands at the top.

    Args:
        plan: whose.
        breaks: how many cases broke where.
        now: the moment that they are of; aware.
    """
    issued: dict[str | None, list[CertificateSpec]] = {}
    for spec in plan.certificates.values():
        issuer = spec.issuer if spec.issuer in plan.certificates and spec.issuer != spec.id else None
        issued.setdefault(issuer, []).append(spec)
    blames: dict[str, list[Blame]] = {}
    for broken, cases in breaks.items():
        blames.setdefault(broken.certificate, []).append(Blame(broken, cases))
    trusting = {
        "servers": {name for case in plan.cases for name in case.server.trust},
        "clients": {name for case in plan.cases if case.client is not None for name in case.client.trust},
    }
    planted: set[str] = set()

    def node(spec: CertificateSpec) -> Node:
        planted.add(spec.id)
        below = tuple(node(child) for child in issued.get(spec.id, ()) if child.id not in planted)
        trusted_by = tuple(who for who, trusted in trusting.items() if spec.id in trusted)
        return _node(spec, trusted_by, blames.get(spec.id, ()), below, now)

    trees = [node(spec) for spec in issued.get(None, ())]
    trees += [node(spec) for spec in plan.certificates.values() if spec.id not in planted]
    return tuple(trees)


def _node(
    spec: CertificateSpec,
    trusted_by: tuple[str, ...],
    blames: Sequence[Blame],
    issued: tuple[Node, ...],
    now: datetime,
) -> Node:
    if spec.files is not None:
        return Node(
            spec.id, _role(spec), trusted_by, "", ("your own files",), "", "", "", (), "", tuple(blames), issued
        )
    not_before, not_after = spec.not_before.resolve(now), spec.not_after.resolve(now)
    ill = "expired" if not_after <= now else "not yet valid" if not_before > now else ""
    return Node(
        spec.id,
        _role(spec),
        trusted_by,
        spec.subject,
        tuple(_facts(spec)),
        moment(not_before, now),
        moment(not_after, now),
        ill if not blames else "",
        tuple(_oddities(spec)),
        spec.revoked.reason if spec.revoked is not None else "",
        tuple(blames),
        issued,
    )


def _role(spec: CertificateSpec) -> str:
    if spec.issuer is None:
        return "root" if spec.authority else "self-signed leaf"
    return "intermediate" if spec.authority else "leaf"


def _oddities(spec: CertificateSpec) -> Iterator[str]:
    yield from map(str, spec.defects)
    if spec.signature.hash in ("sha1", "md5"):
        yield f"signed with {spec.signature.hash}"


def _facts(spec: CertificateSpec) -> list[str]:
    facts = [f"{spec.key.algorithm}{', encrypted' if spec.passphrase is not None else ''}"]
    if spec.key.same_as is not None:
        facts.append(f"the key of {spec.key.same_as}")
    if spec.basic_constraints is not None and spec.basic_constraints.path_length is not None:
        facts.append(f"path length {spec.basic_constraints.path_length}")
    if spec.san:
        facts.append(", ".join(spec.san))
    if spec.extended_key_usage is not None:
        facts.append(", ".join(spec.extended_key_usage))
    if spec.name_constraints is not None:
        limits = spec.name_constraints
        facts += [f"only {', '.join(limits.permitted)}"] if limits.permitted else []
        facts += [f"never {', '.join(limits.excluded)}"] if limits.excluded else []
    facts += [f"extension {each.oid}{' (critical)' if each.critical else ''}" for each in spec.extensions]
    return facts
