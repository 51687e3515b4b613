"""``--html``: renders each case as it comes, into a temporary file, and writes the page at the end: the summary stands above."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TextIO

from msgspec import Struct

from mtls_runner import __version__
from mtls_runner.model.verdict import (
    WRONG,
    CaseFinished,
    Event,
    Noted,
    PlanFinished,
    PlanStarted,
    RunFinished,
    RunStarted,
    Status,
)
from mtls_runner.reporters import Layout
from mtls_runner.reporters.html.case import CasePage
from mtls_runner.reporters.html.drawing import Drawings
from mtls_runner.reporters.html.environment import environment, static
from mtls_runner.reporters.html.overview import (
    WORDS,
    WORST_FIRST,
    File,
    RenderedCase,
    VariantGroup,
    attention,
    groups,
    tally,
    worst,
)
from mtls_runner.reporters.html.spool import Spool
from mtls_runner.reporters.html.tree import forest

__all__ = ["HtmlReporter"]

_ROOM = 1_750_000
"""Bytes that the cases of a page should stay below; what goes for it are transcripts of cases that passed."""
_ALWAYS_WHOLE = 100
"""Cases that did not pass and keep their transcripts whatever the room."""
_OPENED = 3
"""Cases that did not pass and stand open, one of each name."""
_LISTED = 12
_LONG = 200
"""Cases of a page that is drawn as it is scrolled; of fewer, all of it, so that a picture of the whole page has them all."""
_MOST_CERTIFICATES = 24
"""Of a file whose tree stands open."""
_MANY = 40
"""Cases of a file that still stand in one list; of more, variants go under their name, and the tree is closed."""


class _Choice(Struct, frozen=True):
    status: Status
    word: str
    count: int


class HtmlReporter:
    """Writes the HTML page of a run.

    Args:
        stream: where to; the caller opens and closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = datetime.now(UTC)
        self._environment = environment()
        self._drawings = Drawings()
        self._spool = Spool()
        self._page = CasePage(self._environment.get_template("case.html"), self._drawings, self._started, self._spool)
        self._files: list[File] = []
        self._wrong: list[RenderedCase] = []
        self._open: set[str] = set()
        self._total = 0
        self._done = 0
        self._spent = 0

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished):
            self._case(event)
        elif isinstance(event, RunStarted):
            self._total, self._page.typed = event.total, event.typed
        elif isinstance(event, PlanStarted):
            anchors = {name: number for number, name in enumerate(event.plan.certificates)}
            self._files.append(File(len(self._files) + 1, event.plan, anchors))
        elif isinstance(event, Noted):
            self._files[-1].notes.append(event.text)
        elif isinstance(event, PlanFinished):
            self._file(self._files[-1], str(event.kept) if event.kept is not None else "")
        elif isinstance(event, RunFinished):
            self._write(event)

    def close(self) -> None:
        """Flush."""
        self._spool.close()
        self._stream.flush()

    def _case(self, event: CaseFinished) -> None:
        verdict, file = event.verdict, self._files[-1]
        self._done += 1
        wrong = verdict.status in WRONG
        shown, breaks = self._page.render(
            verdict,
            file,
            self._done,
            opened=self._total == 1 or (wrong and self._opened(verdict.case.written)),
            room=None if wrong and len(self._wrong) < _ALWAYS_WHOLE else self._room(),
        )
        if wrong:
            self._wrong.append(shown)
        file.dated = file.dated or verdict.dated
        file.breaks.update(breaks)
        file.cases.append(shown)
        file.counts[verdict.status] += 1
        self._spent += shown.html.size

    def _opened(self, name: str) -> bool:
        if name in self._open or len(self._open) == _OPENED:
            return False
        self._open.add(name)
        return True

    def _room(self) -> int:
        """Bytes that the next case may take. Few cases have all the room."""
        share = _ROOM * max(self._done / max(self._total, 1), 0.25)
        return int(share) - self._spent

    def _file(self, file: File, kept: str) -> None:
        if file.html is not None:
            return
        plan = file.plan
        many = len(file.cases) > _MANY
        certificates = f"{len(plan.certificates)} in the lab"
        file.html = self._spool.keep(
            self._environment.get_template("file.html").generate(
                number=file.number,
                anchors=file.anchors,
                name=plan.name or plan.path.stem,
                path=file.path,
                description=plan.description.strip(),
                tally=file.tally,
                common=Layout.of(plan.cases).common,
                warnings=[f"{each.span}: {each.message}" if each.span else each.message for each in plan.warnings],
                notes=file.notes,
                trees=forest(plan, file.breaks, file.dated or self._started),
                certificates=f"{certificates}, what broke is marked" if file.breaks else certificates,
                pki_open=not many and len(plan.certificates) <= _MOST_CERTIFICATES,
                kept=kept,
                commands=self._page.commands,
                groups=groups(file.cases) if many else [VariantGroup(case.name, [case]) for case in file.cases],
            )
        )
        self._page.commands = False
        file.cases = []

    def _write(self, event: RunFinished) -> None:
        for file in self._files:
            self._file(file, "")
        counts = Counter(event.counts)
        wrong = attention(self._wrong) if self._total > 1 else []
        doubts = [f"{event.undetermined} of them undetermined"] if event.undetermined else []
        pieces = self._environment.get_template("page.html").generate(
            style=static("style.css"),
            script=static("script.js"),
            version=__version__,
            status=Status.ERROR if event.error or event.interrupted else worst(counts),
            verdict=_verdict(counts, self._total, interrupted=event.interrupted),
            details=[*_details(counts, self._total), *doubts, f"{event.duration:.2f} s"],
            started=self._started,
            error=event.error,
            attention=wrong[:_LISTED],
            unlisted=len(wrong) - _LISTED,
            files=self._files,
            long=self._total > _LONG,
            filters=self._total > 1,
            choices=[_Choice(each, WORDS[each], counts[each]) for each in WORST_FIRST if counts[each]],
            versions=list(event.versions.items()),
            drawings=self._drawings.all(),
        )
        self._stream.writelines(self._spool.expanded(pieces))


def _details(counts: Counter[Status], total: int) -> list[str]:
    """What the headline leaves out."""
    wrong = any(counts[status] for status in WRONG)
    rest = [Status.PASS, Status.SKIP] if wrong else [Status.SKIP] if counts[Status.PASS] else []
    left = total - counts.total()
    return [*tally({status: counts[status] for status in rest}), *([f"{left} not run"] if left else [])]


def _verdict(counts: Counter[Status], total: int, *, interrupted: bool) -> str:
    wrong = tally({status: counts[status] for status in WRONG})
    passed = counts[Status.PASS]
    cases = "case" if total == 1 else "cases"
    if wrong:
        text = f"{', '.join(wrong)} of {total} {cases}"
    elif not passed:
        text = (
            "Nothing was run" if not counts[Status.SKIP] else f"{counts[Status.SKIP]} {cases} skipped, nothing was run"
        )
    elif passed == total:
        text = f"All {total} cases passed" if total > 1 else "The case passed"
    else:
        text = f"{passed} of {total} {cases} passed"
    return f"Interrupted: {text}" if interrupted else text
