"""Opens private keys and PKCS #12 files of the user's own, and says why one does not open."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)
from msgspec import Struct

from mtls_runner.errors import without_warnings
from mtls_runner.model.certificate import Guarded, Secret
from mtls_runner.model.observation import Reason
from mtls_runner.pki.keys import PrivateKey
from mtls_runner.pki.own_content import KeyText
from mtls_runner.tls import asn1
from mtls_runner.tls.context import Problem

__all__ = ["Pkcs12", "Unknown", "load_key", "open_key", "open_pkcs12"]

_T = TypeVar("_T")

_LEGACY = frozenset({"rc2", "rc4", "des"})
"""Ciphers that OpenSSL 3 has in its legacy provider only, which nobody loads."""


class Unknown(Struct, frozen=True):
    """A key that OpenSSL may be able to use, though the lab can't look into it; ``text`` says why."""

    text: str


class Pkcs12(Guarded, frozen=True):
    """What a PKCS #12 file holds.

    Args:
        certificates: DER, the key's own first.
        key: as far as the lab can look into it.
        key_pem: the same or another key as PKCS #8, encrypted with the file's passphrase if that has one; ``None``: none.
    """

    hidden: ClassVar = frozenset({"certificates", "key", "key_pem"})

    certificates: tuple[bytes, ...]
    key: PrivateKey | None
    key_pem: bytes | None


def open_key(key: KeyText, passphrase: Secret | None, name: str) -> PrivateKey | Unknown | Problem:
    """The key, or why it does not open. A passphrase that an unencrypted key does not need is ignored.

    Args:
        key: PEM.
        passphrase: opens it; ``None``: there is none.
        name: of the file, for texts.
    """
    plain = _by_content(key)
    if plain is not None:
        return plain
    if key.encrypted:
        trouble = _cipher_trouble(key, name)
        if trouble is not None:
            return trouble
        if passphrase is None:
            return Problem(Reason.PASSPHRASE_NEEDED, "", f"{name}: encrypted, and no passphrase is given")
    octets = passphrase.reveal().encode() if passphrase is not None and key.encrypted else None
    if octets == b"":  # the library takes it for none at all
        return Problem(Reason.WRONG_PASSPHRASE, "", f"{name}: the passphrase does not open it")
    try:
        opened = _asked(lambda: load_pem_private_key(key.text, octets))
    except UnsupportedAlgorithm:
        return Unknown(f"{name}: a key or a cipher that the lab can't look into; OpenSSL has the last word")
    except (ValueError, TypeError):
        # from None: the library's own text is about octets that a wrong passphrase made
        if key.encrypted:
            return Problem(Reason.WRONG_PASSPHRASE, "", f"{name}: the passphrase does not open it")
        return Problem(Reason.MALFORMED, "", f"{name}: no usable private key in it")
    if isinstance(opened, PrivateKey):
        return opened
    return Unknown(f"{name}: a key of a type that the lab can't look into; OpenSSL has the last word")


def load_key(pem: bytes, octets: bytes | None) -> PrivateKeyTypes:
    """A private key from PEM that may be the user's own.

    Raises:
        ValueError, TypeError: there is none, or the passphrase does not open it.
    """
    return _asked(lambda: load_pem_private_key(pem, octets, unsafe_skip_rsa_key_validation=True))


def _by_content(key: KeyText) -> PrivateKey | None:
    """A key that is not encrypted, whatever its label says: OpenSSL reads some of these."""
    if key.der is None or key.headers:
        return None
    der = key.der
    try:
        opened = _asked(lambda: load_der_private_key(der, None))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return opened if isinstance(opened, PrivateKey) else None


def _cipher_trouble(key: KeyText, name: str) -> Problem | None:
    """What is wrong with an encrypted key before any passphrase is tried."""
    if key.label != "ENCRYPTED PRIVATE KEY":
        cipher = next((h.split(":")[1].split(",")[0].strip() for h in key.headers if h.startswith("DEK-Info:")), "")
        if not cipher:
            return Problem(Reason.MALFORMED, "", f"{name}: an encrypted key without a DEK-Info line")
        if not _has_vector(key.headers, cipher):
            return Problem(Reason.MALFORMED, "", f"{name}: the initialization vector in its DEK-Info line is too short")
        return _legacy(cipher.lower().replace("des-ede3", "tripledes").replace("-", "_"), name)
    try:
        algorithm = asn1.keys.EncryptedPrivateKeyInfo.load(key.der, strict=True)["encryption_algorithm"]
        cipher = _cipher_name(algorithm)
    except (ValueError, TypeError, KeyError):
        return Problem(Reason.MALFORMED, "", f"{name}: no usable private key in it")
    return _legacy(cipher, name)


