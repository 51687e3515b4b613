"""What an author may write: the only room that knows YAML and Pydantic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtls_runner.model.case import Plan

from mtls_runner.language.overrides import Overrides

__all__ = ["Overrides", "load"]


_NONE = Overrides()


def load(path: Path, overrides: Overrides = _NONE) -> Plan:
    """A scenario file, resolved.

    Raises:
        ScenarioError: with every mistake of the file, and of the lab.yaml above it.
        UsageError: the overrides name a backend or tool that there is not.
    """
    from mtls_runner.language.reading import load_plan

    return load_plan(path, overrides)
