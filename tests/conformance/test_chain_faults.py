"""What the lab knows of a chain beforehand, against what every case of the catalogue and of the scenarios expects: those
expectations are proved by real handshakes elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

import mtls_runner.conformance
from mtls_runner import Case, Lab, Outcome, Overrides, Plan, Reason, Status, load, run
from mtls_runner.explain.expected import expected
from mtls_runner.language.check_cases import never_holds, outlook
from mtls_runner.model.blame import blame
from mtls_runner.model.chain import client_verifies, presented, server_verifies
from mtls_runner.model.chain_faults import Fault, faults
from mtls_runner.model.endpoint import ClientAuth
from mtls_runner.model.objections import objections
from mtls_runner.model.traits import ClientProtocol
from mtls_runner.model.verdict import CaseFinished

from ..container_engine import IMAGE
from .test_oracles import GOES_ON

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for path in (
        *Path(mtls_runner.conformance.__file__).parent.joinpath("catalogue").glob("*.yaml"),
        *ROOT.glob("scenarios/**/*.yaml"),
    )
    if path.name != "lab.yaml"
)
#: What no description shows: an extension's content, OCSP answers, serial numbers, names of a type that is not compared.
NOT_SHOWN = (
    "broken extension",
    "shares the serial",
    "has a path length",
    "the server's intermediate has no name",
)
CHAINS = (
    frozenset(Reason)
    - {
        reason
        for reason in Reason
        if reason.value.startswith("ocsp") or reason in (Reason.NO_CERTIFICATE, Reason.OTHER)
    }
    - {Reason.CERTIFICATE_WITHHELD, Reason.NOT_AUTHORIZED, Reason.WRONG_CURVE}  # of settings, too
)


@cache
def _loaded(path: Path, backend: str) -> Plan:
    return load(path, Overrides(backend=backend))


def _cases(plan: Plan) -> Iterator[Case]:
    backends = {case.server.backend: case.server.backend.make() for case in plan.cases}
    tools = {case.client.tool: case.client.tool.make() for case in plan.cases if case.client is not None}
    for case in plan.cases:
        client, server = case.client, case.server
        if client is None or not case.plain or server.option("config") or server.backend.runs_already:
            continue
        if (
            client.location or client.protocol is not ClientProtocol.HTTPS
        ):  # another server's chain counts, or nobody asks
            continue
        if backends[server.backend].cannot(server, client) is None and tools[client.tool].cannot(client) is None:
            yield case


def _seen(plan: Plan, case: Case, now: datetime) -> tuple[tuple[Fault, ...], tuple[Fault, ...]]:
    """What the client has against the server, and the server against the client."""
    assert case.client is not None
    host = case.server.host(case.client.server_name)
    of_server, of_client = presented(host, plan.certificates), presented(case.client, plan.certificates)
    against_server: tuple[Fault, ...] = ()
    against_client: tuple[Fault, ...] = ()
    if of_server is not None and not case.client.insecure:
        against_server = faults(of_server.ids, client_verifies(case.client, plan.crls), plan.certificates, now)
    if of_client is not None and host.client_auth not in (ClientAuth.NONE, ClientAuth.OPTIONAL_NO_CA):
        against_client = faults(of_client.ids, server_verifies(host, plan.crls), plan.certificates, now)
    return against_server, against_client


@pytest.mark.parametrize("backend", ["python", "nginx"])
def test_what_is_accepted_has_no_fault_and_what_is_refused_has_one_to_blame(backend: str) -> None:
    now = datetime.now(UTC)
    accepted = blamed = 0
    for path in FILES:
        plan = _loaded(path, backend)
        for case in _cases(plan):
            assert case.client is not None
            wanted = expected(case)
            if wanted.outcome is Outcome.ACCEPTED:
                assert _seen(plan, case, now) == ((), ()), case.id
                accepted += 1
            if wanted.reason not in CHAINS or any(word in case.name for word in NOT_SHOWN):
                continue
            if backend == "nginx" and case.written in GOES_ON:
                continue  # it tells the last of several errors
            if wanted.outcome is Outcome.SERVER_REFUSED:
                shown = presented(case.client, plan.certificates)
                verifier = server_verifies(case.server.host(case.client.server_name), plan.crls)
            elif wanted.outcome is Outcome.CLIENT_REFUSED:
                shown = presented(case.server.host(case.client.server_name), plan.certificates)
                verifier = client_verifies(case.client, plan.crls)
            else:
                continue
            assert shown is not None
            assert wanted.reason is not None
            assert blame(wanted.reason, shown.ids, verifier, plan.certificates, now) is not None, case.id
            blamed += 1
    assert accepted > 500
    assert blamed > 250


SCENARIO = """\
authorities:
  root: {subject: CN=Root}
  issuing: {issuer: root, usage: server}
  other: {subject: CN=Other}
  namesake: {subject: CN=Root}
leaves:
  server: {issuer: root}
  renewed: {like: server}
  stale: {like: server, not_after: -1h, not_before: -2h}
  below: {issuer: issuing, usage: both}
  foreign: {issuer: other}
  twin: {issuer: namesake}
  gone: {issuer: root, revoked: keyCompromise}
crls: {stale: {issuer: root, next_update: -1h}}
servers:
  server: {certificate: server, trust: root}
  strict: {certificate: server, trust: root, crl: root}
  stale-list: {certificate: server, trust: root, crl: stale}
  short: {certificate: server, trust: root, verify_depth: 100}
