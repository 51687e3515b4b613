"""Every server that comes with the lab refuses what the scenarios say, for the reason that they say."""

from pathlib import Path

import pytest

from mtls_runner import Overrides, Status, load, run
from mtls_runner.model.event import CaseFinished, RunFinished
from mtls_runner.registry import registry

ROOT = Path(__file__).parents[2]
SERVERS = sorted(registry().backends.declared)


@pytest.mark.parametrize("name", SERVERS)
def test_the_scenarios_hold(name: str) -> None:
    plans = [
        load(ROOT / "scenarios" / file, Overrides(backend=name)) for file in ("basic.yaml", "wrong-certificates.yaml")
    ]
    why = registry().backends[name].missing()
    if why is not None:
        pytest.skip(why)
    events = list(run(plans))
    verdicts = [event.verdict for event in events if isinstance(event, CaseFinished)]
    wrong = [
        (v.case.name, v.status, v.error, v.mismatches) for v in verdicts if v.status not in (Status.PASS, Status.SKIP)
    ]
    assert not wrong
    assert sum(verdict.status is Status.PASS for verdict in verdicts) >= 44
    finished = next(event for event in events if isinstance(event, RunFinished))
    assert finished.versions[name]
