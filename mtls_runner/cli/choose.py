"""From what was typed to the cases that run."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from mtls_runner.cli.discover import Target, discover
from mtls_runner.cli.select import compile_expression, named
from mtls_runner.errors import ScenarioError
from mtls_runner.language import Overrides, load
from mtls_runner.model.case import Plan
from mtls_runner.model.traits import Runtime
from mtls_runner.span import Diagnostic, Severity

__all__ = ["Choice", "chosen", "overrides", "targets"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What to run, as typed; ``commands`` are the words that a mistyped path may have meant."""

    paths: Sequence[str]
    expression: str | None = None
    tags: Sequence[str] = ()
    backend: str | None = None
    tool: str | None = None
    image: str | None = None
    runtime: str | None = None
    strict: bool = False
    commands: Sequence[str] = ()
    allow_commands: bool = False


def targets(choice: Choice) -> list[Target]:
    """The scenario files.

    Raises:
        UsageError: a path is wrong.
    """
    return discover(choice.paths, choice.commands)


def chosen(choice: Choice) -> list[Plan]:
    """The plans, with only the cases that were asked for; files without one are left out.

    Raises:
        UsageError: a path, an expression or a name is wrong.
        ScenarioError: any file is invalid (all mistakes of all files), or ``strict`` and there are warnings.
    """
    wanted = compile_expression(choice.expression) if choice.expression is not None else None
    files = targets(choice)
    with _no_collection():
        plans = _loaded(files, overrides(choice), choice.strict)
    selected: list[Plan] = []
    for target, plan in zip(files, plans, strict=True):
        cases = tuple(
            case
            for case in plan.cases
            if named(case.id.removeprefix(f"{plan.path}::"), target.names)
            and (wanted is None or wanted(case.id))
            and (not choice.tags or not set(choice.tags).isdisjoint(case.tags))
        )
        if cases:
            selected.append(replace(plan, cases=cases) if len(cases) < len(plan.cases) else plan)
    return selected


def overrides(choice: Choice) -> Overrides:
    """What was typed that counts for every case."""
    runtime = Runtime(choice.runtime) if choice.runtime is not None else None
    return Overrides(choice.backend, choice.tool, choice.image, runtime, choice.allow_commands)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Loading makes many objects that live to the end: looking for garbage among them takes a tenth of the start."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if wanted:
            gc.enable()


def _loaded(files: Sequence[Target], given: Overrides, strict: bool) -> list[Plan]:
    plans: list[Plan] = []
    wrong: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    for target in files:
        try:
            plan = load(target.path, given)
        except ScenarioError as error:
            wrong.extend(error.diagnostics)
        else:
            plans.append(plan)
            warnings.extend(plan.warnings)
    if strict:
        wrong.extend(replace(warning, severity=Severity.ERROR) for warning in warnings)
    if wrong:
        raise ScenarioError(wrong)
    return plans
