"""Every scenario gives the same outcome and reason on both backends and with both clients, case by case.

Only what stands under ``where:`` may differ: a certificate with two independent faults is refused for one of them here
and for the other there, and then the scenario says so.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner import Status, Verdict

from ..once import Answers

SCENARIOS = sorted(
    path for path in (Path(__file__).parents[2] / "scenarios").rglob("*.yaml") if path.name != "lab.yaml"
)
ENDS = [("python", "curl"), ("nginx", "python"), ("nginx", "curl")]


def told(verdict: Verdict) -> tuple[str | None, str | None]:
    assert verdict.observation is not None, verdict.error
    return verdict.observation.outcome, verdict.observation.reason


def reasons(verdict: Verdict) -> list[object]:
    """What the author expects as outcome and reason on these ends."""
    return [check.alternatives for check in verdict.case.expect.checks if check.path in ("outcome", "reason")]


@pytest.mark.parametrize(("backend", "tool"), ENDS)
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_outcome_and_reason_are_those_of_the_embedded_backend(
    path: Path, backend: str, tool: str, answers: Answers, request: pytest.FixtureRequest
) -> None:
    if backend == "nginx":
        request.getfixturevalue("nginx_engine")
    here, there = answers(path, "python", "python"), answers(path, backend, tool)
    assert set(here) == set(there)
    compared = 0
    for name, verdict in there.items():
        assert verdict.status in (Status.PASS, Status.SKIP), (name, verdict)
        if Status.SKIP in (verdict.status, here[name].status):
            continue
        if reasons(verdict) == reasons(here[name]):
            compared += 1
            assert told(verdict) == told(here[name]), name
    if not compared:
        pytest.skip("nothing in this scenario runs on both")
