"""``mtls-run run``, and everybody who is told what happens: the console and the report files."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.cli import STOP, Stop
from mtls_runner.cli.choose import Choice, NothingChosen, chosen, overrides
from mtls_runner.cli.program import Barrier, ExitCode, worst
from mtls_runner.errors import MtlsRunError, ScenarioError, UsageError
from mtls_runner.language.tree import TreeSettings, tree_settings
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.port import Reporter
from mtls_runner.model.traits import ReporterTraits, Runtime
from mtls_runner.model.verdict import WRONG, CaseFinished, Event, PlanStarted, RunFinished, Status
from mtls_runner.registry import reporters
from mtls_runner.reporters import Page, PlainPage, colored, is_terminal, marks_for, one_line
from mtls_runner.reporters.console import ConsoleReporter

if TYPE_CHECKING:
    from mtls_runner.atomic_file import AtomicFile

__all__ = ["Audience", "Choice", "Outlet", "Report", "RunRequest", "reports", "run"]


class Outlet(Struct):
    """A reporter, and where it writes.

    Args:
        name: for people, when it breaks.
        reporter: who is told.
        stream: what the reporter writes to.
        file: what has to be put in place at the end; ``None`` for the console.
        own: it keeps what later runs of this program need; when only such outlets are left, the run ends.
    """

    name: str
    reporter: Reporter
    stream: TextIO
    file: AtomicFile | None = None
    own: bool = False


class Audience:
    """Tells all outlets of all events; one that breaks is dropped, and the others never notice.

    Args:
        outlets: who is told.
        stop: defers signals while a line is written.
    """

    def __init__(self, outlets: Sequence[Outlet], stop: Stop) -> None:
        self._outlets = list(outlets)
        self._stop = stop
        self.broken = False
        """A reporter raised."""
        self.gone = False
        """Nobody reads any more: all output went into closed pipes."""

    def follow(self, events: Iterator[Event]) -> RunFinished | None:
        """Tell everything until the end, which is returned; ``None`` when all outlets are gone before it.

        Raises:
            KeyboardInterrupt: the person insists, and whatever still runs is left as it is.
        """
        end: RunFinished | None = None
        delivered = False
        with self._stop.gently():
            while True:
                event: Event | None
                if self._stop.requested and not delivered and end is None:
                    delivered = True
                    self._stop.patience()
                    event = _thrown_into(events)
                else:
                    event = next(events, None)
                if event is None:
                    return end
                if isinstance(event, RunFinished):
                    end = event
                try:
                    self.tell(event)
                except KeyboardInterrupt:  # while somebody who should read does not
                    if delivered:
                        raise
                if all(outlet.own for outlet in self._outlets) and not self.broken:
                    self.gone = True
                    _closed(events)
                    return end

    def close(self) -> None:
        """Finish every report that saw the end, and put it in place."""
        with self._stop.gently():
            for outlet in self._outlets:
                with Barrier(outlet.name) as barrier:
                    outlet.reporter.close()
                    if outlet.file is not None:
                        outlet.file.keep()
                self.broken |= barrier.broken
        self._outlets = []

    def tell(self, event: Event) -> None:
        """Tell an event at once: also while the engine is still working on the next one."""
        for outlet in list(self._outlets):
            with Barrier(outlet.name) as barrier:
                try:
                    outlet.reporter.handle(event)
                except BrokenPipeError:
                    self._outlets.remove(outlet)
                    _to_nowhere(outlet.stream)
            if barrier.broken:
                self.broken = True
                self._outlets.remove(outlet)
                with Barrier(outlet.name):
                    outlet.reporter.close()


def _thrown_into(events: Iterator[Event]) -> Event | None:
    """Raise the interrupt inside the engine, since it came between two events; the engine's next event."""
    if not isinstance(events, Generator):
        raise KeyboardInterrupt
    try:
        event: Event = events.throw(KeyboardInterrupt())
    except StopIteration:
        return None
    return event


def _closed(events: Iterator[Event]) -> None:
    if isinstance(events, Generator):
        events.close()


