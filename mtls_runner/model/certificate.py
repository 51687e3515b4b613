"""Certificates as a scenario describes them, once defaults, short forms and ``like:`` are resolved.

They refer to each other by id; all ids of one plan (authorities and leaves) share one namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

if TYPE_CHECKING:
    from mtls_runner.model.revocation import Revocation

__all__ = [
    "OF_ISSUER",
    "PEM_ONLY",
    "AuthorityKeyIdentifier",
    "BasicConstraints",
    "CertificateSpec",
    "Credential",
    "Defect",
    "Extension",
    "FileForm",
    "Guarded",
    "KeyAlgorithm",
    "KeyCipher",
    "KeyFormat",
    "KeySpec",
    "Moment",
    "NameConstraints",
    "OwnFiles",
    "PresentedFiles",
    "Secret",
    "SignatureSpec",
    "minute",
    "moment",
]


class FileForm(StrEnum):
    """How certificates and keys lie in a file, under the names of curl's ``--cert-type`` and ``--key-type``."""

    PEM = "PEM"
    DER = "DER"
    PKCS12 = "P12"


PEM_ONLY = frozenset({FileForm.PEM})
"""What programs on OpenSSL load that don't say otherwise."""


class Secret:
    """A string that ``repr``, ``str``, ``format`` and logging never show."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The string itself; call it only where it is handed to TLS code or written to a 0600 file."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))


class Guarded(Struct, frozen=True):
    """A record whose ``repr`` leaves out what ``hidden`` names: keys, what came from a person's files, long bytes."""

    hidden: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.hidden)
        return f"{type(self).__name__}({', '.join(shown)})"


class Credential(Guarded, frozen=True):
    """One certificate with its key, as files in the run's private directory.

    Args:
        id: the authority's or leaf's id in the scenario.
        der: the certificate, DER.
        subject: its subject, RFC 4514.
        certificate_path: PEM, the certificate alone.
        chain_path: PEM, the certificate and then its intermediates, without the root (RFC 8446 §4.4.2 order).
        key_path: PEM, encrypted at rest when the scenario gives a passphrase; mode 0600. ``None``: no key (own material).
        passphrase: opens the key; ``None`` when it is not encrypted.
        passphrase_path: a file that holds the passphrase and a newline, 0600 (nginx ``ssl_password_file``).
        ancestors: ids of its issuers, nearest first, ending with the root; empty for a self-signed one.
    """

    hidden: ClassVar = frozenset({"der"})

    id: str
    der: bytes
    subject: str
    certificate_path: Path
    chain_path: Path
    key_path: Path | None
    passphrase: Secret | None = None
    passphrase_path: Path | None = None
    ancestors: tuple[str, ...] = ()


class PresentedFiles(Struct, frozen=True):
    """The files that an end presents itself with.

    Args:
        certificate: the certificate, and what is sent after it.
        key: its private key; ``None``: it lies in the certificate's file, or there is none.
        certificate_form, key_form: what the files are.
    """

    certificate: Path
    key: Path | None
    certificate_form: FileForm = FileForm.PEM
    key_form: FileForm = FileForm.PEM


class KeyAlgorithm(StrEnum):
    """Key algorithms and sizes that the lab can make."""

    RSA_1024 = "rsa-1024"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    EC_P521 = "ec-p521"
    EC_SECP256K1 = "ec-secp256k1"
    EC_BRAINPOOL_P256R1 = "ec-brainpoolp256r1"
    ED25519 = "ed25519"
    ED448 = "ed448"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"

    @property
    def bits(self) -> int:
        """Bits of security (NIST SP 800-57 part 1, as ``SSL_CTX_set_security_level`` counts them)."""
        return _BITS[self]


_BITS: Mapping[KeyAlgorithm, int] = {
    KeyAlgorithm.RSA_1024: 80,
    KeyAlgorithm.RSA_2048: 112,
    KeyAlgorithm.RSA_3072: 128,
    KeyAlgorithm.RSA_4096: 152,
    KeyAlgorithm.EC_P256: 128,
    KeyAlgorithm.EC_P384: 192,
    KeyAlgorithm.EC_P521: 256,
    KeyAlgorithm.EC_SECP256K1: 128,
    KeyAlgorithm.EC_BRAINPOOL_P256R1: 128,
    KeyAlgorithm.ED25519: 128,
    KeyAlgorithm.ED448: 224,
    KeyAlgorithm.ML_DSA_44: 128,
    KeyAlgorithm.ML_DSA_65: 192,
    KeyAlgorithm.ML_DSA_87: 256,
}


