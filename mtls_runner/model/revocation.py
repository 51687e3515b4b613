"""What an authority says about the certificates that it has withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from mtls_runner.model.spec import Defect, Moment

__all__ = ["CrlSpec"]


@dataclass(frozen=True, slots=True)
class CrlSpec:
    """One certificate revocation list (RFC 5280 §5).

    Args:
        id: unique within the plan's CRLs; an authority's own is called as the authority.
        issuer: id of the authority that signs it; ``""`` for a file.
        this_update, next_update: when it was made, and when the next one is due.
        revoked: ids of the certificates on it; reason and date are theirs.
        number: its ``cRLNumber``.
        defects: ``WRONG_SIGNATURE_KEY``, ``CORRUPTED_SIGNATURE`` or ``WRONG_ISSUER_NAME``.
        file: the user's own, by absolute path, instead of a generated one; then everything else but ``id`` is unused.
    """

    id: str
    issuer: str
    this_update: Moment = Moment(timedelta(hours=-1))
    next_update: Moment = Moment(timedelta(days=7))
    revoked: tuple[str, ...] = ()
    number: int = 1
    defects: tuple[Defect, ...] = ()
    file: Path | None = None
