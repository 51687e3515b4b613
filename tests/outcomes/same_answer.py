"""A scenario passes with both clients on a backend, and ends there as with the embedded ends, case by case.

Only what stands under ``where:`` may differ: a certificate with two independent faults is refused for one of them here
and for the other there, and then the scenario says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtls_runner import Status, Verdict
from mtls_runner.registry import registry

from ..once import TOOLS, Answers

__all__ = ["SCENARIOS", "Compared", "compared"]

#: Without folders of scenarios that are for one of the other servers.
SCENARIOS = sorted(
    path
    for path in (Path(__file__).parents[2] / "scenarios").rglob("*.yaml")
    if path.name != "lab.yaml" and path.parent.name not in {*registry().backends.declared, "application"}
)


@dataclass(frozen=True)
class Compared:
    """A scenario file on a backend.

    Args:
        wrong: what does not hold, a line each.
        ran: how many cases were run, with either client.
        skipped: why others were not.
    """

    wrong: tuple[str, ...]
    ran: int
    skipped: frozenset[str]


def compared(path: Path, backend: str, answers: Answers) -> Compared:
    """Hold all cases against what the embedded ends say of them."""
    here = answers(path, "python", "python")
    wrong: list[str] = []
    ran, skipped = 0, set[str]()
    for tool in TOOLS:
        there = answers(path, backend, tool)
        if set(here) != set(there):
            wrong.append(f"with {tool} there are other cases: {set(here) ^ set(there)}")
        for name, verdict in there.items():
            if verdict.status is Status.SKIP:
                skipped.add(verdict.skip_reason)
                if not verdict.skip_reason:
                    wrong.append(f"{name} with {tool}: skipped, and it does not say why")
                continue
            ran += 1
            wrong += _differences(f"{name} with {tool}", verdict, here[name])
    return Compared(tuple(wrong), ran, frozenset(skipped))


def _differences(title: str, verdict: Verdict, other: Verdict) -> list[str]:
    if verdict.status is not Status.PASS:
        return [f"{title}: {verdict.status} {verdict.error or verdict.mismatches}"]
    if other.status is Status.SKIP or _expected(verdict) != _expected(other) or _alike(verdict, other):
        return []
    return [f"{title}: {_told(verdict)}, and {_told(other)} with the embedded ends"]


def _alike(verdict: Verdict, other: Verdict) -> bool:
    """Where an end can't tell several reasons apart, the other's is among them."""
    one, two = verdict.observation, other.observation
    shared = one is not None and two is not None and one.outcome == two.outcome and {*one.reasons} & {*two.reasons}
    return bool(shared) or _told(verdict) == _told(other)


def _told(verdict: Verdict) -> tuple[str | None, str | None]:
    seen = verdict.observation
    return (seen.outcome, seen.reason) if seen is not None else (None, verdict.error)


def _expected(verdict: Verdict) -> list[object]:
    """What the author expects as outcome and reason on these ends."""
    case = verdict.case
    checks = [*case.expect.checks, *(check for step in case.steps for check in step.expect.checks)]
    return [check.alternatives for check in checks if check.path in ("outcome", "reason")]
