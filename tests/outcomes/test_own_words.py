"""What each client says itself, and what one only predicts of another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtls_runner import Plan, Verdict, load
from mtls_runner.cli import main
from mtls_runner.cli.program import ExitCode
from mtls_runner.engine.lab import Lab
from mtls_runner.model.observation import Observation, Outcome, Reason
from mtls_runner.model.verdict import Status

MATERIAL = """
ca: {}
leaves:
  server: {san: [localhost, 127.0.0.1]}
  elsewhere: {usage: server, san: [other.test, 127.0.0.9]}
  p384: {usage: client, key: ec-p384}
  p256: {usage: client}
"""


def run(tmp_path: Path, text: str) -> dict[str, Verdict]:
    file = tmp_path / "scenario.yaml"
    file.write_text(MATERIAL + text)
    plan: Plan = load(file)
    with Lab(plan) as lab:
        return {case.name: lab.run(case) for case in plan.cases}


def seen(verdict: Verdict) -> Observation:
    assert verdict.observation is not None, verdict.error or verdict.skip_reason
    return verdict.observation


NAMES = """
server: {certificate: elsewhere, client_auth: none}
cases:
  - name: python
    client: {tool: python}
    matrix: {client.tls: [TLSv1.2, TLSv1.3], client.server_name: [localhost, 127.0.0.1]}
    expect: {client-refused: name-mismatch}
  - {name: curl, client: {tool: curl}, matrix: {client.tls: [TLSv1.2, TLSv1.3]}, expect: {client-refused: name-mismatch}}
"""


def test_a_client_gives_its_own_code_and_how_far_it_came(tmp_path: Path) -> None:
    """X509_V_ERR_HOSTNAME_MISMATCH is 62, for an address 64; curl, which checks names itself, writes 1."""
    found = run(tmp_path, NAMES)
    assert len(found) == 6
    for name, verdict in found.items():
        observed = seen(verdict)
        assert verdict.status is Status.PASS
        if "curl" in name:
            assert observed.ssl_verify_result == 1
            assert not observed.predicted
        else:
            assert observed.ssl_verify_result == (64 if "127.0.0.1" in name else 62)
            assert observed.predicted
        assert observed.tls_version == ("TLSv1.2" if "1.2" in name else "TLSv1.3")
        assert observed.cipher is not None
        assert observed.cipher.startswith("ECDHE-" if "1.2" in name else "TLS_")


WRONG = """
server: {}
cases:
  - {name: python, client: {tool: python}, expect: {outcome: accepted, curl_exit: 7}}
  - {name: curl, client: {tool: curl}, expect: {outcome: accepted, curl_exit: 7}}
"""


def test_a_prediction_is_marked_in_every_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(MATERIAL + WRONG.replace("server: {}", "server: {client_auth: none}"))
    reports = [str(tmp_path / name) for name in ("a.json", "a.xml", "a.html")]
    options = ["--json", reports[0], "--junit", reports[1], "--html", reports[2]]
    assert main(["run", str(file), *options]) == ExitCode.FAILED
    shown = capsys.readouterr().out
    cases = json.loads(Path(reports[0]).read_text())["cases"]
    assert [case["observed"]["curl_exit_predicted"] for case in cases] == [True, False]
    for text in (shown, *(Path(report).read_text() for report in reports)):
        assert text.count("(predicted)") >= 1
    assert "curl_exit: expected 7, observed 0 (predicted)" in shown
    assert shown.count("curl_exit: expected 7, observed 0") > shown.count("observed 0 (predicted)")


CURVES = """
server: {{backend: {backend}, groups: [P-256], tls: TLSv1.2}}
cases:
  - {{name: another curve, client: p384, matrix: {{client.tool: [python, curl]}}, expect: {{server-refused: wrong-curve}}}}
  - {{name: its curve, client: p256, matrix: {{client.tool: [python, curl]}}, expect: accepted}}
  - name: no group in common
    client: {{certificate: p256, groups: [P-384], tls: TLSv1.2}}
    expect: {{no-agreement: [cipher, group]}}
"""


@pytest.mark.parametrize("backend", ["python", "nginx, runtime: process"])
def test_the_curve_of_a_certificate_is_no_group_of_the_key_exchange(tmp_path: Path, backend: str) -> None:
    """TLS 1.2 holds a certificate's curve against supported_groups (RFC 8422 §5.1); OpenSSL's word for it is WRONG_CURVE."""
    found = run(tmp_path, CURVES.format(backend=backend))
    assert {name: verdict.status for name, verdict in found.items()} == dict.fromkeys(found, Status.PASS), found
    refused = seen(found["another curve[client.tool=curl]"])
    assert (refused.outcome, refused.reasons) == (Outcome.SERVER_REFUSED, (Reason.WRONG_CURVE,))
    assert refused.server is not None
    assert refused.server.error_symbol == "WRONG_CURVE"
    apart = seen(found["no group in common"])
    assert Reason.GROUP in apart.reasons


def test_a_client_that_closes_before_its_alert_is_sent_has_refused_all_the_same(tmp_path: Path) -> None:
    """aiohttp shows OpenSSL's symbol, and asyncio closes at once; what was held against the certificate is told in prose only."""
    path = tmp_path / "scenario.yaml"
    path.write_text("""
authorities: {root: {}, issuing: {issuer: root, name_constraints: {excluded: [DNS:localhost]}}}
leaves: {good: {issuer: root}, excluded: {issuer: issuing}}
servers:
  good: {certificate: good, client_auth: none}
  excluded: {certificate: excluded, client_auth: none}
cases:
  - {name: excluded, server: excluded, client: {tool: aiohttp, trust: root}, expect: client-refused}
  - {name: good, server: good, client: {tool: aiohttp, trust: root}, expect: accepted}
""")
    plan = load(path)
    with Lab(plan) as lab:
        found = {case.name: lab.run(case) for case in plan.cases}
    assert {verdict.status for verdict in found.values()} == {Status.PASS}, found
    assert Reason.NAME_CONSTRAINTS in seen(found["excluded"]).reasons
