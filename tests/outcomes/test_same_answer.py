"""Every scenario gives the same outcome and reason on both backends and with both clients, case by case.

Only what stands under ``where:`` may differ, and that the scenarios' own expectations hold.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtls_runner import Lab, Overrides, Plan, Status, Verdict, load
from mtls_runner.errors import EngineError

SCENARIOS = sorted(
    path for path in (Path(__file__).parents[2] / "scenarios").rglob("*.yaml") if path.name != "lab.yaml"
)
ENDS = [("python", "curl"), ("nginx", "python"), ("nginx", "curl")]
IMAGE = os.environ.get("MTLS_RUN_IMAGE", "mtls-run/nginx:debian")


def verdicts(plan: Plan) -> dict[str, Verdict]:
    with Lab(plan) as lab:
        return {case.id: lab.run(case) for case in plan.cases}


def answers(path: Path, backend: str, tool: str) -> dict[str, Verdict]:
    return verdicts(load(path, Overrides(backend=backend, tool=tool, image=IMAGE)))


@pytest.fixture(scope="session")
def engine() -> None:
    from mtls_runner.servers.container.engine import Engine

    try:
        Engine.connect().image(IMAGE)
    except EngineError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(f"scenarios were not run on nginx: {error}")


def told(verdict: Verdict) -> tuple[str | None, str | None]:
    assert verdict.observation is not None, verdict.error
    return verdict.observation.outcome, verdict.observation.reason


@pytest.mark.parametrize(("backend", "tool"), ENDS)
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_outcome_and_reason_are_those_of_the_embedded_backend(
    path: Path, backend: str, tool: str, request: pytest.FixtureRequest
) -> None:
    if backend == "nginx":
        request.getfixturevalue("engine")
    here, there = answers(path, "python", "python"), answers(path, backend, tool)
    assert set(here) == set(there)
    compared = 0
    for name, verdict in there.items():
        assert verdict.status in (Status.PASS, Status.SKIP), (name, verdict)
        if Status.SKIP in (verdict.status, here[name].status):
            continue
        compared += 1
        assert told(verdict) == told(here[name]), name
    if not compared:
        pytest.skip("nothing in this scenario runs on both")
