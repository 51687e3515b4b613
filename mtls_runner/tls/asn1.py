"""The one place that knows which library reads and writes ASN.1 where ``cryptography`` is too strict or has no way to.

That is asn1crypto, part by part, each loaded when it is first asked for (``asn1.x509``): few runs need any. It has had no release
since 2022; whoever replaces it finds all that is used of it by the importers of this module.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PARTS = ("algos", "core", "crl", "keys", "ocsp", "parser", "pkcs12", "x509")


def __getattr__(part: str) -> Any:
    if part not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {part!r}")
    return import_module(f"asn1crypto.{part}")
