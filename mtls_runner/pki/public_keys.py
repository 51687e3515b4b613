"""The key of a certificate that the lab did not make: its kind, its size, its curve."""

from __future__ import annotations

from msgspec import Struct

from mtls_runner.pki.lenient import attempt, load_certificate

__all__ = ["PublicKeyFacts", "public_key"]


class PublicKeyFacts(Struct, frozen=True):
    """A certificate's key.

    Args:
        kind: ``rsa``, ``rsa-pss``, ``ec``, ``ed25519``, ``ed448``, ``ml-dsa-44``, …, or what the library calls another; ``""``:
            unreadable.
        bits: its size.
        curve: of an EC key, OpenSSL's short name (``prime256v1``) or its OID; ``explicit``: written out, parameter by
            parameter.
    """

    kind: str
    bits: int = 0
    curve: str = ""

    def __str__(self) -> str:
        if self.kind == "ec":
            return f"EC {_CURVES.get(self.curve, self.curve)}"
        return f"{self.kind.upper()} {self.bits}" if self.kind.startswith("rsa") else self.kind


_SIZED = frozenset(("rsa", "rsa-pss", "ec", "dsa"))
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def public_key(der: bytes) -> PublicKeyFacts:
    """The public key of a certificate (DER)."""
    loaded = load_certificate(der)
    found = attempt(lambda: loaded.public_key) if loaded is not None else None
    kind = attempt(lambda: str(found.algorithm)) if found is not None else None
    if found is None or kind is None:
        return PublicKeyFacts("")
    if kind == "rsassa_pss":
        kind = "rsa-pss"
    curve = ""
    if kind == "ec":
        named = attempt(lambda: found.curve)
        curve = str(named[1]) if named is not None and named[0] == "named" else "explicit"
    bits = attempt(lambda: int(found.bit_size)) if kind in _SIZED else None  # of others the library's own code breaks
    return PublicKeyFacts(kind, bits or 0, curve)
