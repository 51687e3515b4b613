"""Verdicts as cells of a measurement."""

from __future__ import annotations

from collections.abc import Iterable

from mtls_runner import Plan, Verdict
from mtls_runner.conformance.catalogue import Combination, combination
from mtls_runner.conformance.from_verdicts import measured_cell
from mtls_runner.conformance.measurement import MeasuredCell

__all__ = ["cells_of"]


def cells_of(plan: Plan, verdicts: Iterable[Verdict]) -> dict[tuple[str, str], dict[Combination, MeasuredCell]]:
    """What was seen of a file of the catalogue, as a measurement has it."""
    found: dict[tuple[str, str], dict[Combination, MeasuredCell]] = {}
    for verdict in verdicts:
        found.setdefault((plan.name, verdict.case.written), {})[combination(verdict.case)] = measured_cell(verdict)
    return found
