"""Key exchange groups that not every TLS library has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mtls_runner.model.case import satisfies

__all__ = ["ML_KEM", "unknown_group"]

#: With ML-KEM (FIPS 203), alone or beside a curve; in small letters, as OpenSSL takes the names in any.
ML_KEM = frozenset(
    ("x25519mlkem768", "secp256r1mlkem768", "secp384r1mlkem1024", "mlkem512", "mlkem768", "mlkem1024"),
)
_SINCE: Mapping[str, tuple[str, str]] = {"openssl": ("OpenSSL", "3.5"), "go": ("Go", "1.24")}


def unknown_group(groups: Iterable[str], library: str, version: str) -> str | None:
    """Why a TLS library can't be told these groups, for people; ``None``: it can, or nobody knows.

    Args:
        library: as dialects are called.
        version: its own; ``""``: it does not tell.
    """
    title, since = _SINCE.get(library, ("", ""))
    for group in groups:
        if group.lower() in ML_KEM and since and version and not satisfies(version, f">={since}"):
            return f"{title} {version} has no group {group}: ML-KEM came with {since}"
    return None
