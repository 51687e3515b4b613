"""Cases with steps, through the front door: each step told, each with its own expectation, the first wrong one the last."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from .conftest import LAB, Run

SCHEMA = json.loads((Path(__file__).parents[2] / "schema" / "report.schema.json").read_text(encoding="utf-8"))

RESUMED = (
    LAB
    + """\
cases:
  - name: twice
    client: client
    steps:
      - {name: first, expect: {outcome: accepted, resumed: false}}
      - {resume: true, expect: {outcome: accepted, resumed: true}}
      - {name: afresh, expect: {outcome: accepted, resumed: false}}
"""
)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_session_is_resumed_and_each_step_is_told(run: Run, version: str) -> None:
    ran = run(
        RESUMED.replace("client: client\n    steps", f"client: {{certificate: client, tls: {version}}}\n    steps")
    )
    assert ran.code == 0, ran.output
    steps = ran.case["steps"]
    assert [step["name"] for step in steps] == ["first", "resume step 1", "afresh"]
    assert [step["observed"]["resumed"] for step in steps] == [False, True, False]
    assert [step["resume"] for step in steps] == [None, 1, None]
    assert all(step["observed"]["client_subject"] == "CN=client" for step in steps)
    assert ran.case["expected"] == {}
    lines = ran.output.splitlines()
    assert any("3 steps" in line for line in lines)
    assert any("2 resume step 1" in line and "a resumed session" in line for line in lines)


def test_without_tickets_nothing_is_resumed_and_the_case_fails(run: Run) -> None:
    ran = run(RESUMED.replace("trust: ca}", "trust: ca, tls: TLSv1.3, session_tickets: false}"))
    assert ran.code == 1
    assert [step["verdict"] for step in ran.case["steps"]] == ["pass", "fail", None]
    (mismatch,) = ran.case["mismatches"]
    assert (mismatch["step"], mismatch["path"]) == (2, "resumed")
    assert "step 2 (resume step 1), resumed: expected true, observed false" in ran.output
    assert (mismatch["expected"], mismatch["observed"]) == ("true", "false")
    assert RESUMED.splitlines()[mismatch["line"] - 1].strip().startswith("- {resume: true")
    assert "1 more not done" in ran.output
    assert "before:   1 first: accepted" in ran.output


def test_the_report_keeps_to_its_schema(run: Run) -> None:
    for text in (RESUMED, RESUMED.replace("resumed: true", "resumed: false")):
        run(text)
        jsonschema.validate(json.loads(Path("report.json").read_text()), SCHEMA)


CRL = (
    LAB.replace("trust: ca}", "trust: ca, crl: before}")
    + """\
cases:
  - name: a new CRL
    client: WHO
    steps:
      - expect: accepted
      - replace: {crl: after}
      - {name: not read yet, expect: accepted}
      - reload
      - {name: read, expect: {server-refused: revoked}}
"""
)


def test_a_revoked_client_gets_in_until_the_reload_and_it_is_said_why(run: Run) -> None:
    ran = run(CRL.replace("WHO", "revoked"))
    assert ran.code == 0, ran.output
    told = [step["observed"]["summary"] if step["observed"] else "" for step in ran.case["steps"]]
    assert "revoked" not in told[0]
    assert told[2].endswith("though its certificate is revoked (CRL after): the server has not read its new files")
    assert told[2] in ran.output
    assert told[4].startswith("server refused the client: revoked")


def test_whom_the_crl_does_not_name_nothing_is_said_of(run: Run) -> None:
    ran = run(CRL.replace("WHO", "client").replace("{server-refused: revoked}", "accepted"))
    assert ran.code == 0, ran.output
    assert "though" not in ran.output


def test_a_case_that_changes_its_server_leaves_others_theirs(run: Run) -> None:
    other = "  - {name: the same server, client: revoked, expect: accepted}\n"
    ran = run(CRL.replace("WHO", "revoked") + other)
    assert ran.code == 0, ran.output


RELOADED = (
    LAB
    + """\
cases:
  - name: a reload
    client: client
    steps:
      - expect: {outcome: accepted, server_subject: CN=server}
      - replace: WHAT
      - reload: HOW
      - expect: {outcome: accepted, server_subject: WHOSE}
