"""One certificate with its key in the forms that tools want: PEM, DER, PKCS #12."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from mtls_runner.errors import MaterialError, without_warnings
from mtls_runner.model.certificate import Credential, Guarded
from mtls_runner.pki.keys import MlDsaPrivateKey, PrivateKey
from mtls_runner.pki.own_keys import load_key
from mtls_runner.pki.pem import blocks

__all__ = ["FilePart", "Form", "Taken", "crl_der", "take"]


class Form(StrEnum):
    """How material is written."""

    PEM = "pem"
    """RFC 7468: what OpenSSL, curl and nginx read."""
    DER = "der"
    """X.690 octets: certificates and PKCS #8 keys one by one."""
    PKCS12 = "pkcs12"
    """RFC 7292: certificate, chain and key in one file, as browsers, Java and Windows import it."""


class FilePart(StrEnum):
    """What a file is of a certificate's material."""

    CERTIFICATE = "certificate"
    CHAIN = "chain"
    KEY = "key"
    PASSPHRASE = "passphrase"  # noqa: S105 - a file's role
    CERTIFICATE_DER = "certificate_der"
    KEY_DER = "key_der"
    PKCS12 = "pkcs12"


_ENDINGS: Mapping[FilePart, str] = {
    FilePart.CERTIFICATE: ".crt",
    FilePart.CHAIN: ".chain.pem",
    FilePart.KEY: ".key",
    FilePart.PASSPHRASE: ".passphrase",
    FilePart.CERTIFICATE_DER: ".der",
    FilePart.KEY_DER: ".key.der",
    FilePart.PKCS12: ".p12",
}


class Taken(Guarded, frozen=True):
    """The material of one certificate.

    Args:
        files: endings of file names, and what goes into those files.
        notes: what has no such form, and why, for people.
    """

    hidden: ClassVar = frozenset({"files"})

    files: Mapping[FilePart, bytes]
    notes: tuple[str, ...] = ()

    def named(self, base: str) -> Mapping[FilePart, str]:
        """The files' names under ``base``, which has no ending."""
        return {part: base + _ENDINGS[part] for part in self.files}


def take(credential: Credential, forms: frozenset[Form]) -> Taken:
    """The material in these forms. PEM certificates are always among them: every verifier's trust store reads them.

    Raises:
        MaterialError: a file of it can't be read.
    """
    try:
        certificate = credential.certificate_path.read_bytes()
        chain = credential.chain_path.read_bytes()
        key = credential.key_path.read_bytes() if credential.key_path is not None else None
    except OSError as error:
        raise MaterialError(f"certificate {credential.id!r}: {error.filename}: {error.strerror}") from error
    files = {FilePart.CERTIFICATE: certificate}
    if Form.PEM in forms:
        files[FilePart.CHAIN] = chain
        if key is not None:
            files[FilePart.KEY] = key
    if credential.passphrase is not None and key is not None:
        files[FilePart.PASSPHRASE] = credential.passphrase.reveal().encode() + b"\n"
    notes: list[str] = []
    for form, convert in ((Form.DER, _der), (Form.PKCS12, _pkcs12)):
        if form not in forms:
            continue
        try:
            files.update(convert(credential, chain, key))
        except (ValueError, TypeError) as error:
            # what is wrong on purpose does not fit everywhere: a key of another certificate, an unreadable name
            notes.append(f"{credential.id} has no {form} form: {error}")
    return Taken(files, tuple(notes))


def _der(credential: Credential, _chain: bytes, key: bytes | None) -> Iterator[tuple[FilePart, bytes]]:
    if not credential.der:
        raise ValueError("its certificate can't be read")
    yield FilePart.CERTIFICATE_DER, credential.der
    if key is None:
        return
    found = next((block for block in blocks(key) if "PRIVATE KEY" in block.label), None)
    if found is None or found.der is None:
        raise ValueError("its key can't be read")
    if found.headers:  # RFC 1421 encryption exists in PEM only; in DER it is PKCS #8's
        yield FilePart.KEY_DER, _sealed(credential, key)
    else:
        yield FilePart.KEY_DER, found.der


def _sealed(credential: Credential, key: bytes) -> bytes:
    octets = _octets(credential)
    private = load_key(key, octets)
    sealed = BestAvailableEncryption(octets) if octets is not None else NoEncryption()
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, sealed)


def _pkcs12(credential: Credential, chain: bytes, key: bytes | None) -> Iterator[tuple[FilePart, bytes]]:
    if not credential.der:
        raise ValueError("its certificate can't be read")
    octets = _octets(credential)
    with without_warnings():
        certificate = x509.load_der_x509_certificate(credential.der)
        others = [block.der for block in blocks(chain) if block.der is not None and block.der != credential.der]
        private = load_key(key, octets) if key is not None else None
        if private is not None and (not isinstance(private, PrivateKey) or isinstance(private, MlDsaPrivateKey)):
            raise ValueError(f"PKCS #12 holds no key of this kind ({type(private).__name__})")
        content = pkcs12.serialize_key_and_certificates(
            credential.id.encode(),
            private,
            certificate,
            [x509.load_der_x509_certificate(der) for der in others] or None,
            BestAvailableEncryption(octets) if octets is not None else NoEncryption(),
        )
    yield FilePart.PKCS12, content


def _octets(credential: Credential) -> bytes | None:
    return credential.passphrase.reveal().encode() if credential.passphrase is not None else None


def crl_der(pem: bytes) -> bytes:
    """A CRL without its PEM armour.

    Raises:
        ValueError: it is no PEM, or several CRLs.
    """
    found = [block.der for block in blocks(pem) if block.der is not None]
    if len(found) != 1:
        raise ValueError(
            "its file is no PEM" if not found else f"its file holds {len(found)} CRLs, and DER has room for one"
        )
    return found[0]
