"""Whether an end would send more of its chain than its description says.

OpenSSL completes a chain for which it was given no intermediates, from the certificates that the same context trusts
(``ssl_add_cert_chain`` in ``ssl/statem/statem_lib.c``), unless that is switched off, as nginx does. The traits of each end say
which it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.chain import presented
from mtls_runner.model.client import ClientSpec
from mtls_runner.model.endpoint import ChainKind, ChainSpec
from mtls_runner.model.server import ServerSpec

__all__ = ["completed"]


def completed(server: ServerSpec, client: ClientSpec | None, certificates: Mapping[str, CertificateSpec]) -> str | None:
    """Why an end that is to send a bare leaf can't, for people; ``None``: it can, or is not to.

    Args:
        server, client: the two that meet.
        certificates: the plan's, by id.
    """
    for who, end in (("server", server), ("client", client)):
        if end is None or end.certificate is None or not _alone(end.chain):
            continue
        shown = presented(end, certificates)
        if shown is not None and shown.completed_from is not None:
            return (
                f"OpenSSL would send more than the {who}'s leaf: the {who} trusts its issuer, {shown.completed_from!r}"
            )
    return None


def _alone(chain: ChainSpec) -> bool:
    return chain.kind is ChainKind.LEAF or (chain.kind is ChainKind.IDS and not chain.ids)
