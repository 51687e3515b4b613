"""Refusals by HTTP of a server that can't be asked: nginx with a configuration of its user's, known to the lab and as a stranger.

What nginx itself says of a connection is the oracle for what is told of the same connection from outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import Verdict, load
from mtls_runner.engine.lab import Lab
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.observation import Observation, Outcome, Reason
from mtls_runner.model.verdict import Status
from tests.named import backend

CONFIG = """
events {}
http {
    server {
        listen 443 ssl;
        ssl_certificate /etc/nginx/server.crt;
        ssl_certificate_key /etc/nginx/server.key;
        ssl_client_certificate /etc/nginx/ca.crt;
        ssl_verify_client %(verify)s;
        %(more)s
        location / { return 200 hello; }
        location /deny { deny all; }
        location /private { if ($ssl_client_verify != SUCCESS) { return 403; } return 200 private; }
        location = /sorry { return 403 sorry; }
        location = /hangup { return 444; }
    }
}
"""
CONFIGS = {
    "pages": ("on", ""),
    "optional": ("optional", ""),
    "forbids": ("on", "error_page 495 496 =403 /sorry;"),
    "redirects": ("on", "error_page 495 496 =302 https://other.test/login;"),
    "hangs-up": ("on", "error_page 495 496 = /hangup;"),
}
SERVER = """  {id}:
    backend: nginx
    runtime: process
    config: {id}.conf
    port: 443
    files: {{/etc/nginx/server.crt: server.certificate, /etc/nginx/server.key: server.key, /etc/nginx/ca.crt: ca.certificate}}
"""
MATERIAL = """
authorities: {ca: {}, other: {}}
leaves:
  server: {issuer: ca, usage: server}
  good: {issuer: ca, usage: client}
  second: {issuer: ca, usage: client}
  foreign: {issuer: other, usage: client}
"""
HELD = {Reason.UNKNOWN_CA, Reason.SELF_SIGNED, Reason.EXPIRED}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Path, dict[str, ServerSpec]]]:
    """All five servers, and where an outsider finds them."""
    place = tmp_path_factory.mktemp("refusals")
    for id_, (verify, more) in CONFIGS.items():
        (place / f"{id_}.conf").write_text(CONFIG % {"verify": verify, "more": more})
    cases = "".join(f"  - {{name: {id_}, server: {id_}, client: good, expect: accepted}}\n" for id_ in CONFIGS)
    servers = "".join(SERVER.format(id=id_) for id_ in CONFIGS)
    file = place / "known.yaml"
    file.write_text(f"{MATERIAL}servers:\n{servers}cases:\n{cases}")
    plan = load(file)
    with Lab(plan) as lab:
        strangers = {}
        for case in plan.cases:
            running = lab.server(case.server)
            strangers[case.server.id] = ServerSpec(
                id=case.server.id,
                backend=backend("external"),
                certificate=None,
                passphrase=None,
                address=running.address,
            )
        yield lab, place, strangers


Here = tuple[Lab, Path, dict[str, ServerSpec]]


def written(here: Here, cases: str, refusal: str = "") -> Plan:
    """A file with these cases against all servers as strangers; ``refusal`` is declared at each."""
    _, place, strangers = here
    servers = "".join(
        f"  {id_}: {{backend: external, address: '127.0.0.1:{spec.address.port if spec.address else 0}'{refusal}}}\n"
        for id_, spec in strangers.items()
    )
    file = place / "strangers.yaml"
    file.write_text(f"{MATERIAL}servers:\n{servers}cases:\n{cases}")
    plan = load(file)
    trusting = [case.by(replace(case.client, trust=("ca",))) for case in plan.cases if case.client]
    return replace(plan, cases=tuple(trusting))


def verdicts(here: Here, cases: str, refusal: str = "") -> dict[str, Verdict]:
    plan = written(here, cases, refusal)
    with Lab(plan) as lab:
        lab._material = here[0].material  # what the servers were made with
        return {case.name: lab.run(case) for case in plan.cases}


def told(here: Here, case: Case) -> Observation:
    """By nginx itself."""
    lab = here[0]
    known = next(each.server for each in lab.plan.cases if each.server.id == case.server.id)
    seen = lab.run(replace(case, server=known)).observation
    assert seen is not None
    return seen


ROWS = """  - {name: a good one, server: pages, client: good, expect: accepted}
  - {name: none, server: pages, client: {}, expect: {server-refused: no-certificate}}
  - {name: foreign, server: pages, client: foreign, expect: {server-refused: unknown-ca}}
  - {name: none by HEAD, server: pages, client: {request: {method: HEAD}}, expect: {server-refused: no-certificate}}
  - {name: foreign by HEAD, server: pages, client: {certificate: foreign, request: {method: HEAD}},
     expect: {server-refused: unknown-ca}}
  - {name: good by HEAD, server: pages, client: {certificate: good, request: {method: HEAD}}, expect: accepted}
  - {name: an optional good one, server: optional, client: {certificate: good, request: {path: /private}}, expect: accepted}
  - {name: optionally none, server: optional, client: {request: {path: /private}}, expect: {server-refused: no-certificate}}
  - {name: optionally foreign, server: optional, client: {certificate: foreign, request: {path: /private}},
     expect: {server-refused: unknown-ca}}
  - {name: forbidden none, server: forbids, client: {}, expect: {server-refused: no-certificate}}
  - {name: forbidden foreign, server: forbids, client: foreign, expect: {server-refused: unknown-ca}}
  - {name: not forbidden, server: forbids, client: good, expect: accepted}
  - {name: redirected none, server: redirects, client: {}, expect: {server-refused: no-certificate}}
  - {name: redirected foreign, server: redirects, client: foreign, expect: {server-refused: unknown-ca}}
  - {name: not redirected, server: redirects, client: good, expect: accepted}
  - {name: posted, server: forbids, client: {certificate: good, request: {method: POST, body: x}}, expect: accepted}
  - {name: posted by none, server: forbids, client: {request: {method: POST, body: x}},
     expect: {server-refused: no-certificate}}
