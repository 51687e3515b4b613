"""What the command line sets."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Overrides"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line sets for all cases.

    Args:
        backend: of every server.
        tool: of every client.
        image: of every container.
    """

    backend: str | None = None
    tool: str | None = None
    image: str | None = None
