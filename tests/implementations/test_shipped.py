"""Every server and client that comes with the lab ends as the scenarios say, for the reason that they say."""

import os
from pathlib import Path

import pytest

from mtls_runner import Overrides, Status, load, run
from mtls_runner.language.implementations.reading import DIRECTORY, shipped
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.model.verdict import CaseFinished, RunFinished
from mtls_runner.registry import registry

ROOT = Path(__file__).parents[2]
SERVERS = sorted(registry().backends.declared)


def shipped_server(name: str) -> DeclaredServer:
    server = shipped(DIRECTORY / name / "implementation.yaml").server
    assert server is not None
    return server


ENDS = [
    *((name, Overrides(backend=name)) for name in SERVERS),
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


RELOADS = """\
name: reloads
authorities: {ca: {subject: CN=Root}, other: {subject: CN=Other}}
leaves: {server: {issuer: ca, subject: CN=server}, client: {issuer: ca, usage: client}, newserver: {issuer: ca, subject: CN=new}}
server: {certificate: server, trust: [ca]}
cases:
  - name: certificate replaced
    client: client
    steps:
      - expect: {outcome: accepted, server_subject: CN=server}
      - replace: {certificate: newserver}
      - expect: {outcome: accepted, server_subject: CN=server}
      - reload
      - expect: {outcome: accepted, server_subject: CN=new}
      - replace: {trust: [other]}
      - reload
      - expect: {server-refused: [unknown-ca]}
"""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", [name for name in SERVERS if shipped_server(name).reload is not None])
def test_what_is_replaced_counts_after_a_reload_and_not_before(name: str, tmp_path: Path) -> None:
    why = registry().backends[name].missing()
    if why is not None:
        pytest.skip(why)
    (tmp_path / "reloads.yaml").write_text(RELOADS)
    events = run([load(tmp_path / "reloads.yaml", Overrides(backend=name))])
    (verdict,) = (event.verdict for event in events if isinstance(event, CaseFinished))
    assert verdict.status is Status.PASS, (verdict.error, verdict.mismatches)


def test_servers_that_can_be_reloaded_and_ones_that_can_not() -> None:
    assert {name for name in SERVERS if shipped_server(name).reload is None} >= {"s_server", "envoy"}