"""


def test_a_stranger_is_told_as_nginx_tells_itself(here: Here) -> None:
    """Reasons from outside are no more than the evidence carries, and never others than nginx's own."""
    found = verdicts(here, ROWS)
    assert len(found) == 17
    for name, verdict in found.items():
        truth, seen = told(here, verdict.case), verdict.observation
        assert seen is not None, verdict.error
        assert verdict.status is Status.PASS, (name, seen.evidence, verdict.mismatches)
        assert seen.outcome is truth.outcome, (name, seen.evidence)
        assert set(truth.reasons) <= set(seen.reasons), name
        foreign = "foreign" in name
        assert (verdict.undetermined is not None) is foreign, name
        if foreign:
            assert set(seen.reasons) >= HELD


def test_what_everybody_gets_is_no_refusal(here: Here) -> None:
    cases = """
  - {name: the control, server: optional, client: good, expect: accepted}
  - {name: none, server: optional, client: {request: {path: /deny}}, expect: {server-refused: no-certificate}}
"""
    verdict = verdicts(here, cases)["none"]
    assert verdict.status is Status.FAIL
    assert verdict.observation is not None
    assert (verdict.observation.outcome, verdict.observation.status) == (Outcome.ACCEPTED, 403)
    assert any("control (certificate good" in fact for fact in verdict.observation.evidence)
    # nginx's own word is that there was no certificate, and not that this was the reason
    assert (told(here, verdict.case).outcome, told(here, verdict.case).status) == (Outcome.ACCEPTED, 403)


NOBODY_ELSE = """
  - {name: forbidden, server: forbids, client: foreign, expect: accepted}
  - {name: redirected, server: redirects, client: foreign, expect: accepted}
  - {name: posted, server: forbids, client: {certificate: foreign, request: {method: POST}}, expect: accepted}
"""


def test_without_evidence_nobody_can_tell_and_accepted_does_not_hold(here: Here) -> None:
    for verdict in verdicts(here, NOBODY_ELSE).values():
        assert verdict.status is Status.FAIL
        assert verdict.observation is not None
        assert verdict.observation.outcome is Outcome.ANSWERED
        assert "nothing tells whether" in verdict.observation.summary
        assert "refusal:" in verdict.observation.hint


def test_two_clients_of_which_only_the_file_says_that_they_are_accepted_do_not_vouch_for_each_other(here: Here) -> None:
    cases = """
  - {name: one, server: forbids, client: foreign, expect: accepted}
  - {name: other, server: forbids, client: {}, expect: accepted}
"""
    assert [each.status for each in verdicts(here, cases).values()] == [Status.FAIL, Status.FAIL]


@pytest.mark.parametrize(
    ("server", "refusal"),
    [
        ("forbids", "{status: 403}"),
        ("redirects", "{status: 302, headers: {location: {contains: /login}}}"),
        ("forbids", "{body: {contains: sorry}}"),
        ("hangs-up", "closed"),
    ],
)
def test_how_a_server_refuses_is_declared(here: Here, server: str, refusal: str) -> None:
    cases = f"""
  - {{name: none, server: {server}, client: {{}}, expect: {{server-refused: no-certificate}}}}
  - {{name: good, server: {server}, client: {{certificate: good, request: {{method: POST}}}}, expect: accepted}}
"""
    found = verdicts(here, cases, f", refusal: {refusal}")
    assert [each.status for each in found.values()] == [Status.PASS, Status.PASS]
    otherwise = "{status: 418}" if refusal != "closed" else "{status: 403}"
    assert verdicts(here, cases, f", refusal: {otherwise}")["none"].status is Status.FAIL
