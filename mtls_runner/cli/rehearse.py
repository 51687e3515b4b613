"""``mtls-run rehearse``, and times as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from mtls_runner.cli import STOP
from mtls_runner.cli.choose import Choice
from mtls_runner.cli.diagnostics import complain
from mtls_runner.cli.one_file import live_progress, one_plan
from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import ScenarioError, UsageError
from mtls_runner.language.x509_words import moment
from mtls_runner.reporters import one_line

__all__ = ["later", "rehearse"]

_YEARS = re.compile(r"(\d+)y")
_MOST = timedelta(days=365 * 100)


def later(option: str, text: str, now: datetime) -> timedelta:
    """How much later than ``now`` is meant: ``+90d``, ``1y``, ``-2w``, or a date.

    Raises:
        UsageError: that is no time, or too far away.
    """
    try:
        wanted = moment(_YEARS.sub(lambda found: f"{int(found[1]) * 365}d", text))
        by = wanted.resolve(now) - now
    except (ValueError, OverflowError):
        by = _MOST * 2
    if abs(by) > _MOST:
        raise UsageError(
            f"{option} {text}: a time is expected, such as +90d, 1y or 2027-03-14, at most a hundred years away"
        )
    return by


def rehearse(choice: Choice, text: str, color: str) -> ExitCode:
    """Live through the dates of one file; 1 where something changes.

    Raises:
        UsageError: what was typed is wrong.
    """
    from mtls_runner.rehearse.rehearsal import rehearse as live_through

    now = datetime.now(UTC)
    until = later("--for", text, now)
    if until <= timedelta(0):
        raise UsageError(f"--for {text}: a time to come is expected, such as 90d or 1y")
    try:
        plan = one_plan(choice)
    except ScenarioError as error:
        return complain(error.diagnostics, color)
    with STOP.cleanly(), live_progress(color) as tell:
        done = live_through(plan, until, now, tell=tell)
    changed = False
    for change in done.changes:
        day = f"{change.date.when:%Y-%m-%d}"
        for sentence, names in change.sentences.items():
            changed = True
            click.echo(one_line(f"on {day} {sentence}   ({'; '.join(names)})"))
        if not change.sentences:
            click.echo(one_line(f"on {day} nothing changes, though {', '.join(change.date.what)}"))
    for name, reason in done.skipped.items():
        click.echo(one_line(f"not rehearsed: {name}: {reason}"))
    if done.broken:
        click.echo(f"mtls-run: {done.broken}", err=True)
        return ExitCode.BROKEN
    if len(done.skipped) == len(plan.cases):
        return ExitCode.NOTHING_RUN
    if not changed:
        click.echo(f"until {now + until:%Y-%m-%d} no case ends otherwise than today")
    return ExitCode.FAILED if changed else ExitCode.OK
