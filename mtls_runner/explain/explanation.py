"""A whole scenario, or one case of it, as paragraphs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec.structs import replace

from mtls_runner.engine.lab import Lab
from mtls_runner.errors import LabError
from mtls_runner.explain.expected import expected
from mtls_runner.explain.pki import pki
from mtls_runner.explain.sequence import seen_by, sequence
from mtls_runner.explain.servers import server
from mtls_runner.explain.steps import presents, steps
from mtls_runner.explain.words import TextLine, quoted
from mtls_runner.language.check_cases import never_holds
from mtls_runner.model import HINTS, MEANINGS
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.endpoint import ServerSpec

__all__ = ["explain"]

_BLANK = TextLine("")


def explain(plan: Plan, now: datetime, *, in_full: bool) -> Iterator[TextLine]:
    """The plan's cases and what they rest on.

    Args:
        plan: with the cases that are to be explained.
        now: relative times count from it; aware.
        in_full: every step of each case, not only the one where it ends.
    """
    yield TextLine(f"{plan.path}: {plan.name}", heading=True)
    if plan.description.strip():
        yield TextLine(" ".join(plan.description.split()), indent=2)
    yield _BLANK
    yield from pki(plan, now)
    numbered = _numbered(plan)
    lab = Lab(plan)
    for spec, name in numbered.items():
        yield _BLANK
        yield from server(spec, plan.certificates, name)
    yield _BLANK
    yield TextLine("Cases", heading=True)
    for alike in _alike(plan.cases):
        yield _BLANK
        yield from _cases(lab, alike, numbered, now, in_full=in_full)


def _numbered(plan: Plan) -> dict[ServerSpec, str]:
    """What each server is called: its id, with a number where a matrix or a case makes several of one."""
    specs = dict.fromkeys(one for case in plan.cases for one in _taking_part(case))
    names: dict[ServerSpec, str] = {}
    for spec in specs:
        same = [other for other in specs if other.id == spec.id]
        names[spec] = quoted(spec.id) + (f" ({same.index(spec) + 1})" if len(same) > 1 else "")
    return names


def _taking_part(case: Case) -> Iterator[ServerSpec]:
    """Its server, those behind it, and those that redirects may lead to."""
    yield case.server
    yield from (behind for _, behind in case.server.behind)
    for step in case.steps:
        yield from (server for _, server in (step.client.location if step.client is not None else None) or ())


def _alike(cases: Sequence[Case]) -> Iterator[tuple[str, list[Case]]]:
    """What a matrix made of one case, together."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.written, []).append(case)
    yield from groups.items()


def _cases(
    lab: Lab, alike: tuple[str, list[Case]], servers: dict[ServerSpec, str], now: datetime, *, in_full: bool
) -> Iterator[TextLine]:
    name, cases = alike
    bodies: dict[tuple[TextLine, ...], list[Case]] = {}
    for case in cases:
        bodies.setdefault(tuple(_case(lab, case, servers, now, in_full=in_full)), []).append(case)
    yield TextLine(name, indent=2, heading=True)
    for body, same in bodies.items():
        if len(bodies) > 1:
            yield TextLine(_variants(same, name), indent=4)
            yield from (replace(line, indent=line.indent + 2) for line in body)
        else:
            yield from body


def _variants(cases: Sequence[Case], name: str) -> str:
    return " ".join(case.name.removeprefix(name) or "(as it is)" for case in cases)


def _skipped(lab: Lab, case: Case) -> str | None:
    """Why ``run`` would skip it here; a client that is not here breaks the case, which is for ``run`` to say."""
    with contextlib.suppress(LabError):
        return lab.cannot(case)
    return None


def _case(lab: Lab, case: Case, servers: dict[ServerSpec, str], now: datetime, *, in_full: bool) -> Iterator[TextLine]:
    plan, wanted = lab.plan, expected(case)
    foreseen = None
    if len(servers) > 1:
        yield TextLine(servers[case.server], 4, "server   ")
    skipped = _skipped(lab, case)
    if skipped is not None:
        yield TextLine(skipped + ".", 4, "skipped  ")
    if case.client is None:
        yield TextLine(wanted.sentence + ".", 4, "expected ")
        if wanted.reason is not None:
            yield TextLine(MEANINGS[wanted.reason] + ".", 4, "because  ")
    elif not case.plain:
        yield from sequence(plan, case, now)
    else:
        yield TextLine(presents(plan, case.client) + ".", 4, "client   ")
        yield TextLine(wanted.sentence + ".", 4, "expected ")
        foreseen = never_holds(case, plan.certificates, plan.crls, now)
        if foreseen is not None:
            yield TextLine(f"That can never hold: {foreseen.why}.", 4, "but      ")
        for step in steps(plan, seen_by(case), wanted, now) if foreseen is None else ():
            if in_full or step.ends:
                yield TextLine(step.text, 4, f"step {step.number}   ")
    if wanted.details:
        yield TextLine(", ".join(wanted.details) + ".", 4, "checked  ")
    hint = HINTS.get(wanted.reason, "") if wanted.reason is not None else ""
    if in_full and hint and foreseen is None:
        yield TextLine(hint, 4, "hint     ")
