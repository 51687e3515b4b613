"""CRLs are what they are described to be, and every verdict about them is OpenSSL's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import Case, Plan, Status, load
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.pki import Store
from mtls_runner.tls import verify_reason

from ..pki import openssl
from .conftest import MakeStore, each_once, expected, plan_of, verdicts

CHECKS = {RevocationCheck.NONE: (), RevocationCheck.LEAF: ("-crl_check",), RevocationCheck.CHAIN: ("-crl_check_all",)}


def test_openssl_agrees_with_every_case_about_clients(make_store: MakeStore) -> None:
    plan = plan_of("nginx/crl.yaml")
    store = make_store(plan)
    compared = [
        _agrees(store, case, case.server.trust, case.client.certificate, case.server, "sslclient")
        for case in each_once(plan).values()
        if case.client is not None
    ]
    assert len(compared) >= 25
    assert {"accepted", "server-refused"} == set(compared)


def test_openssl_agrees_with_every_case_about_servers(make_store: MakeStore) -> None:
    plan = plan_of("crl-client.yaml")
    store = make_store(plan)
    compared = [
        _agrees(store, case, case.client.trust, case.server.certificate, case.client, "sslserver")
        for case in each_once(plan).values()
        if case.client is not None and not case.client.insecure and expected(case, "outcome") != "client-unusable"
    ]
    assert len(compared) >= 9
    assert {"accepted", "client-refused"} == set(compared)


def _agrees(
    store: Store,
    case: Case,
    trust: tuple[str, ...],
    presented: str | None,
    verifier: ServerSpec | ClientSpec,
    purpose: str,
) -> object:
    assert presented is not None
    credential = store.credential(presented)
    arguments: list[str | Path] = ["-purpose", purpose, *CHECKS[verifier.crl_check]]
    if verifier.crl:
        arguments += ["-CRLfile", store.crl(verifier.crl)]
    untrusted = credential.chain_path
    code = openssl.verify(credential.certificate_path, store.bundle(trust), *arguments, untrusted=untrusted)
    outcome = expected(case, "outcome")
    if outcome == "accepted":
        assert code == 0, case.name
    else:
        assert str(verify_reason(code)) == expected(case, "reason"), case.name
    return outcome


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of("nginx/crl.yaml")


def test_a_list_says_who_is_revoked_why_and_since_when(store: Store) -> None:
    text = " ".join(openssl.output("crl", "-noout", "-text", "-in", store.crl(("root",))).split()).replace(" = ", "=")
    entries = dict(
        re.findall(r"Serial Number: ([0-9A-F]+) Revocation Date: (.*?)(?= Serial Number| Signature Alg)", text)
    )
    by_serial = {int(serial, 16): entry for serial, entry in entries.items()}
    assert {4712, 4713, 4714, 4715} < set(by_serial)  # the revoked intermediate's is random
    assert len(by_serial) == 5
    assert "Key Compromise" in by_serial[4712]
    assert "Certificate Hold" in by_serial[4713]
    assert "Remove From CRL" in by_serial[4714]
    assert "Reason" not in by_serial[4715]
    assert "Issuer: CN=CRL Lab Root" in text
    assert "X509v3 CRL Number: 1" in text


def test_a_list_of_nobody_is_empty(store: Store) -> None:
    assert "No Revoked Certificates" in openssl.output("crl", "-noout", "-text", "-in", store.crl(("root-before",)))


EXTENDED = """\
authorities: {root: {}, namesake: {subject: CN=root}}
leaves: {server: {issuer: root}, client: {issuer: root, serial: 0x4711}}
crls:
  users: {issuer: root, only_contains: user}
  authorities: {issuer: root, only_contains: ca}
  delta: {issuer: root, number: 2, delta_of: 1}
  numbered: {issuer: root, authority_key_identifier: {key: null, serial: client}}
  unnamed: {issuer: root, authority_key_identifier: null}
  riddle: {issuer: root, extensions: {1.2.3.4.5: {der: 04 02 68 69, critical: true}}}
server: {certificate: server, trust: root, crl: [users, authorities, delta, numbered, unnamed, riddle]}
cases: [{name: x, client: client, expect: accepted}]
"""


def test_what_a_list_says_of_itself(make_store: MakeStore, tmp_path: Path) -> None:
    (tmp_path / "extended.yaml").write_text(EXTENDED)
    store = make_store(load(tmp_path / "extended.yaml"))

    def text(crl: str) -> str:
        return " ".join(openssl.output("crl", "-noout", "-text", "-in", store.crl((crl,))).split())

    assert "Issuing Distribution Point: critical Only User Certificates" in text("users")
    assert "Issuing Distribution Point: critical Only CA Certificates" in text("authorities")
    assert "Delta CRL Indicator: critical 1" in text("delta")
    assert "CRL Number: 2" in text("delta")
    assert "Authority Key Identifier: DirName:/CN=root serial:47:11" in text("numbered")
    assert "Authority Key Identifier" not in text("unnamed")
    assert "1.2.3.4.5: critical ..hi" in text("riddle")
    assert "critical" not in text("unnamed")


@pytest.mark.parametrize(
    ("crl", "verdict"),
    [("root", "verify OK"), ("stale", "verify OK"), ("foreign-key", "verify failure"), ("corrupted", "verify failure")],
)
def test_a_signature_is_the_authoritys_or_is_not(store: Store, crl: str, verdict: str) -> None:
    root = store.credential("root").certificate_path
    result = openssl.run("crl", "-noout", "-verify", "-CAfile", root, "-in", store.crl((crl,)))
    assert verdict in result.stderr.decode()


def test_several_lists_go_into_one_file_in_order(store: Store) -> None:
    both = store.crl(("root", "inter")).read_bytes()
    assert both == store.crl(("root",)).read_bytes() + store.crl(("inter",)).read_bytes()
    assert store.crl(("inter", "root")).read_bytes() != both


@pytest.mark.parametrize("backend", ["python", "nginx"])
def test_every_refusal_is_gone_where_nobody_looks(backend: str, request: pytest.FixtureRequest) -> None:
    if backend == "nginx":
        request.getfixturevalue("nginx_engine")
    plan = plan_of("nginx/crl.yaml", backend)
    cases = {name: case for name, case in each_once(plan).items() if expected(case, "outcome") == "server-refused"}
    unchecked = {
        name: replace(case, server=replace(case.server, crl=(), crl_check=RevocationCheck.NONE))
        for name, case in cases.items()
    }
    found = verdicts(plan, unchecked)
    assert len(found) >= 12
    for name, verdict in found.items():
        assert verdict.status is Status.FAIL, name
        assert verdict.observation is not None
        assert verdict.observation.outcome == "accepted", name
