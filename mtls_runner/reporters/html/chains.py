"""The chain that one end showed the other, from its leaf up to the trust store, and the link that broke."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from mtls_runner.model import MEANINGS
from mtls_runner.model.blame import blame
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.chain import Verifier, client_verifies, lineage, server_verifies
from mtls_runner.model.observation import Observation, Outcome, Reason

__all__ = ["Break", "Chain", "chains"]


class Break(Struct, frozen=True):
    """Where a chain broke.

    Args:
        certificate: id of the certificate that is to blame, or that leads nowhere.
        link: it is not the certificate itself but the link to what stands above it (its issuer, or the trust store).
        why: in words.
        expected: the case passed, and so is as it should be.
    """

    certificate: str
    link: bool
    why: str
    expected: bool = False


class Chain(Struct, frozen=True):
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


def chains(plan: Plan, case: Case, seen: Observation | None, now: datetime) -> tuple[Chain, ...]:
    """The client's chain, empty when it presents none, and the server's, where the lab knows it.

    Args:
        plan: the case's.
        case: which.
        seen: ``None``: nothing was run.
        now: the moment that its certificates are of; aware.
    """
    found = []
    client, server = case.client, case.server
    if client is not None and client.certificate is None:
        found.append(_none(server.trust, seen))
    elif client is not None:
        found.append(_chain(plan, case, "client", client.certificate or "", seen, now))
    if server.certificate is not None:
        found.append(_chain(plan, case, "server", server.certificate, seen, now))
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


def _chain(plan: Plan, case: Case, holder: str, leaf: str, seen: Observation | None, now: datetime) -> Chain:
    verifier = _verifier(plan, case, holder)
    path = lineage(plan.certificates, leaf)
    broken = None
    judged = False
    sent = None
    if seen is not None and seen.outcome is not None:
        sent = seen.client_chain if holder == "client" else seen.server_chain
        if _REFUSALS.get(seen.outcome) == holder and seen.reason is not None and path:
            unusable = seen.outcome in (Outcome.CLIENT_UNUSABLE, Outcome.SERVER_UNUSABLE)
            if not unusable or seen.reason in _UNUSABLE:
                broken = _broken(plan, leaf, verifier, sent, seen.reason, now)
        code = seen.server_verify_code if holder == "client" else seen.ssl_verify_result
        judged = broken is None and code == 0 and _REFUSALS.get(seen.outcome) != holder and bool(sent)
    return Chain(holder, verifier.who, tuple(each.id for each in path), verifier.trust, broken, judged, sent)


def _verifier(plan: Plan, case: Case, holder: str) -> Verifier:
    if holder == "client" or case.client is None:
        return server_verifies(case.server, plan.crls)
    return client_verifies(case.client, plan.crls)


def _broken(
    plan: Plan, leaf: str, verifier: Verifier, sent: tuple[str, ...] | None, reason: Reason, now: datetime
) -> Break | None:
    """Where, by what the certificates are; else at the leaf, for what can only be there."""
    shown = (
        sent if sent and sent[0] == leaf else tuple(one.id for one in lineage(plan.certificates, leaf)[:-1]) or (leaf,)
    )
    fault = blame(reason, shown, verifier, plan.certificates, now)
    if fault is not None:
        return Break(fault.certificate, fault.link, fault.why)
    if reason in _UNTOLD_LINKS:
        why = _UNTOLD_LINKS[reason].format(who=verifier.who, reason=reason)
        return Break(leaf, link=True, why=why)
    return Break(leaf, link=False, why=MEANINGS[reason]) if reason in _OF_LEAVES else None


_UNTOLD_LINKS: Mapping[Reason, str] = {
    Reason.UNKNOWN_CA: "the {who} found no way to what it trusts",
    Reason.SELF_SIGNED: "the {who} found no way to what it trusts",
    Reason.BAD_SIGNATURE: "its signature does not verify",
    **dict.fromkeys(
        (Reason.NO_CRL, Reason.CRL_EXPIRED, Reason.CRL_NOT_YET_VALID, Reason.CRL_INVALID),
        "not known whether it is revoked: {reason}",
    ),
}
_OF_LEAVES = frozenset(
    {
        Reason.NAME_MISMATCH,
        Reason.WRONG_PURPOSE,
        Reason.REVOKED,
        Reason.MALFORMED,
        Reason.NOT_COMPLIANT,
        Reason.NOT_AUTHORIZED,
        Reason.CERTIFICATE_WITHHELD,
        Reason.KEY_MISMATCH,
        Reason.WRONG_PASSPHRASE,
        Reason.PASSPHRASE_NEEDED,
    }
)
_UNUSABLE = frozenset(
    {Reason.KEY_MISMATCH, Reason.WRONG_PASSPHRASE, Reason.PASSPHRASE_NEEDED, Reason.WEAK_KEY, Reason.WEAK_DIGEST}
)
"""What makes an end unusable through its own certificate or key; other reasons may concern any of its files."""
