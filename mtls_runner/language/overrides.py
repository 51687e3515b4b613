"""What the command line sets."""

from __future__ import annotations

from dataclasses import dataclass

from mtls_runner.model.traits import Runtime

__all__ = ["Overrides"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line sets for all cases.

    Args:
        backend: of every server.
        tool: of every client.
        image: of every container.
        runtime: of every server whose backend has a choice.
        allow_commands: commands that a scenario's tree brings may run.
    """

    backend: str | None = None
    tool: str | None = None
    image: str | None = None
    runtime: Runtime | None = None
    allow_commands: bool = False
