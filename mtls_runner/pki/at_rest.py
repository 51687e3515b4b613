"""How a private key lies on disk: PKCS#8 or traditional PEM, plain or encrypted, as OpenSSL 3 and 1.1 wrote them.

``cryptography`` encrypts with AES-256-CBC only; DES-EDE3-CBC is put together here (RFC 8018 for PKCS#8, RFC 1421 headers
with OpenSSL's own key derivation for the traditional form).
"""

from __future__ import annotations

import hashlib
import os

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import KeyCipher, KeyFormat
from mtls_runner.model.credential import Secret
from mtls_runner.pki.keys import PrivateKey
from mtls_runner.pki.pem import pem_block

__all__ = ["pem_key"]

_ITERATIONS = 2048
"""OpenSSL's default (``PKCS5_DEFAULT_ITER``): enough for a lab, and loading stays fast."""

_LONGEST = 1023
"""OpenSSL reads passphrases into a buffer of ``PEM_BUFSIZE`` octets, the end mark among them."""


def pem_key(key: PrivateKey, form: KeyFormat, cipher: KeyCipher, passphrase: Secret | None) -> bytes:
    """The key as PEM, encrypted with ``cipher`` if there is a passphrase.

    Raises:
        MaterialError: the key has no such form, or nothing could read the passphrase back.
    """
    if form is KeyFormat.TRADITIONAL and isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        raise MaterialError(
            "an EdDSA key has no traditional PEM form (RFC 8410 §7 defines PKCS#8 only): use format pkcs8"
        )
    plain = PrivateFormat.PKCS8 if form is KeyFormat.PKCS8 else PrivateFormat.TraditionalOpenSSL
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, plain, NoEncryption())
    octets = _octets(passphrase)
    if cipher is KeyCipher.AES_256_CBC:
        return key.private_bytes(Encoding.PEM, plain, BestAvailableEncryption(octets))
    der = key.private_bytes(Encoding.DER, plain, NoEncryption())
    if form is KeyFormat.PKCS8:
        return pem_block("ENCRYPTED PRIVATE KEY", _pbes2_des3(der, octets))
    label = key.private_bytes(Encoding.PEM, plain, NoEncryption()).split(b"-----", 2)[1].decode().removeprefix("BEGIN ")
    vector = os.urandom(8)
    headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,{vector.hex().upper()}\n"
    return pem_block(label, _des3(der, _bytes_to_key(octets, vector), vector), headers)


def _octets(passphrase: Secret) -> bytes:
    octets = passphrase.reveal().encode()
    if not octets:
        raise MaterialError("an empty passphrase encrypts nothing: leave it out")
    if len(octets) > _LONGEST:
        raise MaterialError(f"a passphrase of more than {_LONGEST} octets: OpenSSL reads no more of it")
    if any(mark in octets for mark in (b"\n", b"\r", b"\0")):
        raise MaterialError("a passphrase with a line break or a NUL: no passphrase file can hold it")
    return octets


def _des3(der: bytes, key: bytes, vector: bytes) -> bytes:
    padder = padding.PKCS7(64).padder()
    encryptor = Cipher(TripleDES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(padder.update(der) + padder.finalize()) + encryptor.finalize()


def _bytes_to_key(octets: bytes, salt: bytes) -> bytes:
    """24 octets by OpenSSL's ``EVP_BytesToKey`` (MD5, one round), which traditional PEM prescribes."""
    key = digest = b""
    while len(key) < 24:
        digest = hashlib.md5(digest + octets + salt, usedforsecurity=False).digest()
        key += digest
    return key[:24]


def _pbes2_des3(der: bytes, octets: bytes) -> bytes:
    from asn1crypto.algos import Pbkdf2Salt  # 40 ms that few scenarios need
    from asn1crypto.keys import EncryptedPrivateKeyInfo

    salt, vector = os.urandom(16), os.urandom(8)
    key = PBKDF2HMAC(hashes.SHA256(), 24, salt, _ITERATIONS).derive(octets)
    info = EncryptedPrivateKeyInfo(
        {
            "encryption_algorithm": {
                "algorithm": "pbes2",
                "parameters": {
                    "key_derivation_func": {
                        "algorithm": "pbkdf2",
                        "parameters": {
                            "salt": Pbkdf2Salt("specified", salt),
                            "iteration_count": _ITERATIONS,
                            "prf": {"algorithm": "sha256"},
                        },
                    },
                    "encryption_scheme": {"algorithm": "tripledes_3key", "parameters": vector},
                },
            },
            "encrypted_data": _des3(der, key, vector),
        }
    )
    encoded: bytes = info.dump()
    return encoded