def _to_nowhere(stream: TextIO) -> None:
    """Point the stream at ``/dev/null``: flushing what is buffered must not raise once more when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class RunRequest(Struct, frozen=True):
    """How to run and what to tell, as typed.

    Args:
        jobs, fail_fast, verbose, color, access: as the options.
        keep: where material is left; ``""`` is the place that lab.yaml names.
        reports: what is written, each with its file.
        at: when it is run, as typed; ``None``: now.
        quiet: only what went wrong, and the summary.
        durations: how many of the slowest cases are named.
    """

    jobs: int | None = None
    fail_fast: bool = False
    verbose: bool = False
    keep: str | None = None
    reports: Sequence[Report] = ()
    color: str = "auto"
    at: str | None = None
    access: bool = False
    quiet: bool = False
    durations: int = 0


class Report(Struct, frozen=True):
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


def run(choice: Choice, request: RunRequest, *, list_only: bool = False) -> ExitCode:
    """Choose, run, report; the exit code.

    Raises:
        UsageError: nothing was run, since what was typed is wrong.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a name that the encoding lacks stops nothing
    stream = sys.stderr if _on_standard_output(request.reports) else sys.stdout
    try:
        plans = chosen(choice)
    except ScenarioError as error:
        from mtls_runner.cli.diagnostics import complain

        return complain(error.diagnostics, request.color)
    except NothingChosen as nothing:
        click.echo(f"mtls-run: {nothing}", err=True)
        return ExitCode.NOTHING_RUN
    if request.at is not None:
        from mtls_runner.cli.rehearse import later
        from mtls_runner.engine.moved import moved

        by = later("--at", request.at, datetime.now(UTC))
        plans = [moved(plan, by) for plan in plans]
    total = sum(len(plan.cases) for plan in plans)
    if list_only:
        for plan in plans:
            for case in plan.cases:
                click.echo(one_line(case.id) if is_terminal(sys.stdout) else case.id)
        return ExitCode.OK if total else ExitCode.NOTHING_RUN
    return _run(plans, choice, request, stream)


def _typed(choice: Choice, request: RunRequest) -> tuple[str, ...]:
    """The options that make a difference to a case, as they were typed."""
    valued = (
        ("--backend", choice.backend),
        ("--tool", choice.tool),
        ("--image", choice.image),
        ("--runtime", choice.runtime),
        ("--at", request.at),
    )
    flags = (("--allow-commands", choice.allow_commands), ("--strict", choice.strict))
    typed = [word for option, value in valued if value is not None for word in (option, value)]
    return (*typed, *(option for option, given in flags if given))


def _on_standard_output(reports: Sequence[Report]) -> bool:
    """Whether one of them goes there, so that the console has to go elsewhere."""
    if not reports:
        return False
    from mtls_runner.cli.report_file import STANDARD_OUTPUT

    return any(report.path == STANDARD_OUTPUT for report in reports)


def _run(plans: list[Plan], choice: Choice, request: RunRequest, stream: TextIO) -> ExitCode:
    from mtls_runner.engine import RunOptions, places
    from mtls_runner.engine import run as start
    from mtls_runner.private_files import claim

    tree = [tree_settings(plan.path) for plan in plans]
    jobs = request.jobs or min((each.jobs for each in tree if each.jobs is not None), default=_jobs(plans, request))
    keep = _keep(request.keep, tree)
    options = RunOptions(jobs, request.fail_fast, keep, choice.strict, _typed(choice, request))
    inputs = [file for plan in plans for file in (plan.path, *plan.files)]
    ledger = _Ledger()
    with STOP.cleanly(), ExitStack() as stack:
        with STOP.undivided():
            outlets = _outlets(request, stream, inputs, stack)
        audience = Audience([*outlets, Outlet("the ledger", ledger, stream, own=True)], STOP)
        for place in places(options.keep, plans):
            if place is not None:
                claim(place)
        end = audience.follow(start(plans, options, audience.tell))
        audience.close()
    ledger.keep()
    if audience.gone:
        return ExitCode.PIPE_CLOSED
    if end is not None and end.counts and set(end.counts) == {Status.SKIP}:
        stream.write(_way_out(plans, choice))
    codes = [_code(end) if end is not None else ExitCode.BROKEN]
    if audience.broken:
        codes.append(ExitCode.BROKEN)
    return worst(*codes)


def _jobs(plans: Sequence[Plan], request: RunRequest) -> int:
    """Two at once where nothing leaves this process and there are two processors: it is OpenSSL that works most of the time, and
    while it does, Python is free for another case. Otherwise, and where the first failure ends it all, one after the other.
    """
    cases = [case for plan in plans for case in plan.cases]
    runtimes = {case.server.backend.runtimes for case in cases}
    runtimes |= {case.client.tool.runtimes for case in cases if case.client is not None}
    embedded = all(Runtime.EMBEDDED in each for each in runtimes)
    return 2 if embedded and not request.fail_fast and (os.cpu_count() or 1) > 1 else 1


