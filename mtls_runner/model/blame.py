"""Which certificate is to blame for a refusal: the fault of a chain for which a verifier refused by a certain reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from mtls_runner.model.chain import Certificates, Verifier, lineage
from mtls_runner.model.chain_faults import ANOTHER_NAME, Fault, faults
from mtls_runner.model.observation import Reason

__all__ = ["blame"]

_R = Reason
#: Ends differ in which of these they name.
_ALIKE: Mapping[Reason, Reason] = {
    _R.UNKNOWN_CA: _R.SELF_SIGNED,
    _R.SELF_SIGNED: _R.UNKNOWN_CA,
    _R.WRONG_PURPOSE: _R.INVALID_CA,
    _R.INVALID_CA: _R.WRONG_PURPOSE,
}


def blame(
    reason: Reason, sent: Sequence[str], verifier: Verifier, certificates: Certificates, now: datetime
) -> Fault | None:
    """The fault; ``None``: the descriptions show none.

    Args:
        reason: as observed, or expected.
        sent, verifier, certificates, now: as for :func:`~mtls_runner.model.chain_faults.faults`.
    """
    seen = faults(sent, verifier, certificates, now)
    for wanted in (reason, _ALIKE.get(reason)):
        found = next((one for one in seen if one.reason is wanted), None)
        if found is not None:
            return found
    path = lineage(certificates, sent[0]) if sent else ()
    for depth, one in enumerate(path):
        if one.files is not None:
            continue
        if reason is _R.NAME_MISMATCH:
            names = ", ".join(one.san) if one.san else f"nothing but its subject {one.subject or '(empty)'}"
            told = f"names {names}, and the client asks for {verifier.name or 'the address that it connects to'}"
            return Fault(one.id, depth, reason, ANOTHER_NAME, told)
        role = "intermediate" if depth else "certificate"
        if reason is _R.REVOKED and one.revoked is not None:
            why = f"revoked: {one.revoked.reason}"
            return Fault(one.id, depth, reason, why, f"is revoked ({one.revoked.reason})", role)
        if reason is _R.NAME_CONSTRAINTS and depth and one.name_constraints is not None:
            below = path[depth - 1].id
            told = f"has a name that `{one.id}` may not certify (nameConstraints)"
            return Fault(below, depth - 1, reason, f"{one.id} may not certify its names", told, link=True)
    return None
