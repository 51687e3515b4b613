"""How one end verifies the other's chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mtls_runner.model.client import ClientSpec
from mtls_runner.model.endpoint import VerifyFlag
from mtls_runner.model.revocation import CrlSpec, RevocationCheck
from mtls_runner.model.server import ServerSpec

__all__ = ["Verifier", "client_verifies", "server_verifies"]


@dataclass(frozen=True, slots=True)
class Verifier:
    """How one end verifies the other's chain.

    Args:
        who: ``server`` or ``client``.
        trust: ids that it trusts.
        purpose: the extended key usage that it demands: ``clientAuth`` or ``serverAuth``.
        depth: intermediates that it allows; ``None``: not known.
        level: its security level.
        partial_chain, strict: whether any trusted certificate is an anchor; whether it holds chains to all of RFC 5280.
        crls: those that it has loaded, with the certificates on them.
        crl_check: whom it looks up in them.
        name: that it asked for; ``None``: it checks none.
    """

    who: str
    trust: tuple[str, ...]
    purpose: str
    depth: int | None
    level: int
    partial_chain: bool = False
    strict: bool = False
    crls: tuple[CrlSpec, ...] = ()
    crl_check: RevocationCheck = RevocationCheck.NONE
    name: str | None = None


def server_verifies(server: ServerSpec, crls: Mapping[str, CrlSpec]) -> Verifier:
    """How a server, or one of its virtual hosts, verifies clients."""
    own = server.backend.verify_depth if server.verify_depth is None else server.verify_depth
    return Verifier(
        who="server",
        trust=server.trust,
        purpose="clientAuth",
        depth=None if server.option("config") else own,
        level=server.security_level,
        partial_chain=VerifyFlag.PARTIAL_CHAIN in server.verify_flags,
        strict=VerifyFlag.STRICT in server.verify_flags,
        crls=tuple(crls[id_] for id_ in server.crl if id_ in crls),
        crl_check=server.crl_check,
    )


def client_verifies(client: ClientSpec, crls: Mapping[str, CrlSpec]) -> Verifier:
    """How a client verifies its server."""
    return Verifier(
        who="client",
        trust=client.trust,
        purpose="serverAuth",
        depth=None,
        level=client.security_level,
        partial_chain=client.tool.partial_chain or VerifyFlag.PARTIAL_CHAIN in client.verify_flags,
        strict=VerifyFlag.STRICT in client.verify_flags,
        crls=tuple(crls[id_] for id_ in client.crl if id_ in crls),
        crl_check=client.crl_check,
        name=client.server_name,
    )
