"""What declared servers and clients are told alike: their TLS settings, and which of them a declaration can't honour."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.model.endpoint import ClientSpec, ServerSpec, VerifyFlag, has_gap
from mtls_runner.model.implementation import Honours
from mtls_runner.model.port import Material

__all__ = ["FILES", "has_encrypted_key", "shared_given", "shared_missing", "shared_settings", "with_everything"]


#: Files that templates may name, of either end.
FILES = ("certificate", "leaf", "intermediates", "key", "combined", "passphrase", "trust", "crl", "trust_and_crl")


def shared_settings(end: ServerSpec | ClientSpec) -> dict[str, object]:
    """What templates may name, of a description itself, without files or an address."""
    return {
        "tls": [version.value for version in end.tls],
        "tls_min": end.tls[0].value,
        "tls_max": end.tls[-1].value,
        "ciphers": end.ciphers,
        "ciphersuites": end.ciphersuites,
        "groups": list(end.groups),
        "signature_algorithms": list(end.signature_algorithms),
        "security_level": end.security_level,
        "alpn": list(end.alpn),
        "partial_chain": VerifyFlag.PARTIAL_CHAIN in end.verify_flags,
        "x509_strict": VerifyFlag.STRICT in end.verify_flags,
        "crl_check": end.crl_check.value,
    }


def has_encrypted_key(end: ServerSpec | ClientSpec, material: Material) -> bool:
    """Whether its own key is encrypted, whatever it is told of that."""
    return end.certificate is not None and material.credential(end.certificate).passphrase is not None


def with_everything(known: dict[str, object]) -> dict[str, object]:
    """All names, and ``everything``: the same as one value, for a program that reads JSON."""
    return {**known, "everything": known}


def shared_missing(end: ServerSpec | ClientSpec, honours: Honours, title: str) -> Iterator[str]:
    """Versions that it can't be told, for people."""
    if not set(end.tls) <= honours.tls:
        beyond = ", ".join(version for version in end.tls if version not in honours.tls)
        yield f"{title} can't be told to speak {beyond}"
    if has_gap(end.tls) and not honours.gaps:
        yield f"{title} takes a lowest and a highest TLS version, and can't leave out one between them"


def shared_given(end: ServerSpec | ClientSpec) -> Iterator[tuple[str, bool]]:
    """Settings under their names in a scenario, and whether this end has them at another value than the usual one."""
    yield "ciphers", end.ciphers is not None
    yield "ciphersuites", end.ciphersuites is not None
    yield "groups", bool(end.groups)
    yield "partial_chain", VerifyFlag.PARTIAL_CHAIN in end.verify_flags
    yield "passphrase", end.passphrase is not None
    yield "security_level", end.security_level != 2
    yield "signature_algorithms", bool(end.signature_algorithms)
    yield "x509_strict", VerifyFlag.STRICT in end.verify_flags
