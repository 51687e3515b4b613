"""What a person is told of cases that went wrong: which setting, which line, and each cause once; with real handshakes."""

from __future__ import annotations

import io
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from mtls_runner import load, run
from mtls_runner.engine.lab import Lab
from mtls_runner.model.verdict import CaseFinished, Status, Verdict
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.reporters import MARKS, PlainPage, told_mismatches
from mtls_runner.reporters.console import ConsoleReporter
from mtls_runner.reporters.github import GithubReporter

from ..verdicts import verdicts_of

LAB = """\
authorities: {ca: {}}
leaves:
  server: {issuer: ca}
  old: {issuer: ca, usage: client, not_before: -2d, not_after: -1h}
  client: {issuer: ca, usage: client}
  locked: {issuer: ca, passphrase: right}
servers:
  main: {certificate: server, trust: ca}
  listed: {like: main, crl: ca}
  optional: {like: main, client_auth: optional}
  nobody: {like: main, client_auth: none}
  shut: {certificate: locked, passphrase: wrong, trust: ca}
  garbled:
    certificate: server
    trust: ca
    ciphers: NOPE
cases:
  - {name: good, server: main, client: client, expect: accepted}
  - {name: old, server: main, client: old, expect: {outcome: accepted, body: x, resumed: false}}
  - {name: optional, server: optional, client: {}, expect: {server-refused: no-certificate, alert: certificate_required}}
  - {name: nobody, server: nobody, client: client, expect: {server-refused: unknown-ca}}
  - {name: trusted, server: main, client: client, expect: {server-refused: unknown-ca}}
  - {name: valid, server: main, client: client, expect: {server-refused: expired}}
  - {name: unlisted, server: main, client: client, expect: {server-refused: revoked}}
  - {name: not on it, server: listed, client: client, expect: {server-refused: revoked}}
  - {name: purpose, server: main, client: client, expect: {server-refused: wrong-purpose}}
  - {name: has one, server: main, client: client, expect: {server-refused: no-certificate}}
  - {name: insecure, server: main, client: {certificate: client, insecure: true}, expect: {client-refused: unknown-ca}}
  - {name: named, server: main, client: client, expect: {client-refused: name-mismatch}}
  - {name: locked out, server: shut, client: client, expect: accepted}
  - {name: garbled, server: garbled, client: client, expect: accepted}
  - {name: garbled too, server: garbled, client: old, expect: accepted}
  - {name: odd, server: odd, client: client, expect: accepted}
  - {name: no list, server: unlisted, client: client, expect: accepted}
  - {name: late list, server: late, client: client, expect: accepted}
  - {name: gap, server: main, client: {certificate: client, tls: [TLSv1.1, TLSv1.3]}, expect: accepted}
  - {name: gap at all, server: all, client: {tls: [TLSv1.1, TLSv1.3]}, expect: accepted}
  - name: gap below
    server: all
    client: {tls: [TLSv1, TLSv1.3], security_level: 0}
    expect: {outcome: accepted, tls_version: TLSv1.3}
  - {name: old only, server: main, client: {tls: [TLSv1.1]}, expect: accepted}
  - {name: from old on, server: all, client: {tls: [TLSv1.2, TLSv1.3]}, expect: {outcome: accepted, tls_version: TLSv1.2}}
"""
LAB = LAB.replace(
    "cases:\n",
    """\
  unlisted: {like: main, trust: [ca, other], crl: other}
  late: {like: main, crl: stale}
  all: {like: main, client_auth: none, tls: [TLSv1, TLSv1.1, TLSv1.2, TLSv1.3], security_level: 0}
  odd:
    like: main
    groups: [X25591]
crls:
  stale: {issuer: ca, next_update: -1h}
cases:
""",
).replace("{ca: {}}", "{ca: {}, other: {}}")

HINTS = {
    "good": "",
    "old": r"The certificate `old` expired 20[-0-9 :Z]+ \(line 4\)\.",
    "optional": r"The server can do without a certificate \(client_auth: optional\): client_auth: required would refuse\.",
    "nobody": r"The server verifies nobody \(client_auth: none\): client_auth: required would refuse\.",
    "trusted": r"`client` leads to `ca`, which the server trusts\.",
    "valid": r"`client` is valid, from 20[-0-9 :Z]+ to 20[-0-9 :Z]+\.",
    "unlisted": r"The server looks at no CRL \(crl:\)\.",
    "not on it": r"`client` is on none of the CRLs that the server has loaded \(revoked: true at it\)\.",
    "purpose": r"The server takes `client`, whose EKU is clientAuth\.",
    "has one": r"The client has a certificate, `client`: client: \{\} has none\.",
    "insecure": r"The client looks at nothing of the server \(insecure: true\)\.",
    "no list": r"The certificate `client` is looked up in a CRL of `ca`, and the server has none \(line 17\)\.",
    "late list": r"The certificate `client` is looked up in the CRL `stale`, which expired .* \(line 24\)\.",
    "gap": r"The client offers TLSv1\.1 and not TLSv1\.3: OpenSSL's clients offer no version above one that is left out .*\.",
    "gap at all": r"The client offers TLSv1\.1 and not TLSv1\.3: .*",
    "gap below": r"The client offers TLSv1 and not TLSv1\.3: .*",
    "old only": r"Let both ends allow a common version; .*",
    "from old on": "",
    "named": r"`server` names DNS:localhost, .*\.",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Verdict], list[str], list[str]]:
    """Verdicts by name, the console's lines, the annotations."""
    path = tmp_path_factory.mktemp("causes") / "causes.yaml"
    path.write_text(LAB)
    console, marked = io.StringIO(), io.StringIO()
    reporters = (ConsoleReporter(PlainPage(console), MARKS), GithubReporter(marked, path.parent))
    verdicts = {}
    for event in run([load(path)]):
        for reporter in reporters:
            reporter.handle(event)
        if isinstance(event, CaseFinished):
            verdicts[event.verdict.case.name] = event.verdict
    return verdicts, console.getvalue().replace(str(path), "causes.yaml").splitlines(), marked.getvalue().splitlines()


