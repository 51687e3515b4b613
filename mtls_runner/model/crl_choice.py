"""Which of its CRLs a verifier looks a certificate up in: OpenSSL's ``get_crl_score`` (``crypto/x509/x509_vfy.c``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mtls_runner.model.certificate import CertificateSpec, Defect
from mtls_runner.model.chain import Certificates, is_meant
from mtls_runner.model.revocation import CrlScope, CrlSpec

__all__ = ["chosen", "is_about", "is_understood", "passed_over"]


def passed_over(crl: CrlSpec, certificates: Certificates) -> str:
    """Why a list is not even taken for its issuer's, with its verb; ``""``: it is."""
    if Defect.WRONG_ISSUER_NAME in crl.defects:
        return "bears another issuer's name"
    if crl.delta_of is not None:  # counts where deltas are asked for only (X509_V_FLAG_USE_DELTAS), beside a whole one
        return "is a delta CRL, which is no list by itself"
    issuer = certificates.get(crl.issuer)
    if issuer is not None and not is_meant(issuer, crl.authority_key_identifier, issuer.id, certificates):
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
    crls: Sequence[CrlSpec], one: CertificateSpec, certificates: Certificates, now: datetime
) -> tuple[CrlSpec, ...]:
    """Those of its issuer's lists that count for a certificate: what is understood comes first, then what is about such
    certificates, then what is valid now. None of equal ones comes before another.
    """
    found = [crl for crl in crls if not passed_over(crl, certificates)]
    found = [crl for crl in found if is_understood(crl)] or found
    found = [crl for crl in found if is_about(crl, one)] or found
    current = [crl for crl in found if crl.this_update.resolve(now) <= now < crl.next_update.resolve(now)]
    return tuple(current or found[:1])
