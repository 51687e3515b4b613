"""Every scenario passes on both backends and with both clients, with the same outcome and reason, case by case.

Only what stands under ``where:`` may differ: a certificate with two independent faults is refused for one of them here
and for the other there, and then the scenario says so.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner import Status, Verdict
from mtls_runner.registry import registry

from ..once import A_CONTAINER_EACH, TOOLS, Answers

pytestmark = pytest.mark.timeout(600)

#: Without folders of scenarios that are for one of the other servers.
SCENARIOS = sorted(
    path
    for path in (Path(__file__).parents[2] / "scenarios").rglob("*.yaml")
    if path.name != "lab.yaml" and path.parent.name not in {*registry().backends.declared, "application"}
)


def told(verdict: Verdict) -> tuple[str | None, str | None]:
    assert verdict.observation is not None, verdict.error
    return verdict.observation.outcome, verdict.observation.reason


def reasons(verdict: Verdict) -> list[object]:
    """What the author expects as outcome and reason on these ends."""
    case = verdict.case
    checks = [*case.expect.checks, *(check for step in case.steps for check in step.expect.checks)]
    return [check.alternatives for check in checks if check.path in ("outcome", "reason")]


@pytest.mark.parametrize(
    ("path", "backend"),
    [
        pytest.param(path, backend, id=f"{path.stem}-{backend}")
        for path in SCENARIOS
        for backend in ("python", "nginx")
        if backend == "python" or path.stem not in A_CONTAINER_EACH
    ],
)
def test_outcome_and_reason_are_those_of_the_embedded_ends(
    path: Path, backend: str, answers: Answers, request: pytest.FixtureRequest
) -> None:
    if backend == "nginx":
        request.getfixturevalue("nginx_engine")
    here = answers(path, "python", "python")
    ran, skipped = 0, set[str]()
    for tool in TOOLS:
        there = answers(path, backend, tool)
        assert set(here) == set(there)
        for name, verdict in there.items():
            if verdict.status is Status.SKIP:
                assert verdict.skip_reason, name
                skipped.add(verdict.skip_reason)
                continue
            assert verdict.status is Status.PASS, (name, tool, verdict.error, verdict.mismatches)
            ran += 1
            if here[name].status is not Status.SKIP and reasons(verdict) == reasons(here[name]):
                assert told(verdict) == told(here[name]), (name, tool)
    if not ran and backend == "nginx":  # what only nginx can do, the embedded server need not
        pytest.skip("; ".join(sorted(skipped)))
