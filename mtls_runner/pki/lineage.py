"""Who issued whom, as chain files and trust need it."""

from __future__ import annotations

from collections.abc import Mapping

from mtls_runner.model.certificate import CertificateSpec

__all__ = ["Lineage"]


class Lineage:
    """The issuers of a plan's certificates.

    Args:
        certificates: the plan's, by id; a description says its issuer, or that there is none and it is a root.
        found: for the user's own ones, whose descriptions say little: the issuer that they were found to have.
        roots: which of the user's own are roots.
    """

    def __init__(
        self,
        certificates: Mapping[str, CertificateSpec],
        found: Mapping[str, str | None],
        roots: frozenset[str],
    ) -> None:
        self._issuers = {certificate: found.get(certificate, spec.issuer) for certificate, spec in certificates.items()}
        self._roots = roots.union(
            certificate
            for certificate, spec in certificates.items()
            if spec.issuer is None and certificate not in found
        )

    def ancestors(self, certificate: str) -> tuple[str, ...]:
        """Ids of the issuers, nearest first, as far as they are known; each once, where they go in a circle."""
        ancestors: list[str] = []
        issuer = self._issuers.get(certificate)
        while issuer in self._issuers and issuer not in (certificate, *ancestors):
            ancestors.append(issuer)
            issuer = self._issuers[issuer]
        return tuple(ancestors)

    def intermediates(self, certificate: str) -> tuple[str, ...]:
        """The ancestors that are no roots: what is sent (RFC 8446 §4.4.2 lets the trust anchor be left out)."""
        return tuple(issuer for issuer in self.ancestors(certificate) if issuer not in self._roots)
