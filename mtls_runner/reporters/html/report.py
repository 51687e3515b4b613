"""``--html``: renders each case as it comes, and writes the page at the end, since the summary stands above it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

from markupsafe import Markup

from mtls_runner import __version__
from mtls_runner.model.case import Plan
from mtls_runner.model.event import CaseFinished, Event, PlanFinished, PlanStarted, RunFinished, RunStarted
from mtls_runner.model.verdict import Status
from mtls_runner.reporters.failure import headline
from mtls_runner.reporters.html.case import WORDS, CasePage
from mtls_runner.reporters.html.chains import Break
from mtls_runner.reporters.html.drawing import Shelf
from mtls_runner.reporters.html.templates import digest, environment, static
from mtls_runner.reporters.html.tree import forest
from mtls_runner.reporters.layout import Layout

__all__ = ["HtmlReporter"]

_ROOM = 1_800_000
"""Bytes that a page of any number of cases should stay below; what can go for it are transcripts of cases that passed."""
_ALWAYS_WHOLE = 200
"""Cases that did not pass and keep their transcripts whatever the room."""
_OPENED = 3
"""Cases that did not pass and stand open."""
_LISTED = 25
_MOST_OPEN_CERTIFICATES = 24
_WORST_FIRST = (Status.FAIL, Status.ERROR, Status.PASS, Status.SKIP)


@dataclass(slots=True)
class _File:
    number: int
    plan: Plan
    anchors: dict[str, int]
    cases: list[Markup] = field(default_factory=list)
    counts: Counter[Status] = field(default_factory=Counter)
    breaks: Counter[Break] = field(default_factory=Counter)
    html: Markup = field(default_factory=Markup)

    @property
    def path(self) -> str:
        return str(self.plan.path)

    @property
    def status(self) -> Status:
        return _worst(self.counts)

    @property
    def word(self) -> str:
        return WORDS[self.status]

    @property
    def tally(self) -> list[str]:
        return [f"{self.counts[each]} {WORDS[each]}" for each in _WORST_FIRST if self.counts[each]]


@dataclass(frozen=True, slots=True)
class _Attention:
    number: int
    status: Status
    word: str
    name: str
    said: str


@dataclass(frozen=True, slots=True)
class _Choice:
    status: Status
    word: str
    count: int


class HtmlReporter:
    """Writes the page.

    Args:
        stream: where to; the caller opens and closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = datetime.now(UTC)
        self._environment = environment()
        self._environment.filters |= {"digest": digest, "moment": _moment}
        self._shelf = Shelf()
        self._page = CasePage(self._environment.get_template("case.html"), self._shelf, self._started)
        self._files: list[_File] = []
        self._attention: list[_Attention] = []
        self._total = 0
        self._done = 0
        self._spent = 0

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished):
            self._case(event)
        elif isinstance(event, RunStarted):
            self._total = event.total
        elif isinstance(event, PlanStarted):
            anchors = {name: number for number, name in enumerate(event.plan.certificates)}
            self._files.append(_File(len(self._files) + 1, event.plan, anchors))
        elif isinstance(event, PlanFinished):
            self._file(self._files[-1], str(event.kept) if event.kept is not None else "")
        elif isinstance(event, RunFinished):
            self._write(event)

    def close(self) -> None:
        """Flush."""
        self._stream.flush()

    def _case(self, event: CaseFinished) -> None:
        verdict, file = event.verdict, self._files[-1]
        self._done += 1
        wrong = verdict.status in (Status.FAIL, Status.ERROR)
        if wrong:
            said = headline(verdict)
            self._attention.append(
                _Attention(self._done, verdict.status, WORDS[verdict.status], verdict.case.name, said)
            )
        rendered = self._page.render(
            verdict,
            file.plan,
            file.anchors,
            file.number,
            self._done,
            opened=(wrong and len(self._attention) <= _OPENED) or self._total == 1,
            room=self._room(kept=wrong and len(self._attention) <= _ALWAYS_WHOLE),
        )
        file.breaks.update(rendered.breaks)
        file.cases.append(rendered.html)
        file.counts[verdict.status] += 1
        self._spent += rendered.size

    def _room(self, *, kept: bool) -> int | None:
        """Bytes that the next case may take; ``None``: as many as it wants. A few cases have all the room."""
        if kept or not self._total:
            return None
        share = _ROOM * max(self._done / self._total, 0.25)
        return int(share) - self._spent

    def _file(self, file: _File, kept: str) -> None:
        if file.html:
            return
        plan = file.plan
        commands = f"The commands below name files in {kept}." if kept else _GONE
        certificates = len(plan.certificates)
        file.html = Markup(  # noqa: S704 - escaped by the template
            self._environment.get_template("file.html").render(
                number=file.number,
                anchors=file.anchors,
                name=plan.name or plan.path.stem,
                path=file.path,
                description=plan.description.strip(),
                tally=file.tally,
                common=Layout.of(plan.cases).common,
                warnings=[f"{each.span}: {each.message}" if each.span else each.message for each in plan.warnings],
                trees=forest(plan, file.breaks, self._started),
                certificates=f"{certificates} in the lab"
                if not file.breaks
                else f"{certificates} in the lab, broken links marked",
                pki_open=sum(len(each.plan.certificates) for each in self._files) <= _MOST_OPEN_CERTIFICATES,
                commands=commands if self._page.commands else "",
                cases=file.cases,
            )
        )
        self._page.commands = False
        file.cases = []

    def _write(self, event: RunFinished) -> None:
        for file in self._files:
            self._file(file, "")
        counts = Counter(event.counts)
        not_run = self._total - counts.total()
        listed = self._attention[:_LISTED] if self._total > 1 else []
        pieces = self._environment.get_template("page.html").generate(
            style=static("style.css"),
            script=static("script.js"),
            version=__version__,
            status="error" if event.error or event.interrupted else _worst(counts),
            verdict=_verdict(counts, not_run, event),
            total="1 case" if self._total == 1 else f"{self._total} cases",
            duration=f"{event.duration:.2f} s",
            started=self._started,
            error=event.error,
            attention=listed,
            unlisted=len(self._attention) - len(listed) if listed else 0,
            files=self._files,
            choices=[_Choice(each, WORDS[each], counts[each]) for each in _WORST_FIRST if counts[each]],
            versions=list(event.versions.items()),
            drawings=self._shelf.all(),
        )
        self._stream.writelines(pieces)


_GONE = "Files that the commands name went with the run; --keep DIR leaves them."


def _worst(counts: Counter[Status]) -> Status:
    for status in (Status.ERROR, Status.FAIL, Status.PASS):
        if counts[status]:
            return status
    return Status.SKIP


def _verdict(counts: Counter[Status], not_run: int, event: RunFinished) -> str:
    parts = [f"{counts[each]} {WORDS[each]}" for each in _WORST_FIRST if counts[each]]
    if not_run:
        parts.append(f"{not_run} not run")
    if len(parts) == 1 and counts[Status.PASS] > 1 and not event.interrupted:
        parts = [f"All {counts[Status.PASS]} passed"]
    text = ", ".join(parts) or "Nothing was run"
    return f"Interrupted: {text}" if event.interrupted else text


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
