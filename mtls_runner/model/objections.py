"""What speaks against letting a client in, by descriptions alone: for those who look at who got in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec.structs import replace

from mtls_runner.model.case import Plan
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.chain import Certificates, PresentedChain, lineage, presented, server_verifies
from mtls_runner.model.chain_faults import Fault, faults
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, MappedPart, ServerSpec
from mtls_runner.model.observation import Reason
from mtls_runner.model.revocation import CrlSpec, RevocationReason

__all__ = ["NO_CERTIFICATE", "asks_nobody", "objections", "reasons_against"]

NO_CERTIFICATE = "it has no certificate"
_TRUST = (Reason.UNKNOWN_CA, Reason.SELF_SIGNED)


def asks_nobody(server: ServerSpec, client: ClientSpec) -> bool:
    """Whether the description says that nobody is asked for a certificate where the client goes: under the name that
    it connects to, under the one that it asks for (``Host``), and at the path.

    Args:
        server: all of it. What one with a configuration of its own demands, or one that runs already, is not in its description.
        client: who connects; who speaks no TLS is asked by nobody.
    """
    if not client.protocol.encrypted:
        return True
    if server.option("config") or server.backend.runs_already:
        return False
    asked = client.request.host
    names = [client.server_name, *([asked.partition(":")[0]] if asked is not None else [])]
    return all(_demanded(server.host(name), client) is ClientAuth.NONE for name in names)


def _demanded(host: ServerSpec, client: ClientSpec) -> ClientAuth:
    response = host.response_to(client.request.path)
    return (response.client_auth if response is not None else None) or host.client_auth


def objections(server: ServerSpec, client: ClientSpec, plan: Plan, now: datetime) -> tuple[str, ...]:
    """What a server that looks would mind; empty: nothing, as far as the descriptions tell.

    Args:
        server: of the host that the client asks for. With a configuration of its own, it trusts those authorities that it was
            given the certificates of; where it was given none, whom it trusts is not minded.
        client: who connects.
        plan: for certificates and CRLs.
        now: aware.
    """
    shown = presented(client, plan.certificates)
    if shown is None:
        return (NO_CERTIFICATE,)
    found, revoked = _against(shown, server, plan.certificates, plan.crls, now)
    minded = [f"`{fault.certificate}` {fault.told}" if fault.depth else f"it {fault.told}" for fault in found]
    minded += ["it is revoked" if id_ == shown.ids[0] else f"its issuer `{id_}` is revoked" for id_ in revoked]
    return tuple(dict.fromkeys(minded))


def reasons_against(
    server: ServerSpec, client: ClientSpec, certificates: Certificates, crls: Mapping[str, CrlSpec], now: datetime
) -> frozenset[Reason]:
    """By which a server that looks could refuse a client's certificate; not by whom it trusts.

    Args:
        server, client: as for :func:`objections`.
        certificates, crls: by id.
        now: aware.
    """
    shown = presented(client, certificates)
    if shown is None:
        return frozenset()
    found, revoked = _against(shown, server, certificates, crls, now)
    return frozenset((*(fault.reason for fault in found), *([Reason.REVOKED] if revoked else []))) - {*_TRUST}


def _against(
    shown: PresentedChain,
    server: ServerSpec,
    certificates: Certificates,
    crls: Mapping[str, CrlSpec],
    now: datetime,
) -> tuple[list[Fault], list[str]]:
    """The faults of a chain, and which of its certificates are revoked without one of them saying so."""
    given = dict.fromkeys((file.certificate, file.part) for file in server.files if file.own is None)
    trust = server.trust or tuple(
        id_
        for id_, part in given
        if part in (MappedPart.CERTIFICATE, MappedPart.CHAIN) and _is_authority(certificates, id_)
    )
    lists = tuple(crls[id_] for id_, part in given if part is MappedPart.CRL and id_ in crls)
    verifier = server_verifies(server, crls)
    verifier = replace(verifier, trust=trust, crls=(*verifier.crls, *lists))
    found = [fault for fault in faults(shown.ids, verifier, certificates, now) if trust or fault.reason not in _TRUST]
    if any(fault.reason is Reason.REVOKED for fault in found):
        return found, []
    listed = {id_ for crl in verifier.crls for id_ in crl.revoked}
    return found, [one.id for one in lineage(certificates, shown.ids[0]) if _is_revoked(one, listed)]


def _is_revoked(one: CertificateSpec, listed: Collection[str]) -> bool:
    """For good, or on a list that the server has; not if it was only on hold, and no longer is (RFC 5280 §5.3.1)."""
    if one.revoked is None:
        return one.id in listed
    return one.revoked.reason is not RevocationReason.REMOVE_FROM_CRL


def _is_authority(certificates: Certificates, id_: str) -> bool:
    known = certificates.get(id_)
    return known is not None and known.authority
