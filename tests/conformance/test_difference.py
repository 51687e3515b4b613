"""What two cases differ in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.conformance.difference import changes
from mtls_runner.language import load
from mtls_runner.model.case import Plan

SCENARIO = """\
authorities:
  root: {subject: CN=Root}
  namesake: {like: root}
  other: {subject: CN=Other}
  old: {like: root, not_before: -10d, not_after: -1d}
  issuing: {subject: CN=Issuing, issuer: root}
  bare: {like: issuing, basic_constraints: null}
leaves:
  good: {issuer: issuing, subject: CN=peer, san: [localhost]}
  again: {like: good}
  of-bare: {like: good, issuer: bare}
  of-root: {like: good, issuer: root}
  of-old: {like: good, issuer: old}
  of-namesake: {like: good, issuer: namesake}
  of-other: {like: good, issuer: other}
  for-clients: {like: good, usage: client}
  own: {like: good, issuer: self}
server: {certificate: good, trust: [root]}
cases:
  - {name: good, client: good, expect: accepted}
  - {name: none, client: {}, expect: accepted}
  - {name: again, client: again, expect: accepted}
  - {name: of-bare, client: of-bare, expect: accepted}
  - {name: of-root, client: of-root, expect: accepted}
  - {name: of-old, client: of-old, expect: accepted}
  - {name: of-namesake, client: of-namesake, expect: accepted}
  - {name: of-other, client: of-other, expect: accepted}
  - {name: usage, client: for-clients, expect: accepted}
  - {name: own, client: own, expect: accepted}
  - {name: leaf alone, client: {certificate: good, chain: leaf}, expect: accepted}
  - {name: chain, client: {certificate: good, chain: [issuing, root]}, expect: accepted}
  - {name: chain turned, client: {certificate: good, chain: [root, issuing]}, expect: accepted}
  - {name: other trust, server: {trust: [other]}, client: good, expect: accepted}
  - {name: more trust, server: {trust: [root, other]}, client: good, expect: accepted}
  - {name: named, client: {certificate: good, server_name: null}, expect: accepted}
"""

USAGE = "client.certificate.extended_key_usage"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path: Path = tmp_path_factory.mktemp("difference") / "scenario.yaml"
    path.write_text(SCENARIO)
    return load(path)


def told(plan: Plan, control: str, fault: str) -> list[str]:
    cases = {case.name: case for case in plan.cases}
    return [str(change) for change in changes(cases[control], cases[fault], plan.certificates)]


@pytest.mark.parametrize(
    ("control", "fault", "expected"),
    [
        ("good", "good", []),
        ("good", "none", ["client.certificate: good → none"]),
        ("good", "of-bare", ["client.certificate.issuer.basic_constraints: CA:TRUE, critical → none"]),
        ("of-root", "of-namesake", ["client.certificate.issuer: root → namesake"]),
        ("of-root", "of-other", ["client.certificate.issuer: root → other"]),
        ("of-root", "of-old", ["client.certificate.issuer.validity: -1h to +364d → -10d to -1d"]),
        ("good", "own", ["client.certificate.issuer: issuing → self"]),
        ("good", "leaf alone", ["client.chain: full → leaf"]),
        ("chain", "chain turned", ["client.chain: issuing, root → root, issuing"]),
        ("good", "other trust", ["server.trust: root → other"]),
        ("good", "more trust", ["server.trust: root → root, other"]),
        ("good", "named", ["client.server_name: localhost → none"]),
        ("good", "again", ["client.certificate: good → again"]),
        ("good", "usage", [f"{USAGE}: serverAuth, clientAuth → clientAuth"]),
    ],
)
def test_differences_are_told_where_they_are(plan: Plan, control: str, fault: str, expected: list[str]) -> None:
    assert told(plan, control, fault) == expected


def test_an_intermediate_too_many_is_more_than_one_change(plan: Plan) -> None:
    assert len(told(plan, "good", "of-root")) == 2
