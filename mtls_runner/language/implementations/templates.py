"""Templates of a declaration, before anything is written by them: what they name that there is not, at its own place."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from yaml.nodes import ScalarNode

from mtls_runner.errors import Diagnostic, Span
from mtls_runner.language.context import Problems
from mtls_runner.language.document import Document, Loc, meant
from mtls_runner.runtimes.template import Mistake, mistakes

__all__ = ["check_beside", "check_within"]


def check_within(problems: Problems, document: Document, loc: Loc, text: str, names: Collection[str]) -> None:
    """A template that stands in the document itself."""
    span, node, whole = document.locate(loc)
    for mistake in mistakes(text, names):
        place = span
        if whole and isinstance(node, ScalarNode):
            start, end = node.start_mark, node.end_mark
            written = document.text[start.index : end.index]
            # A literal block begins below its mark; what is written otherwise has its lines somewhere.
            before = mistake.line if node.style == "|" else 0
            found = _place(document.path, written, mistake, before, start.line, start.column)
            place = found or span
        problems.found(document.text, _told(mistake, place))


def check_beside(problems: Problems, path: Path, text: str, names: Collection[str]) -> None:
    """A template in a file of its own."""
    for mistake in mistakes(text, names):
        place = _place(path, text, mistake, mistake.line - 1, 0, 0) or Span(path, mistake.line, 1, mistake.line, 2)
        problems.found(text, _told(mistake, place))


def _told(mistake: Mistake, place: Span) -> Diagnostic:
    expected = "one of those that `mtls-run reference implementations` has" if mistake.word else ""
    return Diagnostic(mistake.message, place, expected, meant(mistake.word, mistake.known))


def _place(path: Path, text: str, mistake: Mistake, before: int, line: int, column: int) -> Span | None:
    """The word, or else the line.

    Args:
        path: of the file.
        text: of it, from where the template begins.
        mistake: with the word.
        before: lines of that text above the one to look at.
        line: of the file, from 0, where the text begins.
        column: in it, likewise.
    """
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[:before]))
    if mistake.word:
        found = re.compile(rf"\{{[{{%][^}}]*?(?<![\w.])({re.escape(mistake.word)})(?!\w)").search(text, start)
        low, high = found.span(1) if found is not None else (None, None)
    else:
        here = lines[before] if before < len(lines) else ""
        low = start + len(here) - len(here.lstrip())
        high = start + len(here.rstrip())
    if low is None or high is None or low >= high:
        return None
    above = text.count("\n", 0, low)
    at = low - (text.rfind("\n", 0, low) + 1) + (column if above == 0 else 0) + 1
    return Span(path, line + above + 1, at, line + above + 1, at + high - low)
