"""Which signature algorithms a key can be used with (RFC 8446 §4.2.3)."""

from __future__ import annotations

from collections.abc import Iterable

from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.pki.public_keys import PublicKeyFacts

__all__ = ["algorithms_for", "fits"]

_BY_CURVE = {
    "secp256r1": "ecdsa_secp256r1_sha256",
    "secp384r1": "ecdsa_secp384r1_sha384",
    "secp521r1": "ecdsa_secp521r1_sha512",
}
_RSA = ("rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512")
_RSA_1_2 = (*_RSA, "rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512", "rsa_pkcs1_sha224", "rsa_pkcs1_sha1")
_PSS = ("rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512")


def algorithms_for(key: PublicKeyFacts, version: str | None) -> tuple[str, ...]:
    """The signature algorithms by which a key can sign a handshake.

    Args:
        key: a certificate's.
        version: of TLS; 1.3 ties an EC key's curve to its hash, and has no PKCS #1 v1.5.
    """
    if key.kind == "rsa":
        return _RSA if version == TlsVersion.V1_3 else _RSA_1_2
    if key.kind == "rsa-pss":
        return _PSS
    if key.kind in ("ed25519", "ed448"):
        return (key.kind,)
    if key.kind.startswith("ml-dsa-"):  # of TLS 1.3 only
        return (key.kind.replace("-", ""),) if version == TlsVersion.V1_3 else ()
    if key.kind != "ec":
        return ()
    if version == TlsVersion.V1_3:
        return tuple(filter(None, (_BY_CURVE.get(key.curve),)))
    return (*_BY_CURVE.values(), "ecdsa_sha224", "ecdsa_sha1")


def fits(key: PublicKeyFacts, offered: Iterable[str], version: str | None) -> bool:
    """Whether one of the offered algorithms is one of its."""
    return not set(algorithms_for(key, version)).isdisjoint(offered)
