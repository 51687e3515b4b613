"""``mtls-run conformance``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from mtls_runner.atomic_file import AtomicFile
from mtls_runner.cli import STOP
from mtls_runner.cli.program import ExitCode, worst
from mtls_runner.cli.report_file import STANDARD_OUTPUT, ReportFiles
from mtls_runner.cli.run import Audience, Outlet
from mtls_runner.conformance.case import CatalogueFile
from mtls_runner.conformance.catalogue import CATALOGUE, plans
from mtls_runner.conformance.collector import Collector
from mtls_runner.conformance.console import lines
from mtls_runner.conformance.table import OutcomeTable, outcome_table
from mtls_runner.engine import RunOptions, run
from mtls_runner.errors import UsageError
from mtls_runner.model.traits import Runtime
from mtls_runner.model.verdict import Status, Verdict
from mtls_runner.reporters import Style, is_terminal, marks_for

__all__ = ["ConformanceRequest", "conformance", "where"]


@dataclass(frozen=True, slots=True)
class ConformanceRequest:
    """What was typed."""

    backends: Sequence[str]
    tools: Sequence[str]
    image: str | None = None
    runtime: str | None = None
    jobs: int | None = None
    json_path: str | None = None
    html_path: str | None = None
    markdown_path: str | None = None
    check_path: str | None = None


def where() -> ExitCode:
    """Say where the catalogue's scenario files lie."""
    click.echo(str(CATALOGUE))
    return ExitCode.OK


def conformance(wish: ConformanceRequest) -> ExitCode:
    """Run the catalogue and tell what happened.

    Raises:
        UsageError: a backend or tool is unknown, or a report can't be written.
        ScenarioError: the catalogue itself is invalid.
    """
    chosen = list(plans(wish.backends, wish.tools, wish.image, Runtime(wish.runtime) if wish.runtime else None))
    with STOP.cleanly(), ReportFiles(plan.path for plan in chosen) as files:
        paths = {"--json": wish.json_path, "--html": wish.html_path, "--markdown": wish.markdown_path}
        with STOP.undivided():
            reports = {path: files.open(option, path) for option, path in paths.items() if path}
        expected = _expected(wish.check_path)
        live = sys.stderr if is_terminal(sys.stderr) else None
        collector = Collector(_show_progress if live is not None else None)
        outlet = Outlet("the collection of results", collector, sys.stdout)
        audience = Audience([outlet], STOP)
        end = audience.follow(run(chosen, RunOptions(jobs=wish.jobs or os.cpu_count() or 1)))
        audience.close()
        if live is not None:
            click.echo("\r\033[K", err=True, nl=False)
        groups = collector.groups
        told = outcome_table(groups, collector.versions)
        code = _code(groups)
        if end is None or end.error or audience.broken:
            code = worst(code, ExitCode.BROKEN)
            click.echo(f"mtls-run: {end.error if end is not None and end.error else 'the run broke'}", err=True)
        if end is not None and end.interrupted:
            return ExitCode.INTERRUPTED  # half a table would be a wrong one
        _write(wish, told, groups, collector, reports)
    if STANDARD_OUTPUT not in reports:
        _print(told, groups)
    if expected is not None:
        code = worst(code, _compared(told, expected, wish.check_path or ""))
    return code


def _expected(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--check: {path} can't be read: {error}") from error


def _show_progress(doing: str, done: int, total: int) -> None:
    click.echo(f"\r\033[K  {done}/{total}  {doing}", err=True, nl=False)


def _write(
    wish: ConformanceRequest,
    told: OutcomeTable,
    groups: Sequence[CatalogueFile],
    collector: Collector,
    reports: dict[str, AtomicFile],
) -> None:
    if wish.json_path is not None:
        from mtls_runner.conformance.json_form import json_form

        json.dump(json_form(groups, collector.versions), reports[wish.json_path].stream, indent=1)
    if wish.html_path is not None:
        from mtls_runner.conformance.page import page

        reports[wish.html_path].stream.write(page(told))
    if wish.markdown_path is not None:
        from mtls_runner.conformance.markdown import markdown

        reports[wish.markdown_path].stream.write(markdown(told))
    for report in reports.values():
        report.keep()


def _print(told: OutcomeTable, groups: Sequence[CatalogueFile]) -> None:
    marks = marks_for(sys.stdout)
    for line in lines(told, passed=marks[Style.PASS], failed=marks[Style.FAIL]):
        click.echo(line)
    broken: dict[str, list[Verdict]] = {}
    for verdict in _verdicts(groups):
        if verdict.status is Status.FAIL:
            click.echo(f"\nFAIL {verdict.case.id} ({verdict.case.server.backend})")
            for mismatch in verdict.mismatches:
                click.echo(f"  {mismatch.told}")
        elif verdict.status is Status.ERROR:
            broken.setdefault(verdict.error, []).append(verdict)
    for error, verdicts in broken.items():
        first = f"{verdicts[0].case.id} ({verdicts[0].case.server.backend})"
        click.echo(f"\nERROR {first}" + (f" and {len(verdicts) - 1} more" if len(verdicts) > 1 else ""))
        click.echo(f"  {error}")
    counts = {status: sum(verdict.status is status for verdict in _verdicts(groups)) for status in Status}
    click.echo(
        f"\n{told.faults} faults: {counts[Status.PASS]} passed, {counts[Status.FAIL]} failed, "
        f"{counts[Status.ERROR]} broken, {counts[Status.SKIP]} skipped"
    )
    click.echo(", ".join(f"{name} {version}" for name, version in told.versions.items()))


def _compared(told: OutcomeTable, expected: str, path: str) -> ExitCode:
    from mtls_runner.conformance.markdown import markdown, same

    if same(markdown(told), expected):
        click.echo(f"{path} is current")
        return ExitCode.OK
    click.echo(
        f"mtls-run: {path} is not current: make it again with --markdown {path}, and look at what changed", err=True
    )
    return ExitCode.FAILED


def _verdicts(groups: Sequence[CatalogueFile]) -> list[Verdict]:
    return [verdict for group in groups for entry in group.entries for verdict in entry.verdicts.values()]


def _code(groups: Sequence[CatalogueFile]) -> ExitCode:
    statuses = {verdict.status for verdict in _verdicts(groups)}
    codes = [ExitCode.OK]
    if Status.ERROR in statuses:
        codes.append(ExitCode.BROKEN)
    if Status.FAIL in statuses:
        codes.append(ExitCode.FAILED)
    if not statuses - {Status.SKIP}:
        codes.append(ExitCode.NOTHING_RUN)
    return worst(*codes)
