"""By which signature algorithm an end proved that it has its certificate's key."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SIGNATURE_SCHEMES", "key_exchange_scheme", "verify_scheme"]

_TLS_1_2 = 0x0303
_NAMED_CURVE = 3  # RFC 8422 §5.4

#: SignatureScheme (RFC 8446 §4.2.3). TLS 1.2's pairs of hash and signature (RFC 5246 §7.4.1.4.1) have the same numbers.
SIGNATURE_SCHEMES: Mapping[int, str] = {
    0x0201: "rsa_pkcs1_sha1",
    0x0203: "ecdsa_sha1",
    0x0301: "rsa_pkcs1_sha224",
    0x0303: "ecdsa_sha224",
    0x0401: "rsa_pkcs1_sha256",
    0x0403: "ecdsa_secp256r1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
    0x0904: "mldsa44",
    0x0905: "mldsa65",
    0x0906: "mldsa87",
}


def _name(code: bytes) -> str | None:
    return SIGNATURE_SCHEMES.get(int.from_bytes(code, "big"), f"0x{code.hex().upper()}") if len(code) == 2 else None


def verify_scheme(message: bytes, version: int) -> str | None:
    """Of a CertificateVerify, header included; ``None``: older than TLS 1.2, which names none."""
    return _name(message[4:6]) if version >= _TLS_1_2 else None


def key_exchange_scheme(message: bytes, version: int) -> str | None:
    """Of a ServerKeyExchange with a named curve, header included (RFC 8422 §5.4); ``None``: of another kind."""
    if version != _TLS_1_2 or message[4:5] != bytes((_NAMED_CURVE,)) or len(message) < 8:
        return None
    at = 8 + message[7]
    return _name(message[at : at + 2])
