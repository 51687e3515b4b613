"""Reading certificates that the lab did not make, also those that ``cryptography`` refuses and OpenSSL accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mtls_runner.tls import asn1

__all__ = ["attempt", "load_certificate"]

T = TypeVar("T")


def attempt(what: Callable[[], T]) -> T | None:
    """What a part of a structure says; ``None``: it can't be read, or is not there."""
    try:
        return what()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def load_certificate(der: bytes) -> Any | None:
    """A certificate as the ASN.1 library has it, whose parts are read when they are asked for; ``None``: it is none."""
    return attempt(lambda: asn1.x509.Certificate.load(der))
