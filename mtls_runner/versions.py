"""Versions of programs, and ranges of them."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["satisfies"]

_RELEASE = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_BARE = re.compile(r"\s*[0-9.]+\s*")


@lru_cache(maxsize=256)
def satisfies(version: str, condition: str) -> bool:
    """Whether ``7.88.1-DEV`` satisfies ``>=7.80,<8.16``: the release counts (PEP 440), nothing behind it.

    Args:
        version: as the program says it; one without a number satisfies nothing.
        condition: clauses, separated by commas: a version, or one behind ``>=``, ``<=``, ``==``, ``!=``, ``>`` or ``<``.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    release = _RELEASE.match(version)
    clauses = (f"=={clause}" if _BARE.fullmatch(clause) else clause for clause in condition.split(","))
    try:
        return release is not None and SpecifierSet(",".join(clauses)).contains(release[0])
    except InvalidSpecifier:
        return False