cases:
  - {name: eku, server: server, client: below, expect: {server-refused: wrong-purpose}}
  - {name: foreign, server: server, client: foreign, expect: {server-refused: unknown-ca}}
  - {name: namesake, server: server, client: twin, expect: {server-refused: unknown-ca}}
  - {name: not sent, server: server, client: {certificate: below, chain: leaf}, expect: {server-refused: unknown-ca}}
  - {name: revoked, server: strict, client: gone, expect: {server-refused: revoked}}
  - {name: no list, server: strict, client: foreign, expect: {server-refused: [no-crl, unknown-ca]}}
  - {name: stale list, server: stale-list, client: server, expect: {server-refused: crl-expired}}
  - {name: another name, server: server, client: {server_name: b.test}, expect: {client-refused: name-mismatch}}
  - {name: a dot, server: server, client: {server_name: localhost.}, expect: {client-refused: name-mismatch}}
  - name: not read
    server: {like: server, certificate: stale}
    steps:
      - {replace: {certificate: renewed}}
      - {expect: {client-refused: expired}}
  - {name: good, server: strict, client: server, expect: accepted}
  - name: two names
    server: {like: server, names: [localhost], virtual_hosts: {other: {names: [b.test]}}}
    client: {certificate: server, server_name: localhost, request: {headers: {Host: b.test}}}
    expect: {outcome: accepted, status: 421}
"""
HINTS = {
    "eku": "The intermediate `issuing` (depth 1) has only the EKU serverAuth; the server wants clientAuth",
    "foreign": "The root `other` (depth 1) is not among what the server trusts",
    "namesake": "it trusts `root`, which has its name and another key",
    "not sent": "The certificate `below` was sent without its issuer `issuing`, which the server does not trust either",
    "revoked": "The certificate `gone` is on the CRL `root` (keyCompromise)",
    "no list": "The root `other` (depth 1) is not among what the server trusts",
    "stale list": "is looked up in the CRL `stale`, which expired",
    "another name": "The certificate `server` names DNS:localhost, IP:127.0.0.1, and the client asks for b.test",
    "a dot": "with a dot at its end",
    "not read": "The server still shows `stale`: it has not read its new files with `renewed` (reload)",
    "good": "",
    "two names": "The handshake was for localhost (SNI), and the request for another host",
}


def test_hints_name_the_culprit(tmp_path: Path) -> None:
    path = tmp_path / "hints.yaml"
    path.write_text(SCENARIO)
    told = {}
    for event in run([load(path)]):
        if isinstance(event, CaseFinished):
            verdict = event.verdict
            assert verdict.observation is not None, verdict.error
            told[verdict.case.name] = verdict.observation.hint
            assert verdict.status is Status.PASS, (verdict.case.name, verdict.mismatches)
    assert told.keys() == HINTS.keys()
    for name, hint in HINTS.items():
        assert hint in told[name], name
        assert bool(hint) == bool(told[name]), name


def test_an_end_sends_what_was_foreseen(tmp_path: Path) -> None:
    """Above all where OpenSSL adds what it was not told to send."""
    path = tmp_path / "sent.yaml"
    path.write_text("""\
authorities: {root: {}, middle: {issuer: root}, other: {}}
leaves: {direct: {issuer: root}, below: {issuer: middle}}
servers:
  direct: {certificate: direct, trust: root}
  below: {certificate: below, trust: root}
  elsewhere: {certificate: direct, trust: other, client_auth: optional}
cases:
  - {name: direct, server: direct, client: direct, expect: accepted}
  - {name: below, server: below, client: below, expect: accepted}
  - {name: elsewhere, server: elsewhere, client: {trust: root}, expect: accepted}
matrix: {server.backend: [python, nginx], client.tool: [python, curl]}
""")
    plan = load(path, Overrides(image=IMAGE))
    completed = 0
    with Lab(plan) as lab:
        for case in plan.cases:
            assert case.client is not None
            seen = lab.run(case).observation
            if seen is None:
                continue
            of_server, of_client = presented(case.server, plan.certificates), presented(case.client, plan.certificates)
            assert of_server is not None
            assert seen.server_chain == of_server.ids, case.name
            assert seen.client_chain == (of_client.ids if of_client is not None else ()), case.name
            completed += of_server.completed_from is not None
    assert completed


def test_nothing_that_is_proved_to_hold_can_never_hold() -> None:
    now = datetime.now(UTC)
    certain = 0
    for path in FILES:
        plan = _loaded(path, "python")
        for case in _cases(plan):
            assert case.client is not None
            assert never_holds(case, plan.certificates, plan.crls, now) is None, case.id
            certain += outlook(case.server, case.client, plan.certificates, plan.crls, now) is not None
    assert certain > 500


@pytest.mark.parametrize(("declared", "minded"), [("verify_depth: 1", True), ("verify_depth: 2", False), ("", False)])
def test_what_is_said_of_an_own_configuration_counts(tmp_path: Path, declared: str, minded: bool) -> None:
    """It decides for itself; how long a chain it allows is for its author to say."""
    (tmp_path / "nginx.conf").write_text("server {}")
    file = tmp_path / "own.yaml"
    file.write_text(
        "authorities: {root: {}, one: {issuer: root}, two: {issuer: one}}\n"
        "leaves: {server: {issuer: root}, client: {issuer: two, usage: client}}\n"
        f"server: {{backend: nginx, config: nginx.conf, certificate: server, trust: root, {declared}}}\n"
        "cases: [{name: it, client: client, expect: accepted}]\n"
    )
    plan = load(file)
    (case,) = plan.cases
    assert case.client is not None
    told = objections(case.server, case.client, plan, datetime.now(UTC))
    assert any("the server allows 1 intermediate (verify depth), there are 2" in one for one in told) == minded
    assert len(told) == minded
