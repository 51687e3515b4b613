"""Why a case did not pass, as text: for the console, JUnit and pytest alike."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from mtls_runner.model.verdict import Mismatch, Status, Undetermined, Verdict
from mtls_runner.reporters.escape import one_line, visible
from mtls_runner.snippet import render
from mtls_runner.span import Diagnostic
from mtls_runner.tls.hints import listed

__all__ = ["doubt", "explain", "headline"]


def headline(verdict: Verdict) -> str:
    """One line about a case or a step: who refused whom and why, or what went wrong instead."""
    match verdict.status:
        case Status.SKIP:
            return one_line(f"skipped: {verdict.skip_reason}")
        case Status.ERROR:
            return one_line(verdict.error.strip().partition("\n")[0] or "the lab broke")
        case Status.FAIL if verdict.mismatches:
            first, *others = verdict.mismatches
            more = f" (and {len(others)} more)" if others else ""
            return one_line(f"{_sentence(first, verdict)}{more}")
        case Status.FAIL:
            if verdict.undetermined is not None:
                return one_line(f"{doubt(verdict.undetermined)}, which --strict forbids")
            return one_line(f"skipped, which --strict forbids: {verdict.skip_reason}")
        case Status.PASS if verdict.step is None and not verdict.case.plain:
            steps = f"{len(verdict.steps)} steps" if len(verdict.steps) > 1 else "1 step"
            return f"{steps}, undetermined" if verdict.undetermined is not None else steps
    return _seen(verdict) or ("done" if verdict.step is not None else "")


def doubt(undetermined: Undetermined) -> str:
    """``undetermined: this end can't tell unknown-ca from self-signed, path-length``."""
    return f"undetermined: this end can't tell {' or '.join(undetermined.expected)} from {listed(undetermined.others)}"


def _seen(done: Verdict) -> str:
    if done.observation is None:
        return ""
    if done.undetermined is None:
        return one_line(done.observation.summary)
    alert = f" (alert {done.observation.alert})" if done.observation.alert else ""
    return one_line(f"{done.observation.outcome}{alert}, {doubt(done.undetermined)}")


def explain(verdict: Verdict, text: str, *, color: bool = False, by_hand: bool = False) -> str:
    """Everything that a person needs to understand a failed case or a broken lab.

    Args:
        verdict: a failed or an erroneous one.
        text: the scenario file's text, for the snippets.
        color: with ANSI colours in the snippets.
        by_hand: with the command that repeats it, for which the run's material has to be kept.
    """
    return "\n".join(_parts(verdict, text, color, by_hand))


def _parts(verdict: Verdict, text: str, color: bool, by_hand: bool) -> Iterator[str]:
    for mismatch in verdict.mismatches:
        yield render(Diagnostic(_sentence(mismatch, verdict), mismatch.span), text, color=color).rstrip("\n")
    if not verdict.mismatches:
        message = verdict.error.strip() or headline(verdict)
        first, _, more = visible(message).partition("\n")
        yield render(Diagnostic(first, verdict.case.span), text, color=color).rstrip("\n")
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
    yield f"  again:    mtls-run {shlex.quote(one_line(verdict.case.id))}"


def _sentence(mismatch: Mismatch, verdict: Verdict) -> str:
    where = ""
    if mismatch.step is not None:
        where = f"step {mismatch.step} ({verdict.case.steps[mismatch.step - 1].name}), "
    return one_line(f"{where}{mismatch.path}: expected {mismatch.expected}, observed {mismatch.observed}")


def _name(done: Verdict) -> str:
    return one_line(done.step.name) if done.step is not None else ""
