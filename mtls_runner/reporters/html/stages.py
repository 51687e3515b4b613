"""The steps of a case, each with what was expected, what was seen and its handshake."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from mtls_runner.model.verdict import Status, Verdict
from mtls_runner.reporters import headline
from mtls_runner.reporters.html.comparison import ComparedCheck, compared
from mtls_runner.reporters.html.drawing import Drawing, Drawings
from mtls_runner.reporters.html.ladder import steps as rungs
from mtls_runner.reporters.html.overview import WORDS

__all__ = ["Stage", "last_seen", "stages"]

_NOT_DONE = "not done"


class Stage(Struct, frozen=True):
    """One step of a case on the page.

    Args:
        name: as people are told it.
        status, word: of its verdict; ``skip`` where it was not done.
        said: what came of it, in a line.
        summary: who refused whom, and why, where ``said`` is about something else; else ``""``.
        held: expected against observed.
        drawing: of its handshake.
        client: who connected, with its version.
        when: how long after the case's begin it was done ("3.1 s"); ``""``: it was not.
        action: what it does, as a word.
    """

    name: str
    status: str
    word: str
    said: str
    summary: str = ""
    held: tuple[ComparedCheck, ...] = ()
    drawing: Drawing | None = None
    client: str = ""
    when: str = ""
    action: str = ""


def last_seen(verdict: Verdict) -> int | None:
    """The number of the last step, from 0, in which somebody connected."""
    connected = [
        number
        for number, done in enumerate(verdict.steps)
        if done.observation is not None and done.observation.client is not None
    ]
    return connected[-1] if connected else None


def stages(verdict: Verdict, drawings: Drawings) -> Iterator[Stage]:
    """Every step in order, those that were not done too."""
    case = verdict.case
    since = 0.0
    for number, step in enumerate(case.steps):
        if number >= len(verdict.steps):
            written = compared(step.expect, (), None) if case.plain else ()
            yield Stage(step.name, "skip", _NOT_DONE, "", held=written, action=step.action)
            continue
        done = verdict.steps[number]
        seen = done.observation
        drawn = rungs(case.alone(number), seen) if seen is not None else ()
        client = seen.client if seen is not None else None
        yield Stage(
            name=step.name,
            status=done.status,
            word=WORDS[done.status],
            said=headline(done),
            summary=seen.summary if seen is not None and done.status is not Status.PASS else "",
            held=compared(step.expect, done.mismatches, seen),
            drawing=drawings.of(drawn) if drawn else None,
            client=f"{client.tool} {client.tool_version}" if client is not None else "",
            when=f"{since:.1f} s",
            action=step.action,
        )
        since += done.duration
