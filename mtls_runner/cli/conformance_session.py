"""Measures what is left of the catalogue, unit by unit, tells how far it is, and keeps what was measured so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

import click

from mtls_runner.atomic_file import AtomicFile
from mtls_runner.cli import STOP
from mtls_runner.cli.program import ExitCode, worst
from mtls_runner.cli.run import Audience, Outlet
from mtls_runner.conformance.collector import Collector
from mtls_runner.conformance.json_form import json_text
from mtls_runner.conformance.measure import Atlas, Unit
from mtls_runner.conformance.measurement import CellName, MeasuredCell, Measurement
from mtls_runner.engine import RunOptions, run
from mtls_runner.reporters import is_terminal

__all__ = ["Session"]

_TIMES_AGAIN = 2
"""How often a doubtful cell is run once more."""
_TOLD_EVERY = 60.0
"""Seconds between two lines of progress where there is no terminal."""
_KEPT_EVERY = 20.0
"""Seconds; what was measured since then is lost when the run is killed."""


class Session:
    """Runs what is left, and keeps what was measured.

    Args:
        atlas: what is measured.
        units: of it, those that are this session's.
        kept: the file that is always current; ``None``: none is.
        committed: what doubtful cells are known by.
    """

    def __init__(self, atlas: Atlas, units: Sequence[Unit], kept: str | None, committed: Measurement | None) -> None:
        self._atlas = atlas
        self._kept = kept
        self._committed: Mapping[CellName, MeasuredCell] = committed.by_name if committed is not None else {}
        self.wanted = frozenset(name for unit in units for name, _ in unit.cells.values())
        self._left = atlas.left(units)
        self._total = sum(len(unit.cells) for unit in self._left)
        self._done = 0
        self._began = self._said = self._saved = time.monotonic()
        self._terminal = is_terminal(sys.stderr)

    def run(self, jobs: int) -> ExitCode:
        """All that is left; the exit code says whether the lab broke, or somebody interrupted it."""
        known = len(self.wanted) - self._total
        if known:
            click.echo(f"{known} cells are known already, {self._total} are left", err=True)
        code = ExitCode.OK
        for unit in self._left:
            code = worst(code, self._unit(unit, jobs))
            if code is ExitCode.INTERRUPTED:
                break
            if time.monotonic() - self._saved >= _KEPT_EVERY:
                self._keep()
        self._keep()
        if self._terminal:
            click.echo("\r\033[K", err=True, nl=False)
        return code

    def _keep(self) -> None:
        self._saved = time.monotonic()
        if self._kept is not None:
            file = AtomicFile(self._kept, "the measurement")
            file.stream.write(json_text(self._atlas.measurement))
            file.keep()

    def _unit(self, unit: Unit, jobs: int) -> ExitCode:
        code = self._run(unit, jobs, again=False)
        self._done += len(unit.cells)
        doubtful = self._atlas.doubtful(unit, self._committed)
        if doubtful is None or code is ExitCode.INTERRUPTED:
            return code
        for _ in range(_TIMES_AGAIN):
            code = worst(code, self._run(doubtful, jobs, again=True))
        return code

    def _run(self, unit: Unit, jobs: int, *, again: bool) -> ExitCode:
        collector = Collector(lambda doing, done: self._tell(doing or unit.told, 0 if again else done))
        audience = Audience([Outlet("the collection of results", collector, sys.stdout)], STOP)
        end = audience.follow(run([unit.plan], RunOptions(jobs=jobs)))
        audience.close()
        for verdict in collector.verdicts:
            self._atlas.keep(unit, verdict, again=again)
        if end is not None and end.interrupted:
            return ExitCode.INTERRUPTED
        if end is None or end.error or audience.broken:
            click.echo(f"mtls-run: {end.error if end is not None and end.error else 'the run broke'}", err=True)
            return ExitCode.BROKEN
        self._atlas.versions.update(unit.server.under_its_name(end.versions))
        return ExitCode.OK

    def _tell(self, doing: str, done: int) -> None:
        now, finished = time.monotonic(), self._done + done
        line = f"{finished}/{self._total}  {doing}{_left(now - self._began, finished, self._total)}"
        if self._terminal:
            click.echo(f"\r\033[K  {line}", err=True, nl=False)
        elif now - self._said >= _TOLD_EVERY:
            self._said = now
            click.echo(line, err=True)


def _left(elapsed: float, done: int, total: int) -> str:
    """An estimate, once there is something to go by."""
    if not done or elapsed < _TOLD_EVERY / 12:
        return ""
    seconds = elapsed / done * (total - done)
    return f"  (about {seconds / 60:.0f} min left)" if seconds >= 90 else f"  (about {seconds:.0f} s left)"
