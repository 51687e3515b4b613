"""What an author may write: the only room that knows YAML and Pydantic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mtls_runner.model.traits import Runtime

if TYPE_CHECKING:
    from mtls_runner.model.case import Plan


__all__ = ["Overrides", "load"]


class Overrides(Struct, frozen=True):
    """What the command line sets for all cases.

    Args:
        backend: of every server.
        tool: of every client.
        image: of every container.
        runtime: of every server whose backend has a choice.
        allow_commands: commands that a scenario's tree brings may run.
        tree: a path, whose tree's declarations can be named; ``None``: those of the scenario's own.
    """

    backend: str | None = None
    tool: str | None = None
    image: str | None = None
    runtime: Runtime | None = None
    allow_commands: bool = False
    tree: Path | None = None


_NONE = Overrides()


def load(path: Path, overrides: Overrides = _NONE) -> Plan:
    """A scenario file, resolved.

    Raises:
        ScenarioError: with every mistake of the file, and of the lab.yaml above it.
        UsageError: the overrides name a backend or tool that there is not.
    """
    from mtls_runner.language.plan import load_plan

    return load_plan(path, overrides)
