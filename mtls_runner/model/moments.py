"""Points in time for people: the day, and the time of day where it matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["minute", "moment"]

_NEAR = timedelta(days=2)


def minute(when: datetime) -> str:
    """``2026-11-24 23:58Z``."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def moment(when: datetime, now: datetime) -> str:
    """``2026-11-24``; with the time of day when it is less than two days away from ``now``. Both are aware."""
    if abs(when - now) < _NEAR:
        return minute(when)
    return when.astimezone(UTC).strftime("%Y-%m-%d")
