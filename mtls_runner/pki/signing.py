"""Which signature a key makes: hash and padding for a description's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import SignatureSpec
from mtls_runner.pki.keys import PrivateKey

__all__ = ["Scheme", "scheme"]

_Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

_HASHES: Mapping[str, _Hash] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
_WEAK: Mapping[str, hashes.SHA1 | hashes.MD5] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - weak on purpose
    "md5": hashes.MD5(),  # noqa: S303
}


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one key signs.

    Args:
        hash: ``None`` for EdDSA, which has its own; a weak one is in ``weak``.
        weak: SHA-1 or MD5, which no certificate builder takes.
        padding: of an RSA signature.
    """

    hash: _Hash | None
    weak: hashes.SHA1 | hashes.MD5 | None = None
    padding: padding.PKCS1v15 | padding.PSS | None = None

    def sign(self, key: PrivateKey, data: bytes) -> bytes:
        """The signature of ``data``."""
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, self.padding or padding.PKCS1v15(), self.weak or self.hash or hashes.SHA256())
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(data, ec.ECDSA(self.weak or self.hash or hashes.SHA256()))
        return key.sign(data)


def scheme(key: PrivateKey, wanted: SignatureSpec) -> Scheme:
    """How ``key`` signs what ``wanted`` asks for.

    Raises:
        MaterialError: a key of this type makes no such signature.
    """
    name = wanted.hash.lower().replace("-", "") if wanted.hash is not None else None
    if not isinstance(key, rsa.RSAPrivateKey):
        if wanted.pss:
            raise MaterialError("only an RSA key makes RSASSA-PSS signatures, and the issuer's is none")
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            if name is not None:
                raise MaterialError(
                    "EdDSA prescribes its own hash (RFC 8032): leave it out where the issuer's key is one"
                )
            return Scheme(None)
        if name == "md5":
            raise MaterialError("ECDSA with MD5 has no object identifier: use an RSA issuer for it")
    if name is not None and name not in _HASHES and name not in _WEAK:
        raise MaterialError(f"{wanted.hash!r} is not one of the hashes: {', '.join([*_HASHES, *_WEAK])}")
    weak = _WEAK.get(name or "")
    sane = _HASHES.get(name or "sha256", _HASHES["sha256"])
    if not isinstance(key, rsa.RSAPrivateKey):
        return Scheme(sane, weak)
    if not wanted.pss:
        return Scheme(sane, weak, padding.PKCS1v15())
    used = weak or sane
    # RFC 8446 §4.2.3: the salt is as long as the hash
    return Scheme(sane, weak, padding.PSS(padding.MGF1(used), used.digest_size))
