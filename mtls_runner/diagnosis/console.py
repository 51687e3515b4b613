"""An attempt as people read it: the ladder, what was compared, and the causes with the lines that settle them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from mtls_runner.diagnosis.attempt import Attempt
from mtls_runner.diagnosis.cause import Cause
from mtls_runner.model.observation import Outcome
from mtls_runner.reporters import Marks, Page, Style, one_line
from mtls_runner.reporters.transcript import transcript

__all__ = ["show"]

_MOST = 5
_NARROWEST = 40


def show(tried: Attempt, page: Page, marks: Marks, columns: int) -> None:
    """Write an attempt for people.

    Args:
        tried: what came of it.
        page: where to.
        marks: what stands before what fits and what does not.
        columns: how wide a line may be; commands are broken only where a shell joins them again.
    """
    wide = max(columns, _NARROWEST)
    seen = tried.observation
    page.line((one_line(str(tried.inputs.endpoint)), Style.STRONG))
    for note in tried.notes:
        _paragraph(page, one_line(f"note: {note}"), wide, "  ", "        ", Style.WARNING)
    for line, style in transcript(tried.case, seen):
        deeper = "    " if style is Style.STRONG else "  "
        _paragraph(page, line, wide, "  ", "  " + deeper, Style.DIM)
    if tried.compared:
        page.line()
        page.line(("what was compared", Style.STRONG))
        _comparisons(tried, page, marks, wide)
    page.line()
    style = Style.PASS if tried.accepted else Style.FAIL
    summary = seen.summary
    if not tried.accepted and seen.outcome is Outcome.ACCEPTED:
        summary = f"answered, status {seen.status}: no certificate has a part in it"
    _paragraph(page, f"{marks[style]} {one_line(summary)}", wide, "", "  ", style)
    for evidence in seen.evidence:
        _paragraph(page, one_line(evidence), wide, "  ", "    ", Style.DIM)
    for remark in tried.remarks:
        _paragraph(page, one_line(remark), wide, "  ", "  ", Style.TEXT)
    if tried.causes:
        page.line()
        page.line(("most likely" if len(tried.causes) > 1 else "the cause", Style.STRONG))
        for number, cause in enumerate(tried.causes[:_MOST], 1):
            _cause(cause, number, page, wide)


def _comparisons(tried: Attempt, page: Page, marks: Marks, wide: int) -> None:
    styles = {True: Style.PASS, False: Style.FAIL, None: Style.SKIP}
    label = max(len(line.what) for line in tried.compared)
    mark = max(len(marks[style]) for style in styles.values())
    hanging = mark + label + 6
    for line in tried.compared:
        style = styles[line.good]
        head = f"  {marks[style]:<{mark}} {line.what:<{label}}"
        if hanging > wide // 2:  # narrow: the rest goes below
            page.line((head.rstrip(), style))
            _paragraph(page, one_line(line.told), wide, "      ", "      ", Style.TEXT)
            continue
        rows = list(_rows(one_line(line.told), wide - hanging)) or [""]
        page.line((head, style), ("   " + rows[0], Style.TEXT))
        for row in rows[1:]:
            page.line((" " * hanging + row, Style.TEXT))


def _cause(cause: Cause, number: int, page: Page, wide: int) -> None:
    head = f"  {number}. "
    _paragraph(page, one_line(cause.text), wide, head, " " * len(head), Style.TEXT)
    if cause.remedy:
        _paragraph(page, one_line(cause.remedy), wide, "     -> ", "        ", Style.TEXT)
    for command in cause.commands:
        page.line((f"     $ {one_line(command)}", Style.COMMAND))


def _paragraph(page: Page, text: str, wide: int, first: str, then: str, style: Style) -> None:
    rows = list(_rows(text, wide - max(len(first), len(then)))) or [""]
    for number, row in enumerate(rows):
        page.line(((first if number == 0 else then) + row, style))


def _rows(text: str, wide: int) -> Iterator[str]:
    yield from textwrap.wrap(text, max(wide, 20), break_long_words=False, break_on_hyphens=False)