class KeyFormat(StrEnum):
    """How a private key lies on disk."""

    PKCS8 = "pkcs8"
    """``BEGIN (ENCRYPTED) PRIVATE KEY``, what OpenSSL 3 writes."""
    TRADITIONAL = "traditional"
    """``BEGIN RSA PRIVATE KEY`` with ``Proc-Type``/``DEK-Info`` headers, what OpenSSL 1.1's ``genrsa -des3`` wrote."""


class KeyCipher(StrEnum):
    """What encrypts a private key at rest, under OpenSSL's names."""

    AES_256_CBC = "aes-256-cbc"
    DES_EDE3_CBC = "des-ede3-cbc"


class KeySpec(Struct, frozen=True):
    """A private key: what it is, and how it lies on disk. ``cipher`` counts only with a passphrase."""

    algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256
    format: KeyFormat = KeyFormat.PKCS8
    cipher: KeyCipher = KeyCipher.AES_256_CBC
    same_as: str | None = None
    """Id of another certificate whose key this one shares (cross-signing); ``algorithm`` is then that one's."""
    explicit: bool = False
    """The curve is written out parameter by parameter (SEC 1 §C.2; RFC 5480 §2.1.1 forbids it), not named."""
    pss: bool = False
    """The certificate says that the RSA key is for RSASSA-PSS only (``id-RSASSA-PSS``, RFC 4055 §1.2)."""


_BRIEFLY = timedelta(hours=1)


class Moment(Struct, frozen=True):
    """A point in time: absolute (aware, UTC), or an offset from the start of the run."""

    offset: timedelta = timedelta(0)
    absolute: datetime | None = None

    def resolve(self, start: datetime) -> datetime:
        """The absolute time for a run that began at ``start`` (aware)."""
        return self.absolute if self.absolute is not None else start + self.offset

    @property
    def brief(self) -> bool:
        """Whether it comes within an hour of the run, which may take as long: then it counts when exactly it is resolved."""
        return self.absolute is None and timedelta(0) < self.offset < _BRIEFLY


class BasicConstraints(Struct, frozen=True):
    """RFC 5280 §4.2.1.9."""

    ca: bool
    path_length: int | None = None
    critical: bool = True


class NameConstraints(Struct, frozen=True):
    """RFC 5280 §4.2.1.10; names as ``DNS:…``, ``IP:10.0.0.0/8``, ``email:…``, ``URI:…``, ``dirName:<RFC 4514>``."""

    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    critical: bool = True


OF_ISSUER = ""
"""In the place of an id: that of whoever issued it."""


class AuthorityKeyIdentifier(Struct, frozen=True):
    """By what a certificate or CRL tells which key signed it (RFC 5280 §4.2.1.1, §5.2.1).

    Args:
        key: id of the certificate whose key it names, or ``OF_ISSUER``; ``None``: it names no key.
        serial: id of the certificate whose issuer and serial number it names, or ``OF_ISSUER``; ``None``: it names none.
    """

    key: str | None = OF_ISSUER
    serial: str | None = None


class Extension(Struct, frozen=True):
    """An extension given by OID with its DER value (RFC 5280 §4.2)."""

    oid: str
    value: bytes
    critical: bool = False


class SignatureSpec(Struct, frozen=True):
    """How a certificate is signed (by its issuer's key). ``hash``: sha256/384/512, or sha1/md5 (weak, on purpose).

    ``None``: SHA-256, or what EdDSA and ML-DSA prescribe. ``pss``: RSASSA-PSS instead of PKCS #1 v1.5 (RFC 4055).
    """

    hash: str | None = None
    pss: bool = False


