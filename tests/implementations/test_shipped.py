"""Servers and clients that come with the lab: scenarios hold with them, and a reload counts when it is done."""

from pathlib import Path

import pytest

from mtls_runner import Overrides, Status, load, run
from mtls_runner.language.implementations.reading import DIRECTORY, shipped
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.model.verdict import CaseFinished
from mtls_runner.registry import registry

from .shipped import absent, wrong

SERVERS = sorted(registry().backends.declared)


def shipped_server(name: str) -> DeclaredServer:
    server = shipped(DIRECTORY / name / "implementation.yaml").server
    assert server is not None
    return server


@pytest.mark.timeout(400)
@pytest.mark.parametrize("end", ["haproxy-server", "s_client-client"])
def test_the_scenarios_hold(end: str) -> None:
    """``python -m tests.scenarios`` does it with all."""
    if (why := absent(end)) is not None:
        pytest.skip(why)
    assert wrong(end) == []


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
