"""Descriptions → certificate revocation lists (RFC 5280 §5), also those that no sane authority would publish."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.model.certificate import Defect, SignatureSpec
from mtls_runner.model.revocation import CrlScope, CrlSpec, Revocation, RevocationReason
from mtls_runner.pki.extensions import distinguished_name
from mtls_runner.pki.forge import Issuer, is_proper_serial, making
from mtls_runner.pki.keys import scheme, stranger
from mtls_runner.pki.pem import blocks, pem_block

__all__ = ["REASONS", "RevokedEntry", "crl_pem", "dates_of_own", "make_crl"]

_STRANGER = "CN=Nobody in this lab"

REASONS: Mapping[RevocationReason, x509.ReasonFlags] = {
    reason: x509.ReasonFlags(reason.value) for reason in RevocationReason
}
"""As the x509 module has them."""


class RevokedEntry(Struct, frozen=True):
    """One revoked certificate."""

    serial: int
    revocation: Revocation


def make_crl(
    spec: CrlSpec,
    issuer: Issuer,
    authority_key: x509.AuthorityKeyIdentifier | None,
    entries: Sequence[RevokedEntry],
    start: datetime,
) -> bytes:
    """The list, DER.

    Args:
        spec: what it says; its certificates are ``entries``.
        issuer: what its authority has to sign with.
        authority_key: whom it names as its issuer.
        start: when the run began; relative times count from it.

    Raises:
        MaterialError: it can't be made; the text names it and says why.
    """
    with making(f"CRL {spec.id!r}"):
        signer = stranger(issuer.key.private) if Defect.WRONG_SIGNATURE_KEY in spec.defects else issuer.key.private
        how = scheme(signer, SignatureSpec(pss=issuer.pss))
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(distinguished_name(_STRANGER) if Defect.WRONG_ISSUER_NAME in spec.defects else issuer.name)
            .last_update(spec.this_update.resolve(start))
            .next_update(spec.next_update.resolve(start))
        )
        for extension, critical in _extensions(spec, authority_key):
            builder = builder.add_extension(extension, critical)
        listed = {entry.serial: entry for entry in entries}  # certificates may share a serial
        odd: dict[int, int] = {}
        for serial, entry in listed.items():
            if not is_proper_serial(serial):  # cryptography builds none with it: one that nobody has stands for it
                odd[_unused(listed.keys() | odd.keys())] = serial
                entry = replace(entry, serial=next(reversed(odd)))
            builder = builder.add_revoked_certificate(_revoked(entry, start))
        der = builder.sign(signer, how.hash, rsa_padding=how.padding).public_bytes(Encoding.DER)
        if odd:
            from mtls_runner.pki.rework import rework_crl

            der = rework_crl(der, odd, signer, how)
        if Defect.CORRUPTED_SIGNATURE in spec.defects:
            return der[:-1] + bytes((der[-1] ^ 1,))  # the signature is what a CertificateList ends with
        return der


def _extensions(
    spec: CrlSpec, authority_key: x509.AuthorityKeyIdentifier | None
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """The extensions of RFC 5280 §5.2, then those that are given by OID."""
    if authority_key is not None:
        yield authority_key, False
    yield x509.CRLNumber(spec.number), False
    if spec.delta_of is not None:
        yield x509.DeltaCRLIndicator(spec.delta_of), True
    if spec.only_contains is not None:
        about = {scope: spec.only_contains is scope for scope in CrlScope}
        point = x509.IssuingDistributionPoint(
            None, None, about[CrlScope.USER], about[CrlScope.CA], None, False, about[CrlScope.ATTRIBUTE]
        )
        yield point, True
    for own in spec.extensions:
        yield x509.UnrecognizedExtension(x509.ObjectIdentifier(own.oid), own.value), own.critical


def _unused(serials: Set[int]) -> int:
    return next(serial for serial in itertools.count(1) if serial not in serials)


def _revoked(entry: RevokedEntry, start: datetime) -> x509.RevokedCertificate:
    revocation = entry.revocation
    builder = x509.RevokedCertificateBuilder().serial_number(entry.serial)
    builder = builder.revocation_date(revocation.date.resolve(start))
    if revocation.reason is not RevocationReason.UNSPECIFIED:  # RFC 5280 §5.3.1: absent rather than unspecified
        builder = builder.add_extension(x509.CRLReason(REASONS[revocation.reason]), critical=False)
    return builder.build()


def crl_pem(der: bytes) -> bytes:
    """A CRL as PEM (RFC 7468 §6)."""
    return pem_block("X509 CRL", der)


def dates_of_own(file: Path) -> Iterator[tuple[datetime, datetime | None]]:
    """thisUpdate and nextUpdate of the CRLs in a file of the user's, PEM or DER; of what can't be read, nothing."""
    try:
        data = file.read_bytes()
    except OSError:
        return
    for der in [block.der for block in blocks(data) if block.der is not None] or [data]:
        try:
            found = x509.load_der_x509_crl(der)
        except ValueError:
            continue
        yield found.last_update_utc, found.next_update_utc
