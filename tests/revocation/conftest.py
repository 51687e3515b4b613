"""The project's own revocation scenarios, and their material."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import Case, Overrides, Plan, Status, Verdict, load
from mtls_runner.engine import RunOptions, run
from mtls_runner.model.revocation import ResponderSpec
from mtls_runner.model.verdict import CaseFinished, RunFinished
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool

from ..container_engine import IMAGE

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def plan_of(name: str, backend: str = "python", tool: str = "python") -> Plan:
    return load(SCENARIOS / name, Overrides(backend=backend, tool=tool, image=IMAGE))


def expected(case: Case, path: str) -> object:
    """What a case expects there, as it is planned."""
    found = [check.alternatives[0].value for check in case.expect.checks if check.path == path]
    return found[-1] if found else None


def each_once(plan: Plan) -> dict[str, Case]:
    """Cases by name, without their variants."""
    return {case.name.partition("[")[0]: case for case in plan.cases}


def verdicts(plan: Plan, cases: Mapping[str, Case]) -> dict[str, Verdict]:
    """Run those that can be run, several at a time: what asks responders has a container each."""
    named = tuple(replace(case, id=name) for name, case in cases.items())
    found = {}
    for event in run([replace(plan, cases=named)], RunOptions(jobs=4)):
        if isinstance(event, CaseFinished) and event.verdict.status is not Status.SKIP:
            found[event.verdict.case.id] = event.verdict
        elif isinstance(event, RunFinished):
            assert not event.error, event.error
    return found


MakeStore = Callable[[Plan], Store]


@pytest.fixture(scope="module")
def make_store(tmp_path_factory: pytest.TempPathFactory, pool: KeyPool) -> MakeStore:
    def make(plan: Plan) -> Store:
        directory = tmp_path_factory.mktemp("material")
        return Store(directory, plan.certificates, start=datetime.now(UTC), pool=pool, crls=plan.crls)

    return make


@pytest.fixture(scope="module")
def store(make_store: MakeStore, plan: Plan) -> Store:
    """Of the module's own ``plan``."""
    return make_store(plan)


@pytest.fixture(scope="module")
def responders(plan: Plan) -> dict[str, ResponderSpec]:
    return {spec.id: spec for case in plan.cases for spec in case.server.responders}
