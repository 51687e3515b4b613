"""``mtls-run check``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mtls_runner.cli.choose import SETTINGS_FILES, Choice, Target, overrides, targets
from mtls_runner.cli.diagnostics import complain, show
from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import Diagnostic, ScenarioError
from mtls_runner.language import load
from mtls_runner.language.tree import tree_settings
from mtls_runner.model import plural

__all__ = ["check"]


def check(choice: Choice, color: str) -> ExitCode:
    """Validate files and run nothing; a lab.yaml is validated as what it is.

    Raises:
        UsageError: a path is wrong.
    """
    wrong: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    good: list[str] = []
    for target in targets(choice, settings=True):
        try:
            good.append(_checked(target, choice, warnings))
        except ScenarioError as error:
            wrong.extend(error.diagnostics)
    if wrong or (choice.strict and warnings):
        return complain([*wrong, *warnings], color)
    show(warnings, color)
    for line in good:
        click.echo(line)
    return ExitCode.OK


def _checked(target: Target, choice: Choice, warnings: list[Diagnostic]) -> str:
    if target.path.name in SETTINGS_FILES:
        tree_settings(target.path)
        return f"{target.path}: settings, all right"
    plan = load(target.path, overrides(choice))
    warnings += plan.warnings
    return f"{target.path}: {plural(len(plan.cases), 'case')}, all right" + _warned(plan.warnings)


def _warned(warnings: Sequence[Diagnostic]) -> str:
    return f" but for {plural(len(warnings), 'warning')}" if warnings else ""
