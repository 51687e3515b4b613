"""``mtls-run config``."""

from __future__ import annotations

import click

from mtls_runner.cli.choose import Choice, overrides, targets
from mtls_runner.cli.diagnostics import complain
from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import Diagnostic, ScenarioError
from mtls_runner.language.settings import settings_for
from mtls_runner.reporters import one_line

__all__ = ["config"]


def config(choice: Choice) -> ExitCode:
    """Print every setting of every scenario, with where its value came from.

    Raises:
        UsageError: a path or a name is wrong.
    """
    given = overrides(choice)
    wrong: list[Diagnostic] = []
    pages: list[str] = []
    for target in targets(choice):
        try:
            settings = settings_for(target.path, given)
        except ScenarioError as error:
            wrong.extend(error.diagnostics)
            continue
        rows = [(one_line(key), one_line(value), one_line(origin)) for key, value, origin in settings]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines = [one_line(str(target.path))]
        lines += [f"  {key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in rows]
        pages.append("\n".join(lines))
    if wrong:
        return complain(wrong)
    click.echo("\n\n".join(pages))
    return ExitCode.OK