"""
)


@pytest.mark.parametrize(
    ("what", "how", "whose", "code"),
    [
        ("{certificate: renewed}", "true", "CN=renewed", 0),
        ("{certificate: renewed}", "true", "CN=server", 1),
        ("{certificate: locked, passphrase: wrong}", "{starts: false, reason: wrong-passphrase}", "CN=server", 0),
        ("{certificate: locked, passphrase: wrong}", "{starts: false, reason: key-mismatch}", "CN=server", 1),
        ("{certificate: locked, passphrase: wrong}", "true", "CN=server", 1),
        ("{certificate: renewed}", "{starts: false, reason: wrong-passphrase}", "CN=renewed", 1),
        ("{certificate: locked}", "true", "CN=locked", 0),
    ],
)
def test_reloads(run: Run, what: str, how: str, whose: str, code: int) -> None:
    ran = run(RELOADED.replace("WHAT", what).replace("HOW", how).replace("WHOSE", whose))
    assert ran.code == code, ran.output
    assert ("goes on as before" in ran.output) == ("wrong" in what)


def test_curl_takes_no_session_along(run: Run) -> None:
    ran = run(RESUMED, "--tool", "curl")
    assert ran.case["verdict"] == "skip"
    assert "takes no session along" in ran.case["skip_reason"]


def test_a_refused_connection_leaves_no_session(run: Run) -> None:
    text = RESUMED.replace("client: client", "client: {}").replace(
        "{outcome: accepted, resumed: false}", "{server-refused: no-certificate}", 1
    )
    ran = run(text)
    assert ran.code == 3
    assert "step 1 left no session" in ran.case["error"]


def test_an_endpoint_that_already_runs_is_not_reloaded(run: Run) -> None:
    text = CRL.replace("WHO", "client").replace(
        "certificate: server, trust: ca, crl: before", "backend: external, address: '127.0.0.1:9', trust: ca"
    )
    ran = run(text)
    assert ran.case["verdict"] == "skip", ran.output
    assert "the files of external servers can't be replaced" in ran.case["skip_reason"]


UNNOTICED = RELOADED.replace("WHAT", "{certificate: renewed}").replace("HOW", "{starts: false, reason: unnoticed}")


@pytest.mark.parametrize(("backend", "whose", "code"), [("s_server", "CN=server", 0), ("python", "CN=renewed", 1)])
def test_who_does_not_notice_its_new_files_is_found_out(run: Run, backend: str, whose: str, code: int) -> None:
    ran = run(UNNOTICED.replace("WHOSE", whose), "--backend", backend)
    assert ran.code == code, ran.output
    told = [step["observed"]["summary"] if step["observed"] else "" for step in ran.case["steps"]]
    assert ("has not noticed" in told[2]) == (code == 0)
    assert "2 replace certificate  its certificate: from `server` to `renewed`\n" in ran.output
    assert not re.search(r"[1345] .*: from `server` to `renewed`", ran.output)
    if code == 0:
        assert told[3].endswith("though the server's files hold `renewed` by now: it still shows `server`")


def test_nobody_expects_it_to_read_them(run: Run) -> None:
    noticed = UNNOTICED.replace("{starts: false, reason: unnoticed}", "true").replace("WHOSE", "CN=server")
    ran = run(noticed, "--backend", "s_server")
    assert ran.case["skip_reason"] == "s_server servers can't be told to read their files again"


def test_files_that_trust_somebody_else_are_not_read_yet(run: Run) -> None:
    text = (
        LAB.replace("leaves:", "authorities: {other: {subject: CN=Other}}\n\nleaves:")
        + """\
cases:
  - name: another authority
    client: client
    steps:
      - {name: before, expect: accepted}
      - replace: {trust: other}
      - {name: not read yet, expect: accepted}
      - reload
      - {name: read, expect: {server-refused: unknown-ca}}
"""
    )
    ran = run(text)
    assert ran.code == 0, ran.output
    told = [step["observed"]["summary"] if step["observed"] else "" for step in ran.case["steps"]]
    assert told[2].endswith("though the server's files trust `other` by now: it has not read them")
    assert "though" not in told[0]
