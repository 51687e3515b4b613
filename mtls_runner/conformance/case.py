"""One case of the catalogue in all places where it is run, and the control that it is held against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from mtls_runner.conformance.catalogue import Combination, combination
from mtls_runner.conformance.difference import Change, changes
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.observation import Outcome

__all__ = ["CatalogueCase", "CatalogueFile", "ControlCase", "by_file"]


_SOUND = (Outcome.ACCEPTED, Outcome.SERVER_STARTED)


class ControlCase(Struct, frozen=True):
    """The accepted case of the same file that differs least, and in what."""

    name: str
    changes: tuple[Change, ...]


class CatalogueCase(Struct, frozen=True):
    """One case of the catalogue.

    Args:
        name: without the matrix's parameters.
        line: where it stands in its file.
        control: ``None`` for the first accepted case of a file, and for a server's own expectation.
        places: where it is run, and as which case of a plan.
    """

    name: str
    line: int
    control: ControlCase | None
    places: Mapping[Combination, Case]

    @property
    def is_fault(self) -> bool:
        """Whether something else than acceptance (or, of a server, its start) is expected in any place."""
        return any(expected_outcome(case) not in _SOUND for case in self.places.values())


class CatalogueFile(Struct, frozen=True):
    """One file of the catalogue."""

    plan: Plan
    entries: tuple[CatalogueCase, ...]


def expected_outcome(case: Case) -> Outcome | None:
    """What the file expects there; ``None``: it leaves that open."""
    for check in case.expect.checks:
        if check.path == "outcome" and len(check.alternatives) == 1:
            return Outcome(str(check.alternatives[0].value))
    return None


def by_file(plans: Sequence[Plan]) -> tuple[CatalogueFile, ...]:
    """Their cases by file and line, in the files' order; several plans of one file differ in their backend only."""
    found: dict[str, dict[int, dict[Combination, Case]]] = {}
    first: dict[str, Plan] = {}
    for plan in plans:
        first.setdefault(plan.name, plan)
        lines = found.setdefault(plan.name, {})
        for case in plan.cases:
            lines.setdefault(case.span.line, {})[combination(case)] = case
    return tuple(CatalogueFile(plan, tuple(_entries(plan, found[name]))) for name, plan in first.items())


def _entries(plan: Plan, lines: Mapping[int, Mapping[Combination, Case]]) -> Iterator[CatalogueCase]:
    controls = _controls(plan)
    for line, places in sorted(lines.items()):
        yield CatalogueCase(next(iter(places.values())).written, line, controls.get(line), places)


def _controls(plan: Plan) -> dict[int, ControlCase]:
    """The control of each case, by line: one of the cases that are accepted everywhere; compared at one place."""
    cases = [case for case in plan.cases if case.client is not None]
    newest = max((combination(case) for case in cases), key=lambda where: (where.tls, where.tool), default=None)
    refused = {case.span.line for case in cases if expected_outcome(case) is not Outcome.ACCEPTED}
    cases = [case for case in cases if combination(case) == newest]
    accepted = [case for case in cases if case.span.line not in refused]
    controls: dict[int, ControlCase] = {}
    for case in cases:
        # An accepted case is told against an earlier one only: otherwise two would stand for each other.
        candidates = [
            other
            for other in accepted
            if other is not case and (case not in accepted or other.span.line < case.span.line)
        ]
        if not candidates:
            continue
        differing = [(changes(other, case, plan.certificates), other) for other in candidates]
        least, control = min(
            differing, key=lambda pair: (len(pair[0]), abs(pair[1].span.line - case.span.line), pair[1].span.line)
        )
        controls[case.span.line] = ControlCase(control.written, least)
    return controls