def test_the_hint_names_the_setting_or_the_certificate(told: tuple[dict[str, Verdict], list[str], list[str]]) -> None:
    verdicts, _, _ = told
    for name, pattern in HINTS.items():
        seen = verdicts[name].observation
        assert seen is not None
        assert re.fullmatch(pattern, seen.hint), (name, seen.hint)


WEAK = """\
ca: {}
leaves: {server: {}, client: {usage: client, key: KEY}}
server: {certificate: server, trust: ca}
cases: [{name: weak, client: client, expect: accepted}]
"""


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("rsa-1024", "OpenSSL's security level 2 wants RSA 2048 or more; issue a stronger key."),
        (
            "ml-dsa-65",
            "The key of `client` is ml-dsa-65: OpenSSL before 3.5 can't read it, and takes it for a weak one.",
        ),
    ],
)
def test_a_key_that_this_openssl_does_not_know_is_not_to_be_made_stronger(key: str, hint: str, tmp_path: Path) -> None:
    if key == "ml-dsa-65" and ssl.OPENSSL_VERSION_INFO >= (3, 5):
        pytest.skip("this OpenSSL knows ML-DSA")
    path = tmp_path / "weak.yaml"
    path.write_text(WEAK.replace("KEY", key))
    (verdict,) = verdicts_of(path)
    assert verdict.observation is not None
    assert verdict.observation.hint == hint


@pytest.mark.parametrize(("key", "said"), [("rsa-1024", False), ("ml-dsa-65", True)])
@pytest.mark.parametrize("backend", ["python", "nginx", "haproxy"])
def test_a_server_whose_openssl_does_not_know_its_key_says_since_when_there_is_such_a_key(
    backend: str, key: str, said: bool, tmp_path: Path
) -> None:
    path = tmp_path / "unread.yaml"
    path.write_text(
        f"ca: {{}}\nleaves: {{server: {{key: {key}}}}}\nserver: {{backend: {backend}, runtime: process, client_auth: none}}\n"
        "cases: [{name: unread, expect: accepted}]\n"
    )
    (verdict,) = (event.verdict for event in run([load(path)]) if isinstance(event, CaseFinished))
    if key == "ml-dsa-65" and verdict.status is not Status.ERROR:
        pytest.skip("this OpenSSL knows ML-DSA")
    told = re.search(
        r"\(([a-z-]+)\): the key of `server` is ml-dsa-65, which OpenSSL has from 3\.5 on, and this is \d",
        verdict.error,
    )
    assert (told is not None) == said, verdict.error


def test_after_another_outcome_nothing_is_said_of_what_was_not_seen(
    told: tuple[dict[str, Verdict], list[str], list[str]],
) -> None:
    verdicts, _, _ = told
    for name, paths in (("old", ["outcome"]), ("optional", ["outcome", "reason", "alert"])):
        assert [one.path for one in verdicts[name].mismatches][: len(paths)] == paths
        assert [one.path for one in told_mismatches(verdicts[name])][:1] == ["outcome"]
        assert not [one for one in told_mismatches(verdicts[name]) if one.observed in ("none", "not observed")]


def test_a_server_that_did_not_start_is_shown_at_the_line_to_blame(
    told: tuple[dict[str, Verdict], list[str], list[str]],
) -> None:
    verdicts, _, _ = told
    for name, line in (("locked out", 12), ("garbled", 16), (("odd", 22))):
        place = verdicts[name].span
        assert place is not None
        assert place.line == line, name
    assert verdicts["good"].span is None


def test_one_cause_is_told_once(told: tuple[dict[str, Verdict], list[str], list[str]]) -> None:
    _, lines, marked = told
    assert "  likewise: causes.yaml::garbled too" in lines
    assert "BROKEN causes.yaml::garbled too" not in lines
    broken = [line for line in marked if "no cipher can be selected" in line]
    assert len(broken) == 1
    assert broken[0].endswith("%0Alikewise: garbled too")
    assert "line=16" in broken[0]


def test_dates_are_those_of_the_certificate_however_long_the_run_takes(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text(LAB)
    plan = load(path)
    by_name = {case.name: case for case in plan.cases}
    with Lab(plan) as lab:
        begun = datetime.now(UTC) - timedelta(hours=5)  # what was made then
        lab._material = Store(lab._directory, plan.certificates, start=begun, pool=KeyPool.of_user(), crls=plan.crls)
        expired, valid = (lab.run(by_name[name]).observation for name in ("old", "valid"))
    assert expired is not None
    assert valid is not None
    assert expired.client is not None
    assert expired.client.sent_chain is not None
    end = x509.load_der_x509_certificate(expired.client.sent_chain[0]).not_valid_after_utc
    assert end < datetime.now(UTC) - timedelta(hours=5)
    assert f"expired {end:%Y-%m-%d %H:%M}Z " in expired.hint
    assert f"from {begun - timedelta(hours=1):%Y-%m-%d %H:%M}Z to " in valid.hint
