"""Commands that are about one scenario file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mtls_runner.cli.choose import Choice, chosen
from mtls_runner.errors import UsageError
from mtls_runner.model.case import Plan
from mtls_runner.reporters import colored, is_terminal, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mtls_runner.model.port import Report

__all__ = ["live_progress", "one_plan"]


def one_plan(choice: Choice) -> Plan:
    """The plan of the one file that was typed, with only the cases that were asked for.

    Raises:
        UsageError: it is no single file, or no case of it matches.
        ScenarioError: it is invalid.
    """
    plans = chosen(choice)
    if len(plans) > 1:
        files = _several([str(plan.path) for plan in plans])
        raise UsageError(f"one scenario file is wanted here, not {len(plans)}: {files}")
    return plans[0]


@contextmanager
def live_progress(color: str = "auto") -> Iterator[Report | None]:
    """A live line on a terminal at standard error, gone afterwards; ``None`` where there is no terminal."""
    if not is_terminal(sys.stderr):
        yield None
        return
    from mtls_runner.reporters.live import RichPage

    page = RichPage(sys.stderr, color=colored(color, sys.stderr), live=True)
    over = False

    def told(doing: str, done: int, total: int) -> None:
        if not over:  # somebody may still have it
            page.progress(one_line(doing), done, total)

    try:
        yield told
    finally:
        over = True
        page.close()


def _several(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
