"""Runs plans one after the other and tells what happens as events; the last one always comes."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mtls_runner.deadlines import Interruption
from mtls_runner.engine.lab import Lab
from mtls_runner.errors import LabError, UsageError
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.verdict import (
    WRONG,
    CaseFinished,
    CaseStarted,
    Event,
    Noted,
    PlanFinished,
    PlanStarted,
    Progress,
    RunFinished,
    RunStarted,
    Status,
    Verdict,
    strictly,
)
from mtls_runner.private_files import sweep

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mtls_runner.pki.keys import KeyPool

__all__ = ["RunOptions", "places", "run"]


class RunOptions(Struct, frozen=True):
    """How to run.

    Args:
        jobs: cases at a time.
        fail_fast: stop after the first case that does not pass (and is not skipped).
        keep: a directory to leave the material in; with several files, in a directory below it for each.
        strict: a case that is skipped, or undetermined, has failed.
        typed: as ``RunStarted`` tells it to reporters.
    """

    jobs: int = 1
    fail_fast: bool = False
    keep: Path | None = None
    strict: bool = False
    typed: tuple[str, ...] = ()


def places(keep: Path | None, plans: Sequence[Plan]) -> Sequence[Path | None]:
    """Where each plan's material is left; ``None``: nowhere."""
    if keep is None or len(plans) == 1:
        return [keep] * len(plans)
    return [keep / f"{number:02}-{plan.path.stem}" for number, plan in enumerate(plans, 1)]


class _Stopped(Exception):
    """``fail_fast`` has seen enough."""


Listener = Callable[[Progress], None]


class _Run:
    def __init__(self, options: RunOptions, listener: Listener | None) -> None:
        self.options = options
        self.listener = listener
        self.thread = threading.get_ident()
        self.counts: Counter[Status] = Counter()
        self.undetermined = 0
        self.versions: dict[str, str] = {}
        self.progress: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self.pool: KeyPool | None = None

    def report(self, doing: str, done: int, total: int) -> None:
        """Called by whichever thread does the work."""
        event = Progress(doing, done, total)
        if self.listener is not None and threading.get_ident() == self.thread:
            self.listener(event)
        else:
            self.progress.put(event)

    def told(self) -> Iterator[Event]:
        while not self.progress.empty():
            yield self.progress.get()

    def finished(self, verdict: Verdict) -> Iterator[Event]:
        if self.options.strict:
            verdict = strictly(verdict)
        self.counts[verdict.status] += 1
        self.undetermined += verdict.undetermined is not None
        yield CaseFinished(verdict)
        if self.options.fail_fast and verdict.status in WRONG:
            raise _Stopped

    def plan(self, plan: Plan, keep: Path | None) -> Iterator[Event]:
        yield PlanStarted(plan)
        lab = Lab(plan, keep, pool=self.pool, report=self.report)
        with lab:
            for note in lab.notes():
                yield Noted(plan, note)
            try:
                for event in self._one_by_one(lab) if self.options.jobs == 1 else self._side_by_side(lab):
                    yield from (Noted(plan, text) for text in lab.servers.warned())
                    yield event
                known = lab.as_files_say()
            finally:
                self.versions.update(lab.versions())
                self.pool = lab.pool
        yield PlanFinished(plan, keep, known)

    def _one_by_one(self, lab: Lab) -> Iterator[Event]:
        for case in lab.plan.cases:
            yield CaseStarted(case)
            verdict = lab.run(case)
            yield from self.told()
            yield from self.finished(verdict)

    def _side_by_side(self, lab: Lab) -> Iterator[Event]:
        """Verdicts come in the file's order, whatever order the cases end in."""
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        waiting = iter(lab.plan.cases)
        running: list[tuple[Case, Future[Verdict]]] = []
        working = Interruption()
        with ThreadPoolExecutor(self.options.jobs, "mtls-run-case", working.join) as executor:
            try:
                exhausted = False
                while running or not exhausted:
                    while not exhausted and sum(not future.done() for _, future in running) < self.options.jobs:
                        case = next(waiting, None)
                        if case is None:
                            exhausted = True
                            break
                        yield CaseStarted(case)
                        running.append((case, executor.submit(lab.run, case)))
                    while running and running[0][1].done():
                        yield from self.finished(running.pop(0)[1].result())
                    yield from self.told()
                    if running and not running[0][1].done():
                        wait([future for _, future in running if not future.done()], 0.1, FIRST_COMPLETED)
            finally:
                for _, future in running:
                    future.cancel()
                working.interrupt()


def run(plans: Sequence[Plan], options: RunOptions | None = None, listener: Listener | None = None) -> Iterator[Event]:
    """Run every case of every plan.

    Args:
        plans: what to run.
        options: how.
        listener: told of ``Progress`` while that work goes on, by the thread that waits for the next event; such events are
            then not yielded. Without a listener they are yielded, when the work is done.

    Ctrl-C (``KeyboardInterrupt``) while it works ends it: what was started is stopped, and ``RunFinished`` says so. A
    consumer that is interrupted itself throws the ``KeyboardInterrupt`` in, to the same effect.

    Yields:
        ``RunStarted``, then for each plan its events, and always ``RunFinished`` as the last one.
    """
    state = _Run(options or RunOptions(), listener)
    began = time.monotonic()
    interrupted, broke = False, ""
    try:
        yield RunStarted(tuple(plans), sum(len(plan.cases) for plan in plans), state.options.typed)
        sweep()
        for plan, keep in zip(plans, places(state.options.keep, plans), strict=True):
            yield from state.plan(plan, keep)
    except KeyboardInterrupt:
        interrupted = True
    except _Stopped:
        pass
    except (LabError, UsageError) as error:
        broke = str(error)
    except OSError as error:  # no room, no descriptor, …
        broke = ": ".join(filter(None, (error.filename and str(error.filename), error.strerror or str(error))))
    yield RunFinished(
        dict(state.counts), time.monotonic() - began, interrupted, broke, state.versions, state.undetermined
    )
