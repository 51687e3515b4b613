"""Sets of TLS versions."""

from __future__ import annotations

from collections.abc import Sequence

from mtls_runner.model.endpoint import TlsVersion

__all__ = ["gap"]


def gap(versions: Sequence[TlsVersion]) -> bool:
    """Whether a version between the lowest and the highest is left out; ascending."""
    known = tuple(TlsVersion)
    first = known.index(versions[0])
    return tuple(versions) != known[first : first + len(versions)]
