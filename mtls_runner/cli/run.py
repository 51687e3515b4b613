"""``mtls-run run``."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from mtls_runner.cli.audience import Audience, Outlet
from mtls_runner.cli.choose import Choice, chosen
from mtls_runner.cli.color import colored, is_terminal
from mtls_runner.cli.diagnostics import complain
from mtls_runner.cli.exit_code import ExitCode, worst
from mtls_runner.cli.report_file import STANDARD_OUTPUT, ReportFiles
from mtls_runner.cli.stop import STOP
from mtls_runner.errors import ScenarioError, UsageError
from mtls_runner.language.reading import TreeSettings, tree_settings
from mtls_runner.model.case import Plan
from mtls_runner.model.event import RunFinished
from mtls_runner.model.traits import ReporterTraits
from mtls_runner.model.verdict import Status
from mtls_runner.registry import reporters
from mtls_runner.reporters.console import ConsoleReporter
from mtls_runner.reporters.github import GithubReporter, wanted, workspace
from mtls_runner.reporters.page import Page, PlainPage, marks_for

__all__ = ["Choice", "Report", "RunRequest", "reports", "run"]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """How to run and what to tell, as typed.

    Args:
        jobs, fail_fast, verbose, color: as the options.
        keep: where material is left; ``""`` is the place that lab.yaml names.
        reports: what is written, each with its file.
    """

    jobs: int | None = None
    fail_fast: bool = False
    verbose: bool = False
    keep: str | None = None
    reports: Sequence[Report] = ()
    color: str = "auto"


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is to be written, and the option that asked for it."""

    option: str
    traits: ReporterTraits
    path: str


def reports(typed: Sequence[str], **paths: str | None) -> list[Report]:
    """What ``--report NAME=FILE`` asks for, and the options that are called as a reporter.

    Raises:
        UsageError: no such reporter, or no file.
    """
    known = reporters()
    found = [Report(f"--{name}", known[name], path) for name, path in paths.items() if path is not None]
    for text in typed:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            example = name if name in known else next(iter(known))
            raise UsageError(f"--report {text}: NAME=FILE is expected, such as {example}=report.{example}")
        found.append(Report(f"--report {name}", known.named(name), path))
    return found


def run(choice: Choice, manner: RunRequest, *, list_only: bool = False) -> ExitCode:
    """Choose, run, report; the exit code.

    Raises:
        UsageError: nothing was run, since what was typed is wrong.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a name that the encoding lacks stops nothing
    stream = sys.stderr if any(report.path == STANDARD_OUTPUT for report in manner.reports) else sys.stdout
    try:
        plans = chosen(choice)
    except ScenarioError as error:
        return complain(error.diagnostics, color=colored(manner.color, sys.stderr))
    total = sum(len(plan.cases) for plan in plans)
    if list_only:
        for plan in plans:
            for case in plan.cases:
                click.echo(case.id)
        return ExitCode.OK if total else ExitCode.NOTHING_RUN
    if not total:
        click.echo("mtls-run: no case matches", err=True)
        return ExitCode.NOTHING_RUN
    return _run(plans, choice, manner, stream)


def _run(plans: list[Plan], choice: Choice, manner: RunRequest, stream: TextIO) -> ExitCode:
    from mtls_runner.engine.run import RunOptions, places
    from mtls_runner.engine.run import run as start
    from mtls_runner.engine.workdir import claim

    tree = [tree_settings(plan.path) for plan in plans]
    jobs = manner.jobs or min((each.jobs for each in tree if each.jobs is not None), default=1)
    options = RunOptions(jobs=jobs, fail_fast=manner.fail_fast, keep=_keep(manner.keep, tree), strict=choice.strict)
    inputs = [file for plan in plans for file in (plan.path, *plan.files)]
    with STOP.cleanly(), ReportFiles(inputs) as files:
        audience = Audience(_outlets(manner, stream, files), STOP)
        for place in places(options.keep, plans):
            if place is not None:
                claim(place)
        end = audience.follow(start(plans, options, audience.tell))
        audience.close()
    if audience.gone:
        return ExitCode.PIPE_CLOSED
    codes = [_code(end) if end is not None else ExitCode.BROKEN]
    if audience.broken:
        codes.append(ExitCode.BROKEN)
    return worst(*codes)


def _keep(typed: str | None, tree: Sequence[TreeSettings]) -> Path | None:
    """Where material is left; a directory of its own for each run where lab.yaml or nobody names the place."""
    if typed is None or typed:
        return Path(typed) if typed else None
    place = next((each.artifacts for each in tree if each.artifacts is not None), Path(".mtls-run"))
    return place / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"


def _code(end: RunFinished) -> ExitCode:
    codes = [ExitCode.OK]
    if end.interrupted:
        codes.append(ExitCode.INTERRUPTED)
    if end.error or end.counts.get(Status.ERROR):
        codes.append(ExitCode.BROKEN)
    if end.counts.get(Status.FAIL):
        codes.append(ExitCode.FAILED)
    if not any(end.counts.get(status) for status in (Status.PASS, Status.FAIL, Status.ERROR)):
        codes.append(ExitCode.NOTHING_RUN)
    return worst(*codes)


def _outlets(manner: RunRequest, stream: TextIO, files: ReportFiles) -> list[Outlet]:
    """The console and the reports, their files opened now: a path that can't be written is told before the work."""
    outlets = [Outlet("the console", _console(manner, stream), stream)]
    if wanted(os.environ):
        outlets.append(Outlet("the annotations", GithubReporter(stream, workspace(os.environ)), stream))
    for report in manner.reports:
        file = files.open(report.option, report.path)
        outlets.append(Outlet(f"the {report.traits} report", report.traits.make(file.stream), file.stream, file))
    return outlets


def _console(manner: RunRequest, stream: TextIO) -> ConsoleReporter:
    color = colored(manner.color, stream)
    page: Page
    if color or is_terminal(stream):
        from mtls_runner.reporters.live import RichPage

        page = RichPage(stream, color=color, live=is_terminal(stream))
    else:
        page = PlainPage(stream)
    return ConsoleReporter(page, marks_for(stream), verbose=manner.verbose)
