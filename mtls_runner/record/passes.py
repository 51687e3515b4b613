"""Runs cases again and again until it is known what they end in, also beside what the file will say by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from mtls_runner.engine import RunOptions, run
from mtls_runner.errors import LabError
from mtls_runner.model.case import Case, Check, Expectation, Match, Matcher, Plan
from mtls_runner.model.observation import Observation, Outcome
from mtls_runner.model.verdict import CaseFinished, Event, PlanFinished, RunFinished, Verdict

__all__ = ["Listener", "Pass", "Passes", "done_verdict", "location", "open_ended", "passes"]

_PASSES = 3
"""What differs between them is left out."""
_SETTLING = 4
"""Passes after which those who are accepted, whose answers others are held against, count as found."""

Listener: TypeAlias = Callable[[Event], None]
"""Is told what happens."""
Pass: TypeAlias = Mapping[str, Verdict]
"""What came of each case, by its id."""


def open_ended(case: Case) -> Case:
    """The case with connections that may end in any way; a failed reload still stops it."""
    return replace(
        case, steps=tuple(replace(step, expect=Expectation()) if step.client else step for step in case.steps)
    )


class Passes(Struct, frozen=True):
    """What some cases ended in, over several runs.

    Args:
        verdicts: of each pass that counts.
        versions: of the programs that took part, by name.
        known: the plan with the user's own certificates and CRLs as their files are; ``None``: it has none.
    """

    verdicts: tuple[Pass, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    known: Plan | None = None


def passes(plan: Plan, cases: Sequence[Case], *, jobs: int = 1, listener: Listener | None = None) -> Passes:
    """What came of the cases, :data:`_PASSES` times.

    Some answers only mean something beside that of a client that is accepted (:mod:`mtls_runner.engine.control`). Once it is
    written, the file says who those are; so they count here as soon as a pass has shown them, and passes that ended otherwise
    without them don't.

    Args:
        plan: of the file; what its other cases expect counts.
        cases: what is run, with those connections open-ended that are to be recorded.
        jobs: cases at a time.
        listener: is told of all events.

    Raises:
        KeyboardInterrupt: it was interrupted.
        LabError: a pass broke as a whole.
    """
    ids = {case.id for case in cases}
    others = tuple(case for case in plan.cases if case.id not in ids)
    used: frozenset[str] = frozenset()
    done: list[tuple[frozenset[str], Pass]] = []
    versions: dict[str, str] = {}
    for number in range(_SETTLING + _PASSES):
        known = tuple(_accepting(case) for case in cases if case.id in used)
        verdicts, described = _once(
            replace(plan, cases=tuple(cases), not_run=(*others, *known)), jobs, listener, versions
        )
        done.append((used, verdicts))
        found = frozenset(id_ for id_, verdict in verdicts.items() if _accepted(verdict))
        if number < _SETTLING and found != used:
            used = found
        same = [each for controls, each in done if controls == used]
        counted = [each for controls, each in done if controls == used or (same and _ends(each) == _ends(same[0]))]
        if same and len(counted) >= _PASSES:
            break
    return Passes(tuple(counted[-_PASSES:]), versions, described)


def _once(plan: Plan, jobs: int, listener: Listener | None, versions: dict[str, str]) -> tuple[Pass, Plan | None]:
    verdicts: dict[str, Verdict] = {}
    known: Plan | None = None
    for event in run([plan], RunOptions(jobs=jobs), listener):
        if listener is not None:
            listener(event)
        if isinstance(event, CaseFinished):
            verdicts[event.verdict.case.id] = event.verdict
        elif isinstance(event, PlanFinished):
            known = event.known
        elif isinstance(event, RunFinished):
            versions.update(event.versions)
            if event.interrupted:
                raise KeyboardInterrupt
            if event.error:
                raise LabError(event.error)
    return verdicts, known


def _accepted(verdict: Verdict) -> bool:
    seen = verdict.observation
    return verdict.case.plain and seen is not None and seen.outcome is Outcome.ACCEPTED


def _accepting(case: Case) -> Case:
    """As the file will say it."""
    step = case.steps[0]
    accepted = Check("outcome", (Matcher(Match.EQUALS, Outcome.ACCEPTED.value),), step.span)
    return replace(case, steps=(replace(step, expect=Expectation((accepted,))),))


def done_verdict(verdict: Verdict, step: int) -> Verdict | None:
    """The verdict on a step of a case that was run; ``None``: the step was not reached."""
    return verdict.steps[step] if step < len(verdict.steps) else None


def location(seen: Observation) -> str | None:
    """Where a redirect leads."""
    redirects = seen.status is not None and 300 <= seen.status < 400
    return (
        next((value for name, value in seen.headers or () if name.lower() == "location"), None) if redirects else None
    )


def _ends(verdicts: Pass) -> object:
    return {
        id_: [
            (each.observation.written, each.observation.status, location(each.observation))
            for each in verdict.steps
            if each.observation is not None
        ]
        for id_, verdict in verdicts.items()
    }
