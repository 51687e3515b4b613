"""What the page gathers about many cases: files, groups of variants, what needs attention first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field

from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import WRONG, Status
from mtls_runner.reporters.html.chains import Break
from mtls_runner.reporters.html.spool import SpooledPart

__all__ = [
    "WORDS",
    "WORST_FIRST",
    "Attention",
    "File",
    "RenderedCase",
    "VariantGroup",
    "attention",
    "groups",
    "tally",
    "worst",
]

WORST_FIRST = (Status.FAIL, Status.ERROR, Status.PASS, Status.SKIP)
WORDS: Mapping[Status, str] = {
    Status.PASS: "passed",
    Status.FAIL: "failed",
    Status.ERROR: "broken",
    Status.SKIP: "skipped",
}


class RenderedCase(Struct, frozen=True):
    """One case, rendered.

    Args:
        number: in the page.
        name, variant: its name, and the values of its matrix parameters or ``""``.
        status: of its verdict.
        said: its outcome, or what went wrong, in a line.
        html: the whole of it.
        path: of its file.
    """

    number: int
    name: str
    variant: str
    status: Status
    said: str
    html: SpooledPart
    path: str


class File(Struct):
    """A scenario file and what came of it so far."""

    number: int
    plan: Plan
    anchors: dict[str, int]
    cases: list[RenderedCase] = field(default_factory=list)
    counts: Counter[Status] = field(default_factory=Counter)
    breaks: Counter[Break] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    dated: datetime | None = None
    """When the material of its first case was made that has some."""
    html: SpooledPart | None = None

    @property
    def path(self) -> str:
        """As given on the command line."""
        return str(self.plan.path)

    @property
    def status(self) -> Status:
        """The worst of its cases."""
        return worst(self.counts)

    @property
    def word(self) -> str:
        """For its status."""
        return WORDS[self.status]

    @property
    def tally(self) -> list[str]:
        """How many cases went how."""
        return tally(self.counts)


class VariantGroup(Struct, frozen=True):
    """Variants of one case, under its name; or a case by itself."""

    name: str
    cases: Sequence[RenderedCase]

    @property
    def statuses(self) -> list[Status]:
        """That occur, worst first."""
        found = {case.status for case in self.cases}
        return [status for status in WORST_FIRST if status in found]

    @property
    def worst(self) -> Status:
        """The worst status of its cases."""
        return worst(Counter(case.status for case in self.cases))

    @property
    def word(self) -> str:
        """For its worst."""
        return WORDS[self.worst]

    @property
    def said(self) -> str:
        """What all variants say; or how many went how."""
        said = {case.said for case in self.cases}
        if len(said) == 1:
            return said.pop()
        return ", ".join(tally(Counter(case.status for case in self.cases)))

    @property
    def opened(self) -> bool:
        """A case in it stands open or asks to be looked at."""
        return self.worst in WRONG


class Attention(Struct, frozen=True):
    """Variants of one case that went wrong in the same way."""

    name: str
    said: str
    status: Status
    path: str
    links: list[RenderedCase]

    @property
    def word(self) -> str:
        """For its status."""
        return WORDS[self.status]


def groups(cases: Iterable[RenderedCase]) -> list[VariantGroup]:
    """Neighbours of one name under that name."""
    found: list[list[RenderedCase]] = []
    for case in cases:
        if found and case.variant and found[-1][-1].variant and found[-1][-1].name == case.name:
            found[-1].append(case)
        else:
            found.append([case])
    return [VariantGroup(cases[0].name, cases) for cases in found]


def attention(wrong: Iterable[RenderedCase]) -> list[Attention]:
    """Cases that went wrong, one entry for variants with the same fault."""
    found: dict[tuple[str, str, str, Status], list[RenderedCase]] = {}
    for case in wrong:
        found.setdefault((case.path, case.name, case.said, case.status), []).append(case)
    return [Attention(name, said, status, path, cases) for (path, name, said, status), cases in found.items()]


def worst(counts: Mapping[Status, int]) -> Status:
    """The status that a run with these counts has."""
    for status in (Status.ERROR, Status.FAIL, Status.PASS):
        if counts.get(status):
            return status
    return Status.SKIP


def tally(counts: Mapping[Status, int]) -> list[str]:
    """``3 failed``, ``17 passed``."""
    return [f"{counts[status]} {WORDS[status]}" for status in WORST_FIRST if counts.get(status)]
