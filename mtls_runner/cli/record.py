"""``mtls-run record``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mtls_runner.cli import STOP
from mtls_runner.cli.choose import Choice, Target, discover, overrides
from mtls_runner.cli.diagnostics import complain
from mtls_runner.cli.one_file import live_progress
from mtls_runner.cli.program import ExitCode, worst
from mtls_runner.errors import ScenarioError
from mtls_runner.language.tree import tree_settings
from mtls_runner.model import listed, plural
from mtls_runner.model.verdict import CaseStarted, Event, Noted, Progress
from mtls_runner.record.file import RecordedFile
from mtls_runner.record.recorded import Recorded, record
from mtls_runner.reporters import one_line, visible

if TYPE_CHECKING:
    from mtls_runner.model.port import Report

__all__ = ["RecordListener", "RecordRequest", "record_files"]


class RecordRequest(Struct, frozen=True):
    """How to record, as typed."""

    update: bool = False
    check: bool = False
    jobs: int | None = None
    color: str = "auto"


def record_files(choice: Choice, request: RecordRequest) -> ExitCode:
    """Record each file and say what was written, and what to look at first.

    Raises:
        UsageError: what was typed is wrong, or a file can't be written.
        LabError: the lab is broken.
        KeyboardInterrupt: a signal came; the file whose turn it is stays as it was.
    """
    code = ExitCode.OK
    for target in discover(choice.paths):
        try:
            code = worst(code, _file(target, choice, request))
        except ScenarioError as error:
            code = worst(code, complain(error.diagnostics, request.color))
    return code


def _file(target: Target, choice: Choice, request: RecordRequest) -> ExitCode:
    path = target.path
    jobs = request.jobs or tree_settings(path).jobs or 1
    update = request.update or request.check
    with STOP.cleanly(), ExitStack() as stack:
        with STOP.undivided():
            file = None if request.check else stack.enter_context(RecordedFile(path))
        with live_progress(request.color) as progress:
            listener = RecordListener(progress)
            recorded = record(
                path, overrides(choice), names=target.names, update=update, jobs=jobs, listener=listener.heard
            )
        if file is not None and recorded.changed:
            file.write(recorded)
    for note in listener.notes:
        click.echo(f"note: {one_line(note)}", err=True)
    if request.check:
        click.echo(visible(recorded.difference()), nl=False)
    _tell(recorded, written=file is not None)
    if recorded.broken:
        return ExitCode.BROKEN
    wrong = recorded.unrecorded or (request.check and recorded.changed)
    return ExitCode.FAILED if wrong else ExitCode.OK


class RecordListener:
    """Shows what is being done, and keeps what was noted."""

    def __init__(self, progress: Report | None) -> None:
        self._progress = progress
        self.notes: dict[str, None] = {}

    def heard(self, event: Event) -> None:
        """Count and show an event of the run that records."""
        if isinstance(event, Noted):
            self.notes.setdefault(event.text)
        elif self._progress is not None and isinstance(event, CaseStarted):
            self._progress(event.case.name, 0, 0)
        elif self._progress is not None and isinstance(event, Progress):
            self._progress(event.doing, event.done, event.total)


def _silent(recorded: Recorded) -> dict[str, str]:
    """Own configurations whose log leaves several reasons for what was recorded, and what has each say which it was."""
    cells = (cell for case in recorded.cases if case.written for cell in case.cells)
    return {
        Path(cell.case.server.option("config")).name: cell.case.server.directives.log
        for cell in cells
        if cell.case.server.directives is not None
        and any(seen.alert is not None and len(seen.reasons) > 1 for seen in cell.seen)
    }


def _tell(recorded: Recorded, *, written: bool) -> None:
    """What was done, for people."""
    new = [case for case in recorded.cases if case.written]
    for case in new if written else ():
        click.echo(one_line(f"{case.name}: {case.written}"))
        for left_out in case.left_out:
            click.echo(one_line(f"  left out: {left_out}"))
    left: dict[str, list[str]] = {}
    for case in recorded.unrecorded:
        left.setdefault(case.why, []).append(case.name)
    for why, names in left.items():
        click.echo(one_line(f"not recorded: {listed(names)}: {why}"))
    if recorded.looks:
        click.echo("\nlook at first:")
        for look in recorded.looks:
            click.echo(one_line(f"  {look}"))
    for config, directive in _silent(recorded).items():
        told = f"several reasons: where {config} has its log say why it refuses, and that is recorded, there is one: {directive}"
        click.echo(one_line(told))
    if new:
        done = "wrote" if written else "would write"
        told = f"{done} {plural(len(new), 'expectation')} into {recorded.path}"
    elif recorded.unrecorded:
        told = f"{recorded.path}: nothing was written"
    elif recorded.cases:
        told = f"{recorded.path}: what is expected is what happens"
    else:
        told = f"{recorded.path}: there is nothing to record, every case says what it expects"
    click.echo(one_line(told))
