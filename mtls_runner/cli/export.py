"""``mtls-run export``."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import replace

from mtls_runner.cli import STOP
from mtls_runner.cli.choose import Choice
from mtls_runner.cli.diagnostics import complain
from mtls_runner.cli.one_file import live_progress, one_plan
from mtls_runner.cli.program import ExitCode
from mtls_runner.clients.curl import TRAITS as CURL
from mtls_runner.errors import ScenarioError
from mtls_runner.export.script import export as make
from mtls_runner.model import plural
from mtls_runner.model.case import Plan
from mtls_runner.reporters import one_line

__all__ = ["export"]


def export(choice: Choice, directory: str) -> ExitCode:
    """Write a scenario as a shell script into a directory, and say what it does not show.

    Raises:
        UsageError: what was typed is wrong, nothing can be exported, or somebody else's files are in the way.
        LabError: material can't be made, or nothing can be written.
    """
    try:
        plan, without = _with_curl(choice)
    except ScenarioError as error:
        return complain(error.diagnostics)
    with STOP.cleanly(), live_progress() as progress:
        made = make(plan, Path(directory), progress, without=without)
    script, cases = one_line(str(made.script)), plural(len(made.names), "case")
    click.echo(f"wrote {script}: {cases}; run it with: bash {script}")
    for line in made.forged:
        click.echo(f"made here, since openssl can't: {one_line(line)}")
    if made.not_compared:
        click.echo(f"not compared: {', '.join(made.not_compared)}")
    for why, names in made.left_out:
        click.echo(f"left out ({len(names)}), since {one_line(why)}: {one_line('; '.join(names))}")
    for name in made.left:
        click.echo(one_line(f"note: left alone, changed since it was exported: {name}"), err=True)
    return ExitCode.OK


def _with_curl(choice: Choice) -> tuple[Plan, list[tuple[str, str]]]:
    """The plan with curl for every client that curl can stand for, and the cases of the others with the reason why not."""
    written = one_plan(choice)
    plan = one_plan(replace(choice, tool=CURL.name))
    others = [case for case in written.cases if case.client is not None and not case.client.tool.like_curl]
    if not others:
        return plan, []
    alone = {case.span for case in others} - {case.span for case in written.cases if case not in others}
    kept = tuple(case for case in plan.cases if case.span not in alone)
    why = "there is no plain command that connects as {} does"
    return replace(plan, cases=kept), [
        (case.name, why.format(case.client.tool)) for case in others if case.client is not None
    ]
