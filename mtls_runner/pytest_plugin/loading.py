"""Scenario files under pytest's options; their mistakes as collection errors."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mtls_runner.language import Overrides
    from mtls_runner.model.case import Plan

__all__ = ["find", "load_plan", "typed_again"]


def load_plan(path: Path, config: pytest.Config, *, tool: str | None = None) -> Plan:
    """A scenario file, resolved.

    Args:
        path: of the file; it is shown as a person types it from where pytest was started.
        config: its options set the backend, the tool, the image and the runtime, and say whether warnings are errors.
        tool: set for all cases, whatever the options say.

    Raises:
        CollectError: the file is invalid, with every mistake that is in it; or an option names what there is not.
    """
    from msgspec.structs import replace

    from mtls_runner.errors import ScenarioError, Severity, UsageError
    from mtls_runner.language import load
    from mtls_runner.language.tree import as_shown
    from mtls_runner.snippet.rendering import render

    try:
        plan = load(as_shown(path), _overrides(config, tool))
        if config.getoption("mtls_strict") and plan.warnings:
            raise ScenarioError([replace(warning, severity=Severity.ERROR) for warning in plan.warnings])
    except UsageError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    except ScenarioError as error:
        texts: dict[Path, str] = {}
        for diagnostic in error.diagnostics:
            if diagnostic.span is not None and diagnostic.span.path not in texts:
                texts[diagnostic.span.path] = diagnostic.span.path.read_text("utf-8-sig", "replace")
        parts = [
            render(diagnostic, texts[diagnostic.span.path] if diagnostic.span is not None else "")
            for diagnostic in error.diagnostics
        ]
        raise pytest.Collector.CollectError("\n\n".join(part.rstrip("\n") for part in parts)) from None
    return plan


def _overrides(config: pytest.Config, tool: str | None) -> Overrides:
    from mtls_runner.language import Overrides
    from mtls_runner.model.traits import Runtime

    option = config.getoption
    return Overrides(
        backend=option("mtls_backend"),
        tool=tool or option("mtls_tool"),
        image=option("mtls_image"),
        runtime=Runtime(option("mtls_runtime")) if option("mtls_runtime") else None,
        allow_commands=bool(config.getini("mtls_allow_commands")),
    )


def typed_again(node: str, config: pytest.Config) -> str:
    """The command that runs one test alone, with the options that make a difference to it."""
    typed = ["pytest", node]
    for name in ("backend", "tool", "runtime", "image"):
        value = config.getoption(f"mtls_{name}")
        typed += [f"--mtls-{name}", value] if value else []
    return shlex.join([*typed, *(["--mtls-strict"] if config.getoption("mtls_strict") else [])])


def find(pattern: str, beside: Path, root: Path) -> list[Path]:
    """The scenario files that a test names: beside it, or in the first directory above it that has them.

    Args:
        pattern: a path, or a glob pattern (``labs/*.yaml``; ``**`` is any number of directories).
        beside: the test's file.
        root: the last directory to look in, pytest's root directory.

    Raises:
        FileNotFoundError: there is none; the text says where was looked.
    """
    if Path(pattern).is_absolute():
        if Path(pattern).is_file():
            return [Path(pattern)]
        raise FileNotFoundError(f"there is no scenario {pattern!r}")
    for directory in beside.parents:
        found = sorted(path for path in directory.glob(pattern) if path.is_file() and path.stem != "lab")
        if found:
            return found
        if directory == root:
            break
    raise FileNotFoundError(f"there is no scenario {pattern!r} beside {beside.name} nor above it, up to {root}")
