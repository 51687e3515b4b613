"""Every server and client that comes with the lab ends as the scenarios say, for the reason that they say."""

import os
from pathlib import Path

import pytest

from mtls_runner import Overrides, Status, load, run
from mtls_runner.model.event import CaseFinished, RunFinished
from mtls_runner.registry import registry

ROOT = Path(__file__).parents[2]
ENDS = [
    *((name, Overrides(backend=name)) for name in sorted(registry().backends.declared)),
    *((name, Overrides(tool=name)) for name in sorted(registry().clients.declared)),
]


@pytest.mark.timeout(400)  # Go's program is built once for each user: a minute, and several on a machine that is busy
@pytest.mark.parametrize(
    ("name", "overrides"), ENDS, ids=[f"{name}-{'server' if o.backend else 'client'}" for name, o in ENDS]
)
def test_the_scenarios_hold(name: str, overrides: Overrides) -> None:
    table = registry().backends if overrides.backend else registry().clients
    why = table[name].missing()
    if why is not None and not os.environ.get("CI"):
        pytest.skip(why)
    plans = [load(ROOT / "scenarios" / file, overrides) for file in ("basic.yaml", "wrong-certificates.yaml")]
    events = list(run(plans))
    verdicts = [event.verdict for event in events if isinstance(event, CaseFinished)]
    wrong = [
        (v.case.name, v.status, v.error, v.mismatches) for v in verdicts if v.status not in (Status.PASS, Status.SKIP)
    ]
    assert not wrong
    cases = 44 if overrides.backend else 26
    assert sum(verdict.status is Status.PASS for verdict in verdicts) >= cases
    finished = next(event for event in events if isinstance(event, RunFinished))
    assert finished.versions[name]
