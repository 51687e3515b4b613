"""Which of its CRLs a verifier looks a certificate up in: OpenSSL's ``get_crl_score`` (``crypto/x509/x509_vfy.c``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mtls_runner.model.certificate import CertificateSpec, Defect
from mtls_runner.model.chain import Certificates, is_meant
from mtls_runner.model.revocation import CrlScope, CrlSpec

__all__ = ["bearing_the_name", "chosen", "is_about", "is_understood", "passed_over"]


def bearing_the_name(crls: Sequence[CrlSpec], issuer: str, certificates: Certificates) -> list[CrlSpec]:
    """The lists under the name of an authority, by its id: its own, and those of authorities that are called alike."""
    known = certificates.get(issuer)

    def alike(other: str) -> bool:
        found = certificates.get(other)
        if known is None or found is None or known.files is not None or found.files is not None:
            return other == issuer
        return found.subject == known.subject

    return [crl for crl in crls if alike(crl.issuer)]


def passed_over(crl: CrlSpec, issuer: str, certificates: Certificates) -> str:
    """Why a list is not even taken for that authority's, with its verb; ``""``: it is."""
    if Defect.WRONG_ISSUER_NAME in crl.defects:
        return "bears another issuer's name"
    if crl.delta_of is not None:  # counts where deltas are asked for only (X509_V_FLAG_USE_DELTAS), beside a whole one
        return "is a delta CRL, which is no list by itself"
    known = certificates.get(issuer)
    if known is not None and not is_meant(known, crl.authority_key_identifier, crl.issuer, certificates):
        return "names another than its issuer (authorityKeyIdentifier)"
    return ""


def is_about(crl: CrlSpec, one: CertificateSpec) -> bool:
    """Whether such certificates are in its scope (RFC 5280 §6.3.3 (b) (2))."""
    authority = one.basic_constraints is not None and one.basic_constraints.ca
    return crl.only_contains in (None, CrlScope.CA if authority else CrlScope.USER)


def is_understood(crl: CrlSpec) -> bool:
    """Whether it has no critical extension that is given by OID."""
    return not any(extension.critical for extension in crl.extensions)


def chosen(
    crls: Sequence[CrlSpec], one: CertificateSpec, issuer: str, certificates: Certificates, now: datetime
) -> tuple[CrlSpec, ...]:
    """Those of the lists under its issuer's name that count for a certificate: what is understood comes first, then what is about
    such certificates, then what is valid now. None of equal ones comes before another.
    """
    found = [crl for crl in crls if not passed_over(crl, issuer, certificates)]
    found = [crl for crl in found if is_understood(crl)] or found
    found = [crl for crl in found if is_about(crl, one)] or found
    current = [crl for crl in found if crl.this_update.resolve(now) <= now < crl.next_update.resolve(now)]
    return tuple(current or found[:1])