def _asked(question: Callable[[], _T]) -> _T:
    """The library's answer. Rust code in it panics over some input, with an exception that is no ``Exception``.

    It also warns of what it may refuse some day; here nothing hangs on that.

    Raises:
        ValueError: it panicked.
    """
    try:
        with without_warnings():
            return question()
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("the library gave up") from None


def _has_vector(headers: tuple[str, ...], cipher: str) -> bool:
    """Whether DEK-Info has the hexadecimal digits that OpenSSL reads of it (``PEM_get_EVP_CIPHER_INFO``)."""
    digits = 16 if cipher.upper().startswith(("DES", "RC2", "BF", "CAST5", "IDEA")) else 32
    return any(re.match(rf"DEK-Info:[^,]*,\s*[0-9A-Fa-f]{{{digits}}}", header) for header in headers)


def _legacy(cipher: str, name: str) -> Problem | None:
    found = _LEGACY.intersection(cipher.split("_"))  # of pkcs12_sha1_rc2_40 and the like
    if not found:
        return None
    return Problem(
        Reason.MALFORMED,
        "",
        f"{name}: encrypted with {min(found).upper()}, a legacy cipher that OpenSSL 3 does not load: it is the cipher,"
        " not the passphrase; write the file anew with AES-256 (openssl's -legacy option reads it)",
    )


def open_pkcs12(data: bytes, passphrase: Secret | None, name: str) -> Pkcs12 | Problem:
    """What the file holds (the key's own certificate first), or why it does not open."""
    try:
        ciphers = _pkcs12_ciphers(data)
    except (ValueError, TypeError, KeyError):
        return Problem(Reason.MALFORMED, "", f"{name}: not a PKCS #12 file")
    for cipher in ciphers:
        trouble = _legacy(cipher, name)
        if trouble is not None:
            return trouble
    octets = passphrase.reveal().encode() if passphrase is not None else None
    try:
        found = _asked(lambda: pkcs12.load_pkcs12(data, octets))
    except UnsupportedAlgorithm:
        return Problem(
            Reason.MALFORMED,
            "",
            f"{name}: encrypted with {', '.join(ciphers)}, which the lab can't open: it is the cipher",
        )
    except (ValueError, TypeError):
        if passphrase is None:
            return Problem(Reason.PASSPHRASE_NEEDED, "", f"{name}: encrypted, and no passphrase is given")
        return Problem(Reason.WRONG_PASSPHRASE, "", f"{name}: the passphrase does not open it")
    certificates = [found.cert] if found.cert is not None else []
    sealed = BestAvailableEncryption(octets) if octets else NoEncryption()
    key = found.key
    return Pkcs12(
        tuple(entry.certificate.public_bytes(Encoding.DER) for entry in (*certificates, *found.additional_certs)),
        key if isinstance(key, PrivateKey) else None,
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed) if key is not None else None,
    )


def _pkcs12_ciphers(data: bytes) -> list[str]:
    """Names of all ciphers in the file, outside of what they encrypt (RFC 7292 §4)."""
    ciphers: list[str] = []
    for part in asn1.pkcs12.Pfx.load(data).authenticated_safe:
        if part["content_type"].native == "encrypted_data":
            algorithm = part["content"]["encrypted_content_info"]["content_encryption_algorithm"]
            ciphers.append(_cipher_name(algorithm))
        elif part["content_type"].native == "data":
            ciphers += [
                _cipher_name(bag["bag_value"]["encryption_algorithm"])
                for bag in asn1.pkcs12.SafeContents.load(part["content"].native)
                if bag["bag_id"].native == "pkcs8_shrouded_key_bag"
            ]
    return ciphers


def _cipher_name(algorithm: Any) -> str:
    name = str(algorithm["algorithm"].native)
    if name == "pbes2":
        name = str(algorithm["parameters"]["encryption_scheme"]["algorithm"].native)
    return name
