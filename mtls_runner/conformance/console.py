"""The document as plain lines, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.conformance.table import OutcomeTable, Row

__all__ = ["lines"]


def lines(document: OutcomeTable, *, passed: str = "✓", failed: str = "✗") -> Iterator[str]:
    """One case after the other, then where ends differ and what was not run.

    Args:
        document: what there is to tell.
        passed, failed: marks that the stream can show.
    """
    for section in document.sections:
        yield section.name
        yield f"  {section.description}"
        for row in section.rows:
            yield from _row(row, passed if row.passed else failed)
        yield ""
    if document.differences:
        yield "where ends differ"
    for section_name, name, told in document.differences:
        yield f"  {section_name}: {name}"
        yield f"      {told}"
    if document.differences and document.skips:
        yield ""
    if document.skips:
        yield "not run"
    for reason, which in document.skips:
        yield f"  {reason}"
        yield f"      {which}"


def _row(row: Row, mark: str) -> Iterator[str]:
    outcome, how, curl_exit, code = row.cells
    yield f"  {mark} {row.name}"
    yield f"      {outcome}"
    if row.fault:
        yield f"      shows as {how}; curl exits with {curl_exit}; verify code {code}"
    if row.control:
        yield f"      against {row.control!r}: {row.changes}"
