"""Whether an end would send more of its chain than its description says.

OpenSSL completes a chain for which it was given no intermediates, from the certificates that the same context trusts
(``ssl_add_cert_chain`` in ``ssl/statem/statem_lib.c``), unless that is switched off, as nginx does. The traits of each end say
which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtls_runner.model.certificate import CertificateSpec, Defect
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
    if server.backend.completes_chains and server.certificate is not None and _alone(server.chain):
        issuer = _trusted_issuer(server.certificate, server.trust, certificates)
        if issuer is not None:
            return f"OpenSSL would send more than the server's leaf: the server trusts its issuer, {issuer!r}"
    if client is None or client.certificate is None or not _alone(client.chain):
        return None
    if not client.tool.completes_chains:
        return None
    if client.insecure:
        return None  # no trusted certificates are loaded then
    issuer = _trusted_issuer(client.certificate, client.trust, certificates)
    if issuer is not None:
        return f"OpenSSL would send more than the client's leaf: the client trusts its issuer, {issuer!r}"
    return None


def _alone(chain: ChainSpec) -> bool:
    return chain.kind is ChainKind.LEAF or (chain.kind is ChainKind.IDS and not chain.ids)


def _trusted_issuer(certificate: str, trust: Sequence[str], certificates: Mapping[str, CertificateSpec]) -> str | None:
    """The first trusted certificate that OpenSSL takes for the issuer (``X509_check_issued``): by name, and by key
    identifier where both have one; signatures are not looked at.
    """
    spec = certificates.get(certificate)
    issuer = certificates.get(spec.issuer) if spec is not None and spec.issuer is not None else None
    if spec is None or issuer is None or Defect.WRONG_ISSUER_NAME in spec.defects:
        return None
    for id_ in trust:
        candidate = certificates.get(id_)
        if candidate is None or candidate.id == spec.id or candidate.subject != issuer.subject:
            continue
        if not (_names_key(spec) and _has_identifier(candidate)) or _key(id_, certificates) == _key(
            issuer.id, certificates
        ):
            return id_
    return None


def _key(certificate: str, certificates: Mapping[str, CertificateSpec]) -> str:
    """Id of the certificate whose key it has: its own, or one that it shares."""
    seen = certificate
    while (spec := certificates.get(seen)) is not None and spec.key.same_as not in (None, certificate, seen):
        seen = str(spec.key.same_as)
    return seen


def _names_key(spec: CertificateSpec) -> bool:
    return spec.authority_key_identifier and _extended(spec)


def _has_identifier(spec: CertificateSpec) -> bool:
    return spec.subject_key_identifier and _extended(spec)


def _extended(spec: CertificateSpec) -> bool:
    return Defect.NO_KEY_IDENTIFIERS not in spec.defects and Defect.VERSION_1 not in spec.defects