class Defect(StrEnum):
    """What no sane issuer would make; each changes one thing in an otherwise good certificate."""

    WRONG_SIGNATURE_KEY = "wrong-signature-key"
    """Signed by a key that is not the issuer's, under the issuer's name and key identifier."""
    CORRUPTED_SIGNATURE = "corrupted-signature"
    """One bit of the signature value is flipped."""
    KEY_MISMATCH = "key-mismatch"
    """The private key handed out belongs to another certificate, of the same type."""
    KEY_TYPE_MISMATCH = "key-type-mismatch"
    """The private key handed out is of another type (RSA where the certificate is EC, and the reverse)."""
    WRONG_ISSUER_NAME = "wrong-issuer-name"
    """The issuer field names nobody in the lab; the signature is the issuer's."""
    REENCODED_ISSUER_NAME = "reencoded-issuer-name"
    """The issuer's name in another type of string (PrintableString) than the issuer writes itself (UTF8String)."""
    NO_BASIC_CONSTRAINTS = "no-basic-constraints"
    """An authority without basicConstraints."""
    BASIC_CONSTRAINTS_NOT_CRITICAL = "basic-constraints-not-critical"
    NEGATIVE_SERIAL = "negative-serial"
    """RFC 5280 §4.1.2.2 demands a positive serial."""
    DUPLICATE_SERIAL = "duplicate-serial"
    """The same serial as the issuer's first other certificate."""
    NO_KEY_IDENTIFIERS = "no-key-identifiers"
    """Neither subjectKeyIdentifier nor authorityKeyIdentifier."""
    VERSION_1 = "version-1"
    """An X.509 v1 certificate: no extensions at all."""


class OwnFiles(Struct, frozen=True):
    """The user's own material, by absolute path, instead of a generated certificate."""

    certificate: Path | None = None
    key: Path | None = None
    chain: Path | None = None
    pkcs12: Path | None = None


class CertificateSpec(Struct, frozen=True):
    """One authority or leaf.

    Args:
        id: unique within the plan.
        authority: declared under ``ca:``/``authorities:`` (may issue), or a leaf.
        subject: RFC 4514 text.
        issuer: id of the certificate that signs this one (a leaf on purpose is allowed); ``None``: self-signed.
        key: the private key.
        passphrase: encrypts the key at rest; ``None``: not encrypted.
        serial: ``None``: random, 20 octets at most, positive.
        not_before, not_after: validity.
        san: ``DNS:…``/``IP:…``/``URI:…``/``email:…``/``dirName:…``/``RID:…`` entries; ``None``: no extension at all.
        san_critical: marks it critical.
        extended_key_usage: EKU names (``serverAuth``, ``clientAuth``, ``anyExtendedKeyUsage``, …) or OIDs; ``None``: absent.
        key_usage: RFC 5280 names (``digitalSignature``, ``keyCertSign``, …); ``None``: absent.
        basic_constraints: ``None``: absent.
        name_constraints: ``None``: absent.
        subject_key_identifier: present or absent.
        authority_key_identifier: ``None``: absent.
        signature: how the issuer signs it.
        extensions: more extensions, by OID.
        defects: things wrong on purpose.
        revoked: its issuer has withdrawn it, and says so in CRLs and OCSP responses.
        ocsp: URIs of responders in its authorityInfoAccess (RFC 5280 §4.2.2.1).
        must_staple: the TLS feature extension with status_request (RFC 7633).
        count: as how many it is trusted: names with numbers, from 2 on, and otherwise the same, its key too.
        files: the user's own material; then everything above but ``id``, ``authority``, ``issuer``, ``passphrase`` is unused.
    """

    id: str
    authority: bool
    subject: str
    issuer: str | None
    key: KeySpec
    passphrase: Secret | None
    not_before: Moment
    not_after: Moment
    serial: int | None = None
    san: tuple[str, ...] | None = None
    san_critical: bool = False
    extended_key_usage: tuple[str, ...] | None = None
    extended_key_usage_critical: bool = False
    key_usage: tuple[str, ...] | None = None
    key_usage_critical: bool = True
    basic_constraints: BasicConstraints | None = None
    name_constraints: NameConstraints | None = None
    subject_key_identifier: bool = True
    authority_key_identifier: AuthorityKeyIdentifier | None = AuthorityKeyIdentifier()
    signature: SignatureSpec = SignatureSpec()
    extensions: tuple[Extension, ...] = ()
    defects: tuple[Defect, ...] = ()
    revoked: Revocation | None = None
    ocsp: tuple[str, ...] = ()
    must_staple: bool = False
    count: int = 1
    files: OwnFiles | None = None


_NEAR = timedelta(days=2)


def minute(when: datetime) -> str:
    """``2026-11-24 23:58Z``."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def moment(when: datetime, now: datetime) -> str:
    """``2026-11-24``; with the time of day when it is less than two days away from ``now``. Both are aware."""
    if abs(when - now) < _NEAR:
        return minute(when)
    return when.astimezone(UTC).strftime("%Y-%m-%d")
