"""What a person reads while and after the lab runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING

from mtls_runner.errors import Severity
from mtls_runner.model import plural
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
)
from mtls_runner.reporters import (
    STYLES,
    WIDEST_NAME,
    Layout,
    Marks,
    Page,
    Piece,
    Style,
    cause,
    headline,
    one_line,
    shortened,
)
from mtls_runner.snippet import width

if TYPE_CHECKING:
    from mtls_runner.reporters.variant_grid import VariantGrid

__all__ = ["ConsoleReporter"]

_MANY = 40
"""Cases of a file that still have a line each; of more, the variants of a matrix share one."""
_COUNTED = ((Status.FAIL, "failed"), (Status.ERROR, "broken"), (Status.PASS, "passed"), (Status.SKIP, "skipped"))
_FIRST_WORDS = 60
"""Cells of what broke a case, on its own line."""
_TELLING = 1.0
"""Seconds; a case that takes longer shows how long."""


class ConsoleReporter:
    """Writes one line for each case under its file's heading, then what went wrong in full, then a summary.

    Args:
        page: where to.
        marks: what stands before each case.
        verbose: with a transcript of both ends for each case.
        quiet: only what went wrong, and the summary.
        durations: how many of the slowest cases are named at the end.
    """

    def __init__(
        self, page: Page, marks: Marks, *, verbose: bool = False, quiet: bool = False, durations: int = 0
    ) -> None:
        self._quiet = quiet
        self._durations = durations
        self._slowest: list[tuple[float, str]] = []
        self._grid: VariantGrid | None = None
        self._page = page
        self._marks = marks
        self._mark_width = max(map(len, marks.values()))
        self._verbose = verbose
        self._total = 0
        self._done: Counter[Status] = Counter()
        self._undetermined: Counter[Status] = Counter()
        self._running: dict[str, Case] = {}
        self._plan: Plan | None = None
        self._open = False  # a transcript wants a blank line before the next case
        self._layout = Layout(0, (), ())
        self._wrong: list[tuple[Plan, Verdict]] = []
        self._skipped: Counter[str] = Counter()
        self._silent: dict[str, str] = {}
        self._kept: list[PlanFinished] = []
        self._typed: Sequence[str] = ()

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished):
            self._finished(event.verdict)
        elif isinstance(event, CaseStarted):
            self._running[event.case.id] = event.case
            self._page.progress(self._doing(), self._done.total(), self._total)
        elif isinstance(event, Progress):
            counted = f", {event.done} of {event.total}" if event.total else ""
            doing = "  ".join([*self._wrong_so_far(), one_line(event.doing) + counted])
            self._page.progress(doing, self._done.total(), self._total)
        elif isinstance(event, Noted) and not self._quiet:
            self._page.line((one_line(f"  note: {event.text}"), Style.WARNING))
        elif isinstance(event, RunStarted):
            self._total, self._typed = event.total, event.typed
        elif isinstance(event, PlanStarted):
            self._heading(event.plan)
        elif isinstance(event, PlanFinished):
            self._row()
            if event.kept is not None:
                self._kept.append(event)
        elif isinstance(event, RunFinished):
            self._end(event)

    def close(self) -> None:
        """Take the live line away."""
        self._page.close()

    def _finished(self, verdict: Verdict) -> None:
        self._done[verdict.status] += 1
        self._undetermined[verdict.status] += verdict.undetermined is not None
        server, seen = verdict.case.server, verdict.observation
        handshake = verdict.undetermined is not None and seen is not None and seen.alert is not None
        if handshake and server.directives is not None and not self._quiet:
            self._silent[Path(server.option("config")).name] = server.directives.log
        self._running.pop(verdict.case.id, None)
        if self._durations:
            self._slowest = nlargest(self._durations, [*self._slowest, (verdict.duration, verdict.case.id)])
        if self._grid is not None:
            if self._grid.ends_before(verdict):
                self._row()
            self._grid.add(verdict)
        elif not self._quiet or verdict.status in WRONG:
            self._case(verdict)
        self._remember(verdict)
        self._page.progress(self._doing(), self._done.total(), self._total)

    def _doing(self) -> str:
        wrong = self._wrong_so_far()
        running = [one_line(case.name) for case in self._running.values()]
        return "  ".join([*wrong, *running[:1]] + ([f"and {len(running) - 1} more"] if len(running) > 1 else []))

    def _wrong_so_far(self) -> list[str]:
        return [f"{self._done[status]} {word}" for status, word in _COUNTED[:2] if self._done[status]]

    def _case(self, verdict: Verdict) -> None:
        if self._open:
            self._page.line()
            self._open = False
        style = STYLES[verdict.status]
        name, columns = self._layout.row(verdict.case)
        said = self._news(verdict)
        pieces: list[Piece] = [
            (f"  {self._marks[style]:<{self._mark_width}} ", style),
            (f"{name}  ", Style.TEXT),
            (columns, Style.DIM),
            (said, _look(verdict)),
        ]
        if verdict.duration >= _TELLING:
            pieces.append((f"  ({verdict.duration:.1f} s)", Style.DIM))
        self._page.line(*pieces)
        self._steps(verdict)

    @staticmethod
    def _news(verdict: Verdict) -> str:
        """A case's line; of what broke it, the first words: all of it is said below, once."""
        said = headline(verdict)
        return shortened(said, _FIRST_WORDS) if verdict.status is Status.ERROR else said

    def _remember(self, verdict: Verdict) -> None:
        if verdict.status in WRONG:
            if self._plan is not None:
                self._wrong.append((self._plan, verdict))
        elif verdict.status is Status.SKIP:
            self._skipped[verdict.skip_reason] += 1

    def _row(self) -> None:
        """What the grid has of a case, written."""
        for pieces in self._grid.taken() if self._grid is not None else ():
            self._page.line(*pieces)

    def _steps(self, verdict: Verdict) -> None:
        """Each step that was done, and that others were not; of the only one, the line above has said it all."""
        case = verdict.case
        names = [one_line(step.name) for step in case.steps]
        widest = min(max(map(width, names)), WIDEST_NAME)
        for number, done in enumerate(verdict.steps):
            if not case.plain:
                style, name = STYLES[done.status], names[number]
                self._page.line(
                    (f"      {self._marks[style]:<{self._mark_width}} ", style),
                    (f"{number + 1:>2} {name}{' ' * max(0, widest - width(name))}  ", Style.TEXT),
                    (headline(done), _look(done)),
                )
            if self._verbose and done.observation is not None:
                from mtls_runner.reporters.transcript import transcript

                indent = "      " if case.plain else "          "
                for line, style in transcript(case.alone(number), done.observation):
                    self._page.line((indent + line, style))
                self._open = case.plain
        left = len(names) - len(verdict.steps)
        if left and not case.plain and verdict.status is not Status.SKIP:
            self._page.line((f"        {left} more not done", Style.SKIP))

    def _heading(self, plan: Plan) -> None:
        if self._plan is not None and not self._quiet:
            self._page.line()
        self._open = False
        self._plan = plan
        self._layout = Layout.of(plan.cases)
        self._grid = None
        if self._quiet:
            return
        common = "  " + ", ".join(self._layout.common) if self._layout.common else ""
        self._page.line((one_line(str(plan.path)), Style.STRONG), (common, Style.DIM))
        if plan.description.strip():
            self._page.line(("  " + one_line(plan.description.strip().partition("\n")[0]), Style.DIM))
        for warning in plan.warnings:
            place = f"{warning.span}: " if warning.span is not None else ""
            self._page.line((one_line(f"  {place}{Severity.WARNING}: {warning.message}"), Style.WARNING))

        if not self._verbose and len(plan.cases) > _MANY:
            from mtls_runner.reporters.variant_grid import VariantGrid

            if VariantGrid.suits(plan.cases):
                self._grid = VariantGrid(plan.cases, self._marks)
                for pieces in self._grid.legend():
                    self._page.line(*pieces)

    def _end(self, event: RunFinished) -> None:
        self._row()
        self._page.close()
        for alike in self._alike():
            self._explain(alike)
        self._page.line()
        for reason, times in self._skipped.most_common():
            self._page.line((one_line(f"skipped {times}: {reason}"), Style.SKIP))
        for config, directive in self._silent.items():
            told = f"undetermined: where {config} has its log say why it refuses, that decides: {directive}"
            self._page.line((one_line(told), Style.WARNING))
        for seconds, case_id in self._slowest:
            self._page.line((f"{seconds:7.2f} s  ", Style.DIM), (one_line(case_id), Style.TEXT))
        for kept in self._kept:
            self._page.line((one_line(f"kept the material of {kept.plan.path} in {kept.kept}"), Style.TEXT))
        if event.error:
            self._page.line(("the lab broke: " + one_line(event.error), Style.ERROR))
        self._page.line(*self._summary(event))
        if event.versions:
            versions = ", ".join(f"{name} {version}" for name, version in event.versions.items())
            self._page.line((one_line(versions), Style.DIM))

    def _alike(self) -> Iterable[list[tuple[Plan, Verdict]]]:
        """What has one cause is explained once."""
        groups: dict[tuple[Path, Status, Hashable], list[tuple[Plan, Verdict]]] = {}
        for plan, verdict in self._wrong:
            groups.setdefault((plan.path, verdict.status, cause(verdict)), []).append((plan, verdict))
        return groups.values()

    def _explain(self, alike: list[tuple[Plan, Verdict]]) -> None:
        from mtls_runner.reporters.failure import explain, typed_again

        (plan, first), *others = alike
        self._page.line()
        word = "FAILED" if first.status is Status.FAIL else "BROKEN"
        self._page.line((word, STYLES[first.status]), (" " + one_line(first.case.id), Style.STRONG))
        kept = any(event.plan is plan for event in self._kept)
        page, again = self._page, typed_again(first.case, self._typed)
        page.block(explain(first, plan.text, color=page.color, by_hand=kept, columns=page.columns, again=again))
        for number, (_, verdict) in enumerate(others):
            label = "likewise:" if number == 0 else ""
            self._page.line((f"  {label:<9} ", Style.TEXT), (one_line(verdict.case.id), Style.STRONG))

    def _summary(self, event: RunFinished) -> list[Piece]:
        pieces: list[Piece] = [("interrupted: ", Style.ERROR)] if event.interrupted else []
        parts: list[list[Piece]] = []
        for status, word in _COUNTED:
            if event.counts.get(status):
                some = self._undetermined[status]
                doubtful = [(f" ({some} undetermined)", Style.WARNING)] if some else []
                parts.append([(f"{event.counts[status]} {word}", STYLES[status]), *doubtful])
        not_run = self._total - sum(event.counts.values())
        if not_run:
            parts.append([(f"{not_run} not run", Style.SKIP)])
        for part in parts or [[("nothing was run", Style.SKIP)]]:
            pieces.extend([*part, (", ", Style.TEXT)])
        return [*pieces[:-1], (f" of {plural(self._total, 'case')} in {event.duration:.2f} s", Style.TEXT)]


def _look(done: Verdict) -> Style:
    """What is as it should be stands back; what only may be shows."""
    if done.status is not Status.PASS:
        return STYLES[done.status]
    return Style.DIM if done.undetermined is None else Style.WARNING
