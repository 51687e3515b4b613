"""Whether one certificate's key made another one's signature, of certificates that the lab did not make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mtls_runner.pki.keys import MlDsaPublicKey
from mtls_runner.pki.lenient import load_certificate

__all__ = ["signed_by"]


def signed_by(der: bytes, issuer: bytes) -> bool | None:
    """Whether the issuer's key made the signature; ``None``: nobody here can tell."""
    below, above = load_certificate(der), load_certificate(issuer)
    if below is None or above is None:
        return None
    try:
        key = load_der_public_key(above.public_key.dump())
        signed, signature = below["tbs_certificate"].dump(), below.signature
        method: Any = below["signature_algorithm"]
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, *_rsa(method))
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(_hash(method.hash_algo)))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | MlDsaPublicKey):
            key.verify(signature, signed)
        else:
            return None
    except InvalidSignature:
        return False
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    return True


def _rsa(method: Any) -> tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]:
    digest = _hash(method.hash_algo)
    if method.signature_algo == "rsassa_pss":
        return padding.PSS(padding.MGF1(digest), padding.PSS.AUTO), digest
    return padding.PKCS1v15(), digest


def _hash(name: str) -> hashes.HashAlgorithm:
    made: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
        "md5": hashes.MD5,
        "sha1": hashes.SHA1,
        "sha224": hashes.SHA224,
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
    return made[name]()
