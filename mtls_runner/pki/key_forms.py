"""Keys in forms that ``cryptography`` reads and does not write: curves written out, RSA keys for RSASSA-PSS only, 3DES."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import KeyFormat, KeySpec
from mtls_runner.pki.keys import PrivateKey, PublicKey
from mtls_runner.pki.pem import pem_block
from mtls_runner.tls import asn1

__all__ = ["pss_private_key", "public_key_info", "with_des3"]

#: P-256 (SEC 2 §2.4.2; FIPS 186-4 §D.1.2.3).
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def public_key_info(public: PublicKey, spec: KeySpec) -> Any:
    """The SubjectPublicKeyInfo that a certificate is to have, as ASN.1.

    Raises:
        MaterialError: there is no such form of the key.
    """
    info = asn1.keys.PublicKeyInfo.load(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    if spec.pss:
        # without parameters: any hash, any salt (RFC 4055 §1.2)
        info["algorithm"] = asn1.keys.PublicKeyAlgorithm({"algorithm": "rsassa_pss"})
    if spec.explicit:
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise MaterialError("only the curve P-256 can be written out")
        info["algorithm"] = asn1.keys.PublicKeyAlgorithm({"algorithm": "ec", "parameters": _p256()})
    return info


def _p256() -> Any:
    return asn1.keys.ECDomainParameters(
        name="specified",
        value={
            "version": "ecdpVer1",
            "field_id": {"field_type": "prime_field", "parameters": _P},
            "curve": {"a": (_P - 3).to_bytes(32, "big"), "b": _B.to_bytes(32, "big")},
            "base": asn1.keys.ECPoint(b"\x04" + b"".join(number.to_bytes(32, "big") for number in _G)),
            "order": _N,
            "cofactor": 1,
        },
    )


def pss_private_key(key: PrivateKey) -> bytes:
    """PKCS #8 DER of an RSA key for RSASSA-PSS only."""
    info = asn1.keys.PrivateKeyInfo.load(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    info["private_key_algorithm"] = asn1.keys.PrivateKeyAlgorithm({"algorithm": "rsassa_pss"})
    encoded: bytes = info.dump(force=True)
    return encoded


_ITERATIONS = 2048
"""OpenSSL's default (``PKCS5_DEFAULT_ITER``): enough for a lab, and loading stays fast."""


def with_des3(key: PrivateKey, form: KeyFormat, octets: bytes) -> bytes:
    """The key as PEM, encrypted with three-key 3DES by a passphrase of these octets."""
    plain = PrivateFormat.PKCS8 if form is KeyFormat.PKCS8 else PrivateFormat.TraditionalOpenSSL
    der = key.private_bytes(Encoding.DER, plain, NoEncryption())
    if form is KeyFormat.PKCS8:
        return pem_block("ENCRYPTED PRIVATE KEY", _pbes2_des3(der, octets))
    label = key.private_bytes(Encoding.PEM, plain, NoEncryption()).split(b"-----", 2)[1].decode().removeprefix("BEGIN ")
    vector = os.urandom(8)
    headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,{vector.hex().upper()}\n"
    return pem_block(label, _des3(der, _bytes_to_key(octets, vector), vector), headers)


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
    salt, vector = os.urandom(16), os.urandom(8)
    key = PBKDF2HMAC(hashes.SHA256(), 24, salt, _ITERATIONS).derive(octets)
    info = asn1.keys.EncryptedPrivateKeyInfo(
        {
            "encryption_algorithm": {
                "algorithm": "pbes2",
                "parameters": {
                    "key_derivation_func": {
                        "algorithm": "pbkdf2",
                        "parameters": {
                            "salt": asn1.algos.Pbkdf2Salt("specified", salt),
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
