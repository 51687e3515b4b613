"""Requests → OCSP responses (RFC 6960), also those that no sane responder would send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from msgspec import Struct

from mtls_runner.model.certificate import Defect, Guarded, SignatureSpec
from mtls_runner.model.revocation import OcspAnswer, ResponderSpec, Revocation, RevocationReason
from mtls_runner.pki.crl import REASONS
from mtls_runner.pki.forge import Issuer, is_proper_serial, making
from mtls_runner.pki.keys import PrivateKey, scheme, stranger, subject_public_key
from mtls_runner.tls import asn1

__all__ = ["Asked", "Signer", "Subject", "asked", "error_response", "ocsp_request", "ocsp_response"]

ERRORS: Mapping[OcspAnswer, ocsp.OCSPResponseStatus] = {
    OcspAnswer.MALFORMED_REQUEST: ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
    OcspAnswer.INTERNAL_ERROR: ocsp.OCSPResponseStatus.INTERNAL_ERROR,
    OcspAnswer.TRY_LATER: ocsp.OCSPResponseStatus.TRY_LATER,
    OcspAnswer.SIG_REQUIRED: ocsp.OCSPResponseStatus.SIG_REQUIRED,
    OcspAnswer.UNAUTHORIZED: ocsp.OCSPResponseStatus.UNAUTHORIZED,
}
"""Answers without a status of any certificate (RFC 6960 §2.3)."""


class Asked(Struct, frozen=True):
    """What a request asks about (RFC 6960 §4.1.1, ``CertID``)."""

    algorithm: hashes.HashAlgorithm
    name_hash: bytes
    key_hash: bytes
    serial: int

    def is_issued_by(self, issuer: Issuer) -> bool:
        """Whether that is the issuer that it names."""
        return (self.name_hash, self.key_hash) == _hashes(issuer, self.algorithm)


class Subject(Struct, frozen=True):
    """Whose status is answered. ``revocation`` is ``None``: it is not revoked; ``known``: its issuer issued it."""

    issuer: Issuer
    serial: int
    revocation: Revocation | None
    known: bool


class Signer(Guarded, frozen=True):
    """The key and certificate that sign an OCSP response."""

    hidden: ClassVar = frozenset({"certificate", "key"})

    certificate: bytes
    key: PrivateKey


def asked(request: bytes) -> Asked | None:
    """What a request asks about; ``None``: it can't be read, or is not about exactly one certificate."""
    try:
        parsed = ocsp.load_der_ocsp_request(request)
        return Asked(parsed.hash_algorithm, parsed.issuer_name_hash, parsed.issuer_key_hash, parsed.serial_number)
    except (ValueError, NotImplementedError, x509.UnsupportedGeneralNameType):
        return None


def ocsp_request(issuer: Issuer, serial: int) -> bytes:
    """A request about one certificate, DER, with SHA-1 hashes as OpenSSL and nginx make them."""
    algorithm = hashes.SHA1()  # noqa: S303 - only names the issuer
    placeholder = serial if is_proper_serial(serial) else 1
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(*_hashes(issuer, algorithm), placeholder, algorithm)
    der = builder.build().public_bytes(Encoding.DER)
    if placeholder == serial:
        return der
    request = asn1.ocsp.OCSPRequest.load(der)
    request["tbs_request"]["request_list"][0]["req_cert"]["serial_number"] = serial
    return bytes(request.dump(force=True))


def error_response(answer: OcspAnswer) -> bytes:
    """A response that tells no status."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(ERRORS[answer]).public_bytes(Encoding.DER)


def ocsp_response(
    spec: ResponderSpec,
    answer: OcspAnswer,
    subject: Subject,
    signer: Signer,
    algorithm: hashes.HashAlgorithm,
    start: datetime,
) -> bytes:
    """A successful response, DER.

    Args:
        spec: the responder.
        answer: ``TRUTH``, ``GOOD``, ``REVOKED`` or ``UNKNOWN``.
        subject: whose status it tells.
        signer: signs it.
        algorithm: hashes the issuer's name and key.
        start: when the run began; relative times count from it.

    Raises:
        MaterialError: it can't be made.
    """
    with making(f"a response of OCSP responder {spec.id!r}"):
        status, revocation = _status(answer, subject)
        certificate = x509.load_der_x509_certificate(signer.certificate)
        reason = revocation.reason if revocation is not None else RevocationReason.UNSPECIFIED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                *_hashes(subject.issuer, algorithm),
                subject.serial if is_proper_serial(subject.serial) else 1,  # another one is put there afterwards
                algorithm,
                status,
                spec.this_update.resolve(start),
                spec.next_update.resolve(start) if spec.next_update is not None else None,
                revocation.date.resolve(start) if revocation is not None else None,
                None if reason is RevocationReason.UNSPECIFIED else REASONS[reason],
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
            .certificates([certificate])  # as ``openssl ocsp`` does
        )
        der = builder.sign(signer.key, scheme(signer.key, SignatureSpec()).hash).public_bytes(Encoding.DER)
    if not is_proper_serial(subject.serial):
        own = scheme(signer.key, SignatureSpec())
        der = _resigned(der, lambda data, _: own.sign(signer.key, data), serial=subject.serial)
    if Defect.WRONG_SIGNATURE_KEY in spec.defects:
        other = stranger(signer.key)
        der = _resigned(der, lambda data, _: scheme(other, SignatureSpec()).sign(other, data))
    if Defect.CORRUPTED_SIGNATURE in spec.defects:
        der = _resigned(der, lambda _, signature: signature[:-1] + bytes((signature[-1] ^ 1,)))
    return der


def _status(answer: OcspAnswer, subject: Subject) -> tuple[ocsp.OCSPCertStatus, Revocation | None]:
    if answer is OcspAnswer.GOOD:
        return ocsp.OCSPCertStatus.GOOD, None
    if answer is OcspAnswer.UNKNOWN or (answer is OcspAnswer.TRUTH and not subject.known):
        return ocsp.OCSPCertStatus.UNKNOWN, None
    if answer is OcspAnswer.REVOKED:
        return ocsp.OCSPCertStatus.REVOKED, subject.revocation or Revocation()
    if subject.revocation is None or subject.revocation.reason is RevocationReason.REMOVE_FROM_CRL:
        return ocsp.OCSPCertStatus.GOOD, None
    return ocsp.OCSPCertStatus.REVOKED, subject.revocation


def _hashes(issuer: Issuer, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    def digest(data: bytes) -> bytes:
        context = hashes.Hash(algorithm)
        context.update(data)
        return context.finalize()

    return digest(issuer.name.public_bytes()), digest(subject_public_key(issuer.key.public))


def _resigned(der: bytes, sign: Callable[[bytes, bytes], bytes], serial: int | None = None) -> bytes:
    """The response with the signature that ``sign`` makes of the signed bytes and the present signature.

    The builder signs with no key but the signer's own, and about no certificate with another ``serial`` than a proper one.
    """
    parsed = asn1.ocsp.OCSPResponse.load(der)
    basic = parsed["response_bytes"]["response"].parsed
    if serial is not None:
        basic["tbs_response_data"]["responses"][0]["cert_id"]["serial_number"] = serial
    basic["signature"] = sign(basic["tbs_response_data"].dump(force=serial is not None), basic["signature"].native)
    parsed["response_bytes"]["response"] = basic.untag()
    return bytes(parsed.dump(force=True))
