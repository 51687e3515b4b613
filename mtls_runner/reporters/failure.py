"""A case that did not pass, in full: what does not hold and where it is written, what was seen, how to run it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from mtls_runner.errors import Diagnostic
from mtls_runner.model.case import Case
from mtls_runner.model.verdict import Verdict
from mtls_runner.reporters import headline, one_line, told_mismatches, told_sentence, visible
from mtls_runner.snippet.rendering import render

__all__ = ["explain", "typed_again"]


def explain(
    verdict: Verdict,
    text: str,
    *,
    color: bool = False,
    by_hand: bool = False,
    columns: int | None = None,
    again: str = "",
) -> str:
    """Everything that a person needs to understand a failed case or a broken lab.

    Args:
        verdict: a failed or an erroneous one.
        text: the scenario file's text, for the snippets.
        color: with ANSI colours in the snippets.
        by_hand: with the command that repeats it, for which the run's material has to be kept.
        columns: cells of the terminal, if there is one.
        again: the command that runs it again, alone.
    """
    command = [f"  again:    {again}"] if again else []
    return "\n".join([*_parts(verdict, text, color, by_hand, columns), *command])


def typed_again(case: Case, typed: Sequence[str]) -> str:
    """The command that runs this case alone, as it was run.

    Args:
        case: which.
        typed: the options that count for it, as ``RunStarted`` has them.
    """
    return one_line(shlex.join(["mtls-run", case.id, *typed]))


def _parts(verdict: Verdict, text: str, color: bool, by_hand: bool, columns: int | None) -> Iterator[str]:
    for mismatch in told_mismatches(verdict):
        yield render(
            Diagnostic(told_sentence(mismatch, verdict), mismatch.span), text, color=color, columns=columns
        ).rstrip("\n")
    if not verdict.mismatches:
        message = verdict.error.strip() or headline(verdict)
        first, _, more = visible(message).partition("\n")
        yield render(Diagnostic(first, verdict.span or verdict.case.span), text, color=color, columns=columns).rstrip(
            "\n"
        )
        yield from (f"    {line}" for line in more.splitlines())
    for number, done in enumerate(verdict.steps[:-1], 1):
        yield f"  {'' if number > 1 else 'before:':<9} {number} {_name(done)}: {headline(done)}"
    seen = verdict.observation
    if seen is not None:
        if seen.summary:
            yield f"  seen:     {one_line(seen.summary)}"
        for number, fact in enumerate(seen.evidence):
            yield f"  {'' if number else 'evidence:':<9} {one_line(fact)}"
        if seen.hint:
            yield f"  hint:     {one_line(seen.hint)}"
        if by_hand and seen.client is not None and seen.client.command:
            yield f"  by hand:  {one_line(seen.client.command)}"


def _name(done: Verdict) -> str:
    return one_line(done.step.name) if done.step is not None else ""
