"""Annotations on the lines of a scenario that did not hold, where GitHub Actions runs the lab.

A workflow command is a line of its own in the log (GitHub's documentation, "Workflow commands for GitHub Actions"). What is
written after ``::`` is the message; what stands in the way of reading it as one line is escaped as the runner undoes it
(``escapeData`` and ``escapeProperty`` in actions/toolkit, ``packages/core/src/command.ts``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from mtls_runner.errors import Diagnostic, Severity, Span
from mtls_runner.model.verdict import CaseFinished, Event, PlanStarted, Status, Verdict
from mtls_runner.reporters import headline, visible

__all__ = ["GithubReporter", "annotation", "wanted", "workspace"]

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
    """One annotation for each line of a failed case that did not hold, and for each case that broke.

    Args:
        stream: where the runner reads.
        workspace: see :func:`annotation`.
    """

    def __init__(self, stream: TextIO, workspace: Path | None) -> None:
        self._stream = stream
        self._workspace = workspace

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished):
            for diagnostic in _diagnostics(event.verdict):
                self._write(diagnostic, event.verdict.case.id)
        elif isinstance(event, PlanStarted):
            for warning in event.plan.warnings:
                self._write(warning, str(event.plan.path))

    def close(self) -> None:
        """Flush."""
        self._stream.flush()

    def _write(self, diagnostic: Diagnostic, title: str) -> None:
        self._stream.write(annotation(diagnostic, title, self._workspace) + "\n")
        self._stream.flush()


def _diagnostics(verdict: Verdict) -> Iterator[Diagnostic]:
    if verdict.status not in (Status.FAIL, Status.ERROR):
        return
    seen = f"\n{verdict.observation.summary}" if verdict.observation is not None else ""
    for mismatch in verdict.mismatches:
        where = f"step {mismatch.step}, " if mismatch.step is not None else ""
        said = f"{where}{mismatch.path}: expected {mismatch.expected}, observed {mismatch.observed}{seen}"
        yield Diagnostic(said, mismatch.span)
    if not verdict.mismatches:
        yield Diagnostic(verdict.error.strip() or headline(verdict), verdict.case.span)
