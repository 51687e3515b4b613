"""A bare leaf: what OpenSSL really sends, and that the engine knows beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.clients.curl.client import CurlClient
from mtls_runner.clients.python_ssl import PythonClient
from mtls_runner.deadlines import Deadline
from mtls_runner.engine.lab import Lab
from mtls_runner.language import load
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.chain import completed
from mtls_runner.model.port import Client
from mtls_runner.model.verdict import Status

SCENARIO = """\
authorities:
  root: {subject: CN=Root}
  issuing: {subject: CN=Issuing, issuer: root}
  namesake: {like: issuing}
  bare-namesake: {like: issuing, defects: no-key-identifiers}
  same-key: {like: issuing, issuer: self, key: {same_as: issuing}}
leaves:
  direct: {issuer: root, san: [localhost]}
  deep: {like: direct, issuer: issuing}
  lost: {like: deep, defects: wrong-issuer-name}
server: {certificate: direct, trust: [root], client_auth: optional}
cases:
  - {name: leaf, client: {certificate: deep, chain: leaf}, expect: {server-refused: unknown-ca}}
  - {name: nothing after it, client: {certificate: deep, chain: []}, expect: {server-refused: unknown-ca}}
  - {name: trusts its issuer, client: {certificate: deep, chain: leaf, trust: [root, issuing]}, expect: accepted}
  - {name: trusts its root, client: {certificate: direct, chain: leaf, trust: [root]}, expect: accepted}
  - name: trusts a namesake
    client: {certificate: deep, chain: leaf, trust: [root, namesake]}
    expect: {server-refused: unknown-ca}
  - name: trusts a bare namesake
    client: {certificate: deep, chain: leaf, trust: [root, bare-namesake]}
    expect: {server-refused: unknown-ca}
  - name: trusts its issuer's key
    client: {certificate: deep, chain: leaf, trust: [root, same-key]}
    expect: {server-refused: unknown-ca}
  - name: names nobody
    client: {certificate: lost, chain: leaf, trust: [root, issuing]}
    expect: {server-refused: unknown-ca}
  - {name: the whole chain, client: {certificate: deep, trust: [root, issuing]}, expect: accepted}
"""
TOLD = {
    "trusts its issuer": "issuing",
    "trusts its root": "root",
    "trusts a bare namesake": "bare-namesake",
    "trusts its issuer's key": "same-key",
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path: Path = tmp_path_factory.mktemp("completion") / "scenario.yaml"
    path.write_text(SCENARIO)
    return load(path)


@pytest.fixture(scope="module", params=[PythonClient, CurlClient])
def tool(request: pytest.FixtureRequest) -> Client:
    made: Client = request.param()
    return made


def test_it_knows_when_a_bare_leaf_would_be_completed(plan: Plan, tool: Client) -> None:
    with Lab(plan) as lab:
        for case in plan.cases:
            assert case.client is not None
            told = completed(case.server, case.client, plan.certificates)
            assert (TOLD.get(case.name) is not None) == (told is not None), case.name
            assert told is None or repr(TOLD[case.name]) in told
            if case.name == "the whole chain":
                continue
            seen = tool.probe(case.client, lab.server(case.server).address, lab.material, Deadline.after(10))
            assert seen.sent_chain is not None
            assert (len(seen.sent_chain) > 1) == (told is not None), case.name


def test_such_a_case_is_skipped_and_says_why(plan: Plan) -> None:
    with Lab(plan) as lab:
        verdicts = {case.name: lab.run(case) for case in plan.cases}
    assert {name for name, verdict in verdicts.items() if verdict.status is Status.SKIP} == set(TOLD)
    assert "the client trusts its issuer, 'issuing'" in verdicts["trusts its issuer"].skip_reason
    assert {verdict.status for name, verdict in verdicts.items() if name not in TOLD} == {Status.PASS}


def test_a_server_completes_its_leaf_from_whom_it_trusts(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    leaf = SCENARIO.partition("server:")[0]
    path.write_text(
        f"{leaf}servers:\n"
        "  alone: {certificate: deep, chain: leaf, trust: [root]}\n"
        "  completed: {certificate: deep, chain: leaf, trust: [root, issuing]}\n"
        "cases:\n"
        "  - {name: alone, server: alone, client: {certificate: direct}, expect: {client-refused: unknown-ca}}\n"
        "  - {name: completed, server: completed, client: {certificate: direct}, expect: accepted}\n"
    )
    served = load(path)
    alone, done = served.cases
    with Lab(served) as lab:

        def sent(case: Case) -> int:
            assert case.client is not None
            seen = PythonClient().probe(case.client, lab.server(case.server).address, lab.material, Deadline.after(10))
            return len(seen.received_chain or ())

        assert (completed(alone.server, alone.client, served.certificates), sent(alone)) == (None, 1)
        assert "the server trusts its issuer" in (completed(done.server, done.client, served.certificates) or "")
        assert sent(done) > 1
