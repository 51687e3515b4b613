"""Causes: what may be to blame, how sure that is, and which of them comes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from msgspec import Struct

from mtls_runner.model import listed
from mtls_runner.model.observation import Conclusion, Outcome, Reason

__all__ = ["Cause", "Certainty", "few", "ranked"]


class Certainty(IntEnum):
    """How much speaks for a cause, whatever the server said."""

    POSSIBLE = 0
    """Nothing at hand speaks against it."""
    LIKELY = 1
    """Something at hand speaks for it."""
    CERTAIN = 2
    """The material shows it."""


class Cause(Struct, frozen=True):
    """One thing that may be to blame.

    Args:
        outcome: what it leads to: who refuses whom.
        reason: the reason for that.
        text: what is wrong, as a sentence.
        remedy: what to change, as a sentence; ``""``: it follows from the text.
        commands: lines for a shell that would settle it.
        certainty: how sure it is.
    """

    outcome: Outcome
    reason: Reason
    text: str
    remedy: str = ""
    commands: tuple[str, ...] = ()
    certainty: Certainty = Certainty.CERTAIN


_FITS, _MAY_FIT, _OTHERWISE = 100, 50, 0
_REFUSED = (Outcome.SERVER_REFUSED, Outcome.ANSWERED, Outcome.ACCEPTED)
"""The last where the answer is an error."""
_FEW = 4
_SURELY_SHOWN = 3
"""Causes that are worth reading though what was seen does not point at them."""


def ranked(causes: Iterable[Cause], seen: Conclusion) -> tuple[Cause, ...]:
    """The most likely first: what explains what was seen, then what the material shows.

    Args:
        causes: in the order in which they were found, which counts among equals.
        seen: the outcome and the reasons that the evidence allows.
    """
    different: dict[tuple[Outcome, Reason, str], Cause] = {}
    for cause in causes:
        different.setdefault((cause.outcome, cause.reason, cause.text), cause)
    found = sorted(different.values(), key=lambda cause: -_weight(cause, seen))
    fitting = [cause for cause in found if _weight(cause, seen) >= _MAY_FIT]
    others = [cause for cause in found if _weight(cause, seen) < _MAY_FIT and cause.certainty is Certainty.CERTAIN]
    return (*fitting, *others[:_SURELY_SHOWN]) if fitting else tuple(found)


def _weight(cause: Cause, seen: Conclusion) -> int:
    if seen.outcome is Outcome.PROTOCOL_ERROR:  # which no cause of either end's leads to
        return _MAY_FIT + 10 * cause.certainty
    refused = cause.outcome in _REFUSED and seen.outcome in _REFUSED
    if cause.outcome is not seen.outcome and not refused:
        return _OTHERWISE + cause.certainty
    if seen.reasons and cause.reason not in seen.reasons:
        return _OTHERWISE + 10 + cause.certainty
    fits = _FITS if len(seen.reasons) == 1 else _MAY_FIT
    return fits + 10 * cause.certainty


def few(names: Sequence[str]) -> str:
    """The first of them, and how many more there are: a sentence has room for no more."""
    return listed(names, _FEW)
