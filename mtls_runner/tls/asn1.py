"""The one place that knows which library reads and writes ASN.1 where ``cryptography`` is too strict or has no way to.

That is asn1crypto, part by part, each loaded when it is first asked for (``asn1.x509``): few runs need any. It has had no release
since 2022; whoever replaces it finds all that is used of it by the importers of this module.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any

#: Of ML-DSA's parameter sets (RFC 9881 §3), which came after it; the lab's names for keys of theirs.
_ML_DSA = {
    "2.16.840.1.101.3.4.3.17": "ml-dsa-44",
    "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
    "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
}
_PARTS = ("algos", "core", "crl", "keys", "ocsp", "parser", "pkcs12", "x509")


def __getattr__(part: str) -> Any:
    if part not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {part!r}")
    module = import_module(f"asn1crypto.{part}")
    if "asn1crypto.keys" in sys.modules:
        _read_any_key()
    return module


@cache
def _read_any_key() -> None:
    """Have it read certificates whose key is of an algorithm that it does not know."""
    keys, core = import_module("asn1crypto.keys"), import_module("asn1crypto.core")
    content_of_known = keys.PublicKeyInfo._spec_callbacks["public_key"]  # there is no other way in

    def content(info: Any) -> Any:
        try:
            return content_of_known(info)
        except KeyError:
            return core.OctetBitString, None

    keys.PublicKeyInfo._spec_callbacks["public_key"] = content
    keys.PublicKeyAlgorithmId._map.update(_ML_DSA)
