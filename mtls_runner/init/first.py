"""The scenario that somebody begins with who has nothing yet."""

from __future__ import annotations

from mtls_runner.init.text import rendered
from mtls_runner.init.write import Draft

__all__ = ["first"]


def first() -> Draft:
    """A scenario that runs at once."""
    return Draft("first.yaml", rendered("first.yaml", {}))
