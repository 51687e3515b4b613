"""Runs plans: forges, serves, probes, judges, compares; tells what happens as events."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtls_runner.engine.lab import Lab
    from mtls_runner.engine.run import RunOptions, run

__all__ = ["Lab", "RunOptions", "run"]

_HOMES = {"Lab": "lab", "RunOptions": "run", "run": "run"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
