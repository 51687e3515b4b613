"""Keys in forms that ``cryptography`` reads and does not write: curves written out, RSA keys for RSASSA-PSS only."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import KeySpec
from mtls_runner.pki.keys import PrivateKey, PublicKey
from mtls_runner.tls import asn1

__all__ = ["pss_private_key", "public_key_info"]

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
