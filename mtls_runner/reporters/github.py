"""Annotations on the lines of a scenario that did not hold, where GitHub Actions runs the lab.

A workflow command is a line of its own in the log (GitHub's documentation, "Workflow commands for GitHub Actions"). What is
written after ``::`` is the message; what stands in the way of reading it as one line is escaped as the runner undoes it
(``escapeData`` and ``escapeProperty`` in actions/toolkit, ``packages/core/src/command.ts``).
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from msgspec.structs import replace

from mtls_runner.errors import Diagnostic, Severity, Span
from mtls_runner.model.verdict import (
    WRONG,
    CaseFinished,
    Event,
    PlanFinished,
    PlanStarted,
    RunFinished,
    Status,
    Verdict,
)
from mtls_runner.reporters import cause, headline, one_line, told_mismatches, visible

__all__ = ["GithubReporter", "StepSummary", "annotation", "wanted", "workspace"]

_LISTED = 12
"""Names beside the first of many cases."""
_DATA = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
_PROPERTY = {**_DATA, ord(":"): "%3A", ord(","): "%2C"}


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether a runner of GitHub Actions reads the output (``GITHUB_ACTIONS``, GitHub's "Variables reference")."""
    return environment.get("GITHUB_ACTIONS") == "true"


def workspace(environment: Mapping[str, str]) -> Path | None:
    """The checkout that annotations count paths from (``GITHUB_WORKSPACE``)."""
    path = environment.get("GITHUB_WORKSPACE", "")
    return Path(path) if path else None


def annotation(diagnostic: Diagnostic, title: str, workspace: Path | None = None) -> str:
    """One line that marks a place in the file.

    Args:
        diagnostic: what to say, and where.
        title: stands above it.
        workspace: the repository's checkout, from which the runner counts paths; ``None``: paths stay as they are.
    """
    level = "error" if diagnostic.severity is Severity.ERROR else "warning"
    properties = {**_place(diagnostic.span, workspace), "title": title}
    listed = ",".join(f"{name}={visible(value).translate(_PROPERTY)}" for name, value in properties.items())
    told = [diagnostic.message]
    told += [f"expected: {diagnostic.expected}"] * bool(diagnostic.expected)
    told += [f"did you mean '{diagnostic.suggestion}'?"] * bool(diagnostic.suggestion)
    message = visible("\n".join(told)).translate(_DATA)
    return f"::{level} {listed}::{message}"


def _place(span: Span | None, workspace: Path | None) -> dict[str, str]:
    if span is None:
        return {}
    path = span.path
    if workspace is not None:
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links out of the checkout
        path = absolute.relative_to(workspace) if absolute.is_relative_to(workspace) else path
    place = {"file": path.as_posix(), "line": str(span.line), "col": str(span.column)}
    if span.end_line == span.line and span.end_column > span.column + 1:
        place["endColumn"] = str(span.end_column - 1)
    return place


class GithubReporter:
    """One annotation for each line of a failed case that did not hold, and for each case that broke; of one cause, one.

    GitHub shows ten of a step: what many cases have in common is said once, with their names, when their file is done.

    Args:
        stream: where the runner reads.
        workspace: see :func:`annotation`.
    """

    def __init__(self, stream: TextIO, workspace: Path | None) -> None:
        self._stream = stream
        self._workspace = workspace
        self._alike: dict[Hashable, list[Verdict]] = {}

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished):
            if event.verdict.status in WRONG:
                self._alike.setdefault(cause(event.verdict), []).append(event.verdict)
        elif isinstance(event, PlanFinished | RunFinished):
            self._tell()
        elif isinstance(event, PlanStarted):
            for warning in event.plan.warnings:
                self._write(warning, str(event.plan.path))

    def close(self) -> None:
        """Flush."""
        self._stream.flush()

    def _tell(self) -> None:
        for first, *others in self._alike.values():
            more = f" and {len(others)} more" if others else ""
            names = [other.case.name for other in others[:_LISTED]]
            likewise = "\nlikewise: " + ", ".join([*names, *["…"] * (len(others) > _LISTED)]) if others else ""
            for diagnostic in _diagnostics(first):
                told = replace(diagnostic, message=diagnostic.message + likewise)
                self._write(told, first.case.id + more)
        self._alike = {}

    def _write(self, diagnostic: Diagnostic, title: str) -> None:
        self._stream.write(annotation(diagnostic, title, self._workspace) + "\n")
        self._stream.flush()


class StepSummary:
    """What the job's page on GitHub shows of a run: counts, and what went wrong, each cause once (``GITHUB_STEP_SUMMARY``).

    Args:
        path: the step's own file; other programs of the step may have written into it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alike: dict[tuple[str, Hashable], list[Verdict]] = {}
        self._plan = ""

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, PlanStarted):
            self._plan = str(event.plan.path)
        elif isinstance(event, CaseFinished):
            if event.verdict.status in WRONG:
                self._alike.setdefault((self._plan, cause(event.verdict)), []).append(event.verdict)
        elif isinstance(event, RunFinished):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n".join(self._lines(event)) + "\n")

    def close(self) -> None:
        """It is written already."""

    def _lines(self, event: RunFinished) -> Iterator[str]:
        counts = ", ".join(
            f"{event.counts[status]} {word}" for status, word in _COUNTED.items() if event.counts.get(status)
        )
        yield f"### mtls-run: {counts or 'nothing was run'} in {event.duration:.1f} s\n"
        if event.error:
            yield f"The lab broke: {_cell(event.error)}\n"
        if self._alike:
            yield "| case | line | what happened | hint |\n| --- | --- | --- | --- |"
        for first, *others in self._alike.values():
            place = first.mismatches[0].span if first.mismatches else first.span or first.case.span
            seen = first.observation
            more = f"<br>and {len(others)} more" if others else ""
            yield (
                f"| {_cell(first.case.id)}{more} | {place.line} | {_cell(headline(first))} "
                f"| {_cell(seen.hint if seen is not None else '')} |"
            )


_COUNTED = {Status.FAIL: "failed", Status.ERROR: "broken", Status.PASS: "passed", Status.SKIP: "skipped"}
_MARKDOWN = {ord(sign): f"&#{ord(sign)};" for sign in "&<>|`*_[]\\~"}


def _cell(text: str) -> str:
    """A text as a cell of a Markdown table, with nothing in it as markup."""
    return one_line(text).translate(_MARKDOWN)


def _diagnostics(verdict: Verdict) -> Iterator[Diagnostic]:
    seen = f"\n{verdict.observation.summary}" if verdict.observation is not None else ""
    for mismatch in told_mismatches(verdict):
        where = f"step {mismatch.step}, " if mismatch.step is not None else ""
        yield Diagnostic(f"{where}{mismatch.told}{seen}", mismatch.span)
    if not verdict.mismatches:
        yield Diagnostic(verdict.error.strip() or headline(verdict), verdict.span or verdict.case.span)