def _way_out(plans: Sequence[Plan], choice: Choice) -> str:
    """A line that says what to type where every case was skipped; ``""``: no option would help."""
    from mtls_runner.engine.lab import Lab
    from mtls_runner.language import load

    if not choice.allow_commands:
        consented = replace(overrides(choice), allow_commands=True)
        waits = [plan for plan in plans if any(map(_waits_for_consent, plan.cases))]
        if waits:
            labs = [Lab(load(plan.path, consented)) for plan in waits if plan.path.is_file()]
            helps = any(lab.cannot(case) is None for lab in labs for case in lab.plan.cases)
            return "every case was skipped; with --allow-commands some are not\n" if helps else ""
    other = _another_backend(plans) if choice.backend is None else ""
    return f"every case was skipped; on another backend none is: --backend {other}\n" if other else ""


def _waits_for_consent(case: Case) -> bool:
    ends = (case.server.backend, case.client.tool if case.client is not None else None)
    return any(end is not None and end.waits_for_consent for end in ends)


def _another_backend(plans: Sequence[Plan]) -> str:
    """The name of a backend that can run every case of these files; ``""``: there is none."""
    from mtls_runner.engine.lab import Lab
    from mtls_runner.language import Overrides, load
    from mtls_runner.registry import registry

    for traits in registry().backends.usable():
        if traits.runs_already:
            continue
        try:
            labs = [Lab(load(plan.path, Overrides(traits.name))) for plan in plans if plan.path.is_file()]
            if labs and all(lab.cannot(case) is None for lab in labs for case in lab.plan.cases):
                return traits.name
        except MtlsRunError:
            continue
    return ""


class _Ledger:
    """Which cases passed and which did not, for ``--last-failed``."""

    def __init__(self) -> None:
        self._path = Path()
        self._passed: dict[Path, list[Case]] = {}
        self._failed: dict[Path, list[Case]] = {}

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, PlanStarted):
            self._path = event.plan.path
        elif isinstance(event, CaseFinished):
            wrong = event.verdict.status in WRONG
            (self._failed if wrong else self._passed).setdefault(self._path, []).append(event.verdict.case)

    def close(self) -> None:
        """Nothing is written before the end."""

    def keep(self) -> None:
        """Write it to the user's cache, unless nothing has failed, now or in earlier runs."""
        from mtls_runner.private_files import user_cache

        if self._failed or (user_cache() / "last-failed").is_dir():
            from mtls_runner.cli.last_failed import remember

            remember(self._passed, self._failed)


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


def _outlets(request: RunRequest, stream: TextIO, inputs: Sequence[Path], stack: ExitStack) -> list[Outlet]:
    """The console and the reports, their files opened now: a path that can't be written is told before the work."""
    outlets = [Outlet("the console", _console(request, stream), stream)]
    if request.access:
        from mtls_runner.reporters.access.report import AccessConsole

        columns = os.get_terminal_size(stream.fileno()).columns if is_terminal(stream) else None
        table = AccessConsole(_page(request, stream, live=False), columns)
        outlets.append(Outlet("the table of who gets in where", table, stream))
    if "GITHUB_ACTIONS" in os.environ:
        from mtls_runner.reporters.github import GithubReporter, wanted, workspace

        if wanted(os.environ):
            outlets.append(Outlet("the annotations", GithubReporter(stream, workspace(os.environ)), stream))
    summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if summary:
        from mtls_runner.reporters.github import StepSummary

        outlets.append(Outlet("the job's summary", StepSummary(Path(summary)), stream))
    if not request.reports:
        return outlets

    from mtls_runner.cli.report_file import ReportFiles

    files = stack.enter_context(ReportFiles(inputs))
    for report in request.reports:
        file = files.open(report.option, report.path)
        outlets.append(Outlet(f"the {report.traits} report", report.traits.make(file.stream), file.stream, file))
    return outlets


def _page(request: RunRequest, stream: TextIO, *, live: bool = True) -> Page:
    color = colored(request.color, stream)
    if color or is_terminal(stream):
        from mtls_runner.reporters.live import RichPage

        return RichPage(stream, color=color, live=live and is_terminal(stream))
    return PlainPage(stream)


def _console(request: RunRequest, stream: TextIO) -> ConsoleReporter:
    return ConsoleReporter(
        _page(request, stream),
        marks_for(stream),
        verbose=request.verbose,
        quiet=request.quiet,
        durations=request.durations,
    )
