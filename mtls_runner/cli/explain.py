"""``mtls-run explain``."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime

import click
from msgspec.structs import replace

from mtls_runner.cli import output_width
from mtls_runner.cli.choose import Choice, named, unknown_case
from mtls_runner.cli.diagnostics import complain
from mtls_runner.cli.one_file import one_plan
from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import ScenarioError
from mtls_runner.explain.explanation import explain as paragraphs
from mtls_runner.explain.words import TextLine
from mtls_runner.model.case import Plan
from mtls_runner.reporters import colored, one_line
from mtls_runner.snippet import width

__all__ = ["explain"]

_NARROWEST = 30
"""Columns of text beside a mark, on however small a terminal."""


def explain(choice: Choice, case: str | None, color: str) -> ExitCode:
    """Say what a scenario is and what should happen; nothing is run.

    Raises:
        UsageError: what was typed is wrong, or no case is called that.
    """
    try:
        plan = one_plan(choice)
    except ScenarioError as error:
        return complain(error.diagnostics, color)
    in_full = case is not None or any("::" in path for path in choice.paths)
    if case is not None:
        plan = _only(plan, case)
    bold = colored(color, sys.stdout)
    columns = output_width()
    for line in paragraphs(plan, datetime.now(UTC), in_full=in_full):
        for text in _broken(line, columns):
            click.echo(click.style(text, bold=True) if line.heading and bold else text, color=bold)
    return ExitCode.OK


def _only(plan: Plan, wanted: str) -> Plan:
    cases = tuple(case for case in plan.cases if named(case, (wanted,)) or case.id == wanted)
    if not cases:
        raise unknown_case(plan, wanted)
    return replace(plan, cases=cases)


def _broken(line: TextLine, columns: int) -> Iterator[str]:
    """The lines of a paragraph; what follows a mark is set beside it."""
    if not line.text:
        yield ""
        return
    margin = " " * line.indent
    first = margin + one_line(line.mark)
    under = margin + line.under if line.under is not None else " " * width(first)
    yield from textwrap.wrap(
        one_line(line.text),
        max(columns, width(first) + _NARROWEST),
        initial_indent=first,
        subsequent_indent=under,
        break_long_words=False,
        break_on_hyphens=False,
    )
