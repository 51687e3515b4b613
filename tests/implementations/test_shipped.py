"""Servers and clients that come with the lab: scenarios hold with them, and a reload counts when it is done."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mtls_runner import Overrides, Status, load, run
from mtls_runner.engine import RunOptions
from mtls_runner.language.implementations.reading import DIRECTORY, shipped
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.model.observation import Reason
from mtls_runner.model.verdict import CaseFinished, Noted
from mtls_runner.registry import registry

from ..verdicts import verdicts_by_name, verdicts_of
from .shipped import ENDS, absent, wrong

SERVERS = sorted(registry().backends.declared)


def shipped_server(name: str) -> DeclaredServer:
    server = shipped(DIRECTORY / name / "implementation.yaml").server
    assert server is not None
    return server


@pytest.mark.timeout(400)
def test_the_scenarios_hold() -> None:
    """``python -m tests.scenarios`` does it with all."""
    if (why := absent("s_client-client")) is not None:
        pytest.skip(why)
    assert wrong("s_client-client") == []


def test_what_check_runs_can_be_read() -> None:
    """``.ci/run`` runs it with all of them."""
    assert len(load(DIRECTORY / "proof.yaml").cases) > 70


CROWD = """\
authorities: {ca: {}, crowd: {count: 300}, other: {}}
leaves: {server: {issuer: ca}, client: {issuer: crowd, usage: client}, foreign: {issuer: other, usage: client}}
server: {certificate: server, trust: [ca, crowd], backend: nss}
cases:
  - {name: of the crowd, client: client, expect: accepted}
  - {name: twin, client: foreign, expect: {server-refused: unknown-ca}}
"""


@pytest.mark.parametrize("refusals", [0, 1, 9])
def test_nss_takes_a_crowd_of_authorities(refusals: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps them in a database, in which each waits for the disk unless it is of the right format; one of that does not take
    them in each order, and here not in the first ones.
    """
    if (why := absent("nss-server")) is not None:
        pytest.skip(why)
    orders = tmp_path / "orders"
    refusing = tmp_path / "bin" / "certutil"
    refusing.parent.mkdir()
    count = f'"$(grep -c "parts/300$" {orders})"'
    refusing.write_text(
        f'#!/bin/sh\ncase "$1" in -B) cat "$5" >>{orders}; [ {count} -gt {refusals} ] || exit 255;; esac\n'
        f'exec {shutil.which("certutil")} "$@"\n'
    )
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(refusing.parent), prepend=os.pathsep)
    (tmp_path / "crowd.yaml").write_text(CROWD)
    verdicts = verdicts_of(load(tmp_path / "crowd.yaml"))
    assert {verdict.status for verdict in verdicts} == ({Status.PASS} if refusals < 5 else {Status.ERROR}), verdicts
    tried = [line for line in orders.read_text().splitlines() if line.endswith("parts/300")]
    assert min(refusals + 1, 5) <= len(tried) <= 5


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
    (verdict,) = verdicts_of(tmp_path / "reloads.yaml", Overrides(backend=name))
    assert verdict.status is Status.PASS, (verdict.error, verdict.mismatches)
    refused = verdict.steps[-1].observation
    assert refused is not None
    assert not any(
        "client verify SUCCESS" in line for line in refused.evidence
    )  # Envoy names the certificate all the same


ASKS_NOBODY = """\
name: asks nobody
ca: {}
leaves: {server: {}, client: {usage: client}}
server: {certificate: server}
cases:
  - name: asks nobody
    client: {certificate: null}
    steps:
      - expect: {server-refused: no-certificate}
      - replace: {client_auth: none}
      - expect: {server-refused: no-certificate}
      - reload
      - expect: accepted
  - name: the same certificates
    client: client
    steps: [{expect: accepted}, reload, {expect: accepted}]
"""


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", ["apache", "granian", "haproxy", "node"])
def test_whom_it_asks_counts_after_a_reload_unless_its_arguments_say_it(name: str, tmp_path: Path) -> None:
    why = registry().backends[name].missing()
    if why is not None and not os.environ.get("CI"):
        pytest.skip(why)
    (tmp_path / "asks.yaml").write_text(ASKS_NOBODY)
    verdicts = verdicts_by_name(tmp_path / "asks.yaml", Overrides(backend=name))
    assert verdicts["the same certificates"].status is Status.PASS, verdicts
    if name == "granian":
        assert verdicts["asks nobody"].skip_reason == "granian is told client_auth when it starts, and not by a reload"
    else:
        assert verdicts["asks nobody"].status is Status.PASS, verdicts["asks nobody"].mismatches


ANSWERS = """\
name: answers
ca: {}
leaves: {server: {}, client: {usage: client}}
server: {response: {body: before}}
cases:
  - name: another answer
    client: client
    steps:
      - expect: {outcome: accepted, body: before}
      - replace: {response: {body: after}}
      - expect: {outcome: accepted, body: before}
      - reload
      - expect: {outcome: accepted, body: after}
"""


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", ["nghttpx", "node", "stunnel"])
def test_what_is_answered_changes_with_a_reload(name: str, tmp_path: Path) -> None:
    """Also where the lab's own application answers, which stands behind it."""
    why = registry().backends[name].missing()
    if why is not None and not os.environ.get("CI"):
        pytest.skip(why)
    (tmp_path / "answers.yaml").write_text(ANSWERS)
    (verdict,) = verdicts_of(tmp_path / "answers.yaml", Overrides(backend=name))
    assert verdict.status is Status.PASS, (verdict.error, verdict.mismatches)


UNUSABLE_FILES = """\
name: unusable files
ca: {subject: CN=Root}
leaves: {server: {}, client: {usage: client}, other-key: {like: server, defects: key-mismatch, san: [localhost, 127.0.0.1]}}
server: {certificate: server}
cases:
  - name: a key of another certificate
    client: client
    steps:
      - expect: accepted
      - replace: {certificate: other-key}
      - reload: {starts: false, reason: key-mismatch}
      - expect: AFTERWARDS
"""


@pytest.mark.parametrize(
    ("name", "afterwards", "what"),
    [
        ("haproxy", "accepted", "goes on as before"),
        ("apache", "{no-connection: refused}", "ended"),
        ("node", "accepted", "goes on as before"),
        ("granian", "{no-connection: refused}", "ended"),
    ],
)
def test_files_that_it_can_not_use(name: str, afterwards: str, what: str, tmp_path: Path) -> None:
    why = registry().backends[name].missing()
    if why is not None and not os.environ.get("CI"):
        pytest.skip(why)
    (tmp_path / "unusable.yaml").write_text(UNUSABLE_FILES.replace("AFTERWARDS", afterwards))
    events = run([load(tmp_path / "unusable.yaml", Overrides(backend=name))])
    (verdict,) = (event.verdict for event in events if isinstance(event, CaseFinished))
    assert verdict.status is Status.PASS, (verdict.error, verdict.mismatches)
    assert [step.observation.summary for step in verdict.steps if step.observation][1] == (
        f"the reload failed, the server {what}: key-mismatch, the private key does not belong to the certificate"
    )


OWN_KEYS = """\
name: own keys
ca: {subject: CN=Root}
leaves:
  server: {}
  locked: {like: server, passphrase: secret}
  locked-as-before: {like: locked, key: {algorithm: rsa-2048, format: traditional}}
  other-key: {like: server, defects: key-mismatch}
  unreadable: {like: server, key: ml-dsa-65}
servers:
  good: {certificate: server, expect: {starts: true}}
  locked: {certificate: locked, passphrase: null, expect: {starts: false, reason: passphrase-needed}}
  as-before: {certificate: locked-as-before, passphrase: null, expect: {starts: false, reason: passphrase-needed}}
  other-key:
    certificate: other-key
    expect: {starts: false, reason: key-mismatch, where: {when: {backend: java}, expect: {starts: true, reason: null}}}
  unreadable:
    certificate: unreadable
    expect:
      starts: false
      reason: [malformed, weak-key]
      where:
        - {when: {backend: [envoy, go]}, expect: {starts: true, reason: null}}
        - {when: {library: openssl, library_version: ">=3.5"}, expect: {starts: true, reason: null}}
"""


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_can_not_use_its_key_is_told_why(name: str, tmp_path: Path) -> None:
    """An encrypted key, another's, and one of an algorithm that it does not have, which is no encrypted one."""
    why = registry().backends[name].missing()
    if why is not None and not os.environ.get("CI"):
        pytest.skip(why)
    (tmp_path / "keys.yaml").write_text(OWN_KEYS)
    verdicts = verdicts_by_name(tmp_path / "keys.yaml", Overrides(backend=name))
    assert {verdict.status for verdict in verdicts.values()} == {Status.PASS}, {
        case: (verdict.skip_reason, verdict.error, verdict.mismatches) for case, verdict in verdicts.items()
    }


OLD_KEYS = """\
name: old keys
ca: {}
leaves:
  server: {}
  rsa: {like: server, key: {algorithm: rsa-2048, format: traditional}, san: [localhost, 127.0.0.1]}
  p256: {like: rsa, key: {algorithm: ec-p256, format: traditional}}
  p521: {like: rsa, key: {algorithm: ec-p521, format: traditional}}
  locked: {like: rsa, passphrase: secret}
server: {certificate: server}
cases:
  - {name: RSA, server: {certificate: rsa}, client: rsa, expect: {outcome: accepted, client_subject: CN=rsa}}
  - {name: P-256, server: {certificate: p256}, client: p256, expect: {outcome: accepted, client_subject: CN=p256}}
  - {name: P-521, server: {certificate: p521}, client: p521, expect: {outcome: accepted, client_subject: CN=p521}}
  - {name: locked, server: {certificate: locked, passphrase: null}, client: rsa, expect: accepted}
"""


@pytest.mark.timeout(200)
@pytest.mark.parametrize("end", ["java-server", "java-client"])
def test_java_reads_keys_as_openssl_wrote_them_before_3(end: str, tmp_path: Path) -> None:
    """It knows PKCS#8 only; the program puts what stands within that (RFC 8017, RFC 5915) back into it."""
    if (why := absent(end)) is not None:
        pytest.skip(why)
    (tmp_path / "old.yaml").write_text(OLD_KEYS)
    verdicts = verdicts_by_name(tmp_path / "old.yaml", ENDS[end])
    assert [verdicts[name].status for name in ("RSA", "P-256", "P-521")] == [Status.PASS] * 3, verdicts
    assert verdicts["locked"].status is Status.ERROR
    assert "passphrase-needed" in (verdicts["locked"].error or "")


OLD_VERSIONS = """\
name: old versions
ca: {}
leaves: {server: {}, client: {usage: client}, expired: {like: client, not_before: -10d, not_after: -1d}}
servers:
  server: {tls: [TLSv1.1, TLSv1.2]}
  lowered: {like: server, security_level: 0}
cases:
  - {name: good, server: server, client: client, expect: {outcome: accepted, tls_version: TLSv1.1}}
  - {name: expired, server: server, client: expired, expect: {server-refused: expired}}
  - {name: lowered, server: lowered, client: client, expect: {outcome: accepted, tls_version: TLSv1.1}}
matrix: {client.tls: [TLSv1.1], client.security_level: [0]}
"""


@pytest.mark.parametrize(("name", "has_levels"), [("gnutls", False), ("stunnel", True)])
def test_tls_1_1_is_spoken_unless_a_security_level_forbids_it(name: str, has_levels: bool, tmp_path: Path) -> None:
    """GnuTLS has no such levels; OpenSSL has no signature for it above 0, and stunnel says so."""
    if (why := absent(f"{name}-server")) is not None:
        pytest.skip(why)
    (tmp_path / "old.yaml").write_text(OLD_VERSIONS)
    verdicts = {
        case.partition("[")[0]: verdict
        for case, verdict in verdicts_by_name(tmp_path / "old.yaml", Overrides(backend=name)).items()
    }
    assert verdicts["lowered"].status is (Status.PASS if has_levels else Status.SKIP)
    wanted = Status.FAIL if has_levels else Status.PASS
    assert (verdicts["good"].status, verdicts["expired"].status) == (wanted, wanted), verdicts
    if has_levels:
        seen = verdicts["good"].observation
        assert seen is not None
        assert seen.reason is Reason.PROTOCOL_VERSION
        assert any("no suitable signature algorithm" in line for line in seen.evidence)


NAMELESS = """\
name: nameless
ca: {}
leaves: {server: {}, client: {usage: client}, nameless: {like: client, subject: "", san: {names: [client.test], critical: true}}}
server: {backend: stunnel}
cases:
  - {name: nameless, client: nameless, expect: accepted}
  - {name: named, client: client, expect: {outcome: accepted, client_subject: CN=client}}
"""


def test_stunnels_words_for_an_empty_name_are_none(tmp_path: Path) -> None:
    """It logs ``BIO_read() failed`` in its place."""
    if (why := absent("stunnel-server")) is not None:
        pytest.skip(why)
    (tmp_path / "nameless.yaml").write_text(NAMELESS)
    verdicts = verdicts_by_name(tmp_path / "nameless.yaml")
    assert {verdict.status for verdict in verdicts.values()} == {Status.PASS}, verdicts
    seen = verdicts["nameless"].observation
    assert seen is not None
    assert any("BIO_read() failed" in line for line in seen.server_log or ())
    assert not seen.client_subject


def test_servers_that_can_be_reloaded_and_ones_that_can_not() -> None:
    assert {name for name in SERVERS if shipped_server(name).reload is None} >= {"s_server", "gnutls"}


NOTHING_IN_COMMON = """\
name: nothing in common
ca: {subject: CN=Root}
leaves: {server: {}}
servers:
  server: {client_auth: none, tls: TLSv1.2}
  one-group: {like: server, groups: [P-256]}
cases:
  - {name: another group, server: one-group, client: {groups: [P-384]}, expect: {no-agreement: [cipher, group]}}
  - {name: another cipher, server: server, client: {ciphers: AES128-GCM-SHA256}, expect: {no-agreement: cipher}}
  - {name: the same, server: one-group, client: {groups: [P-256]}, expect: accepted}
"""


@pytest.mark.parametrize("name", ["go", "haproxy", "envoy"])
def test_without_a_group_in_common_a_cipher_is_not_in_common_either(name: str, tmp_path: Path) -> None:
    """They say the same of both; where nobody narrows the groups, it is the cipher."""
    why = registry().backends[name].missing()
    if why is not None and not os.environ.get("CI"):
        pytest.skip(why)
    (tmp_path / "nothing.yaml").write_text(NOTHING_IN_COMMON)
    ended = {
        event.verdict.case.name: (event.verdict.status, event.verdict.observation.reasons)
        for event in run([load(tmp_path / "nothing.yaml", Overrides(backend=name))])
        if isinstance(event, CaseFinished) and event.verdict.observation is not None
    }
    assert ended == {
        "another group": (Status.PASS, (Reason.CIPHER, Reason.GROUP)),
        "another cipher": (Status.PASS, (Reason.CIPHER,)),
        "the same": (Status.PASS, ()),
    }


LEADS_NOWHERE = """\
name: leads nowhere
authorities: {ca: {subject: CN=Root}, other: {subject: CN=Other}}
leaves:
  server: {issuer: ca}
  client: {issuer: ca, usage: client}
  expired: {like: client, not_before: -10d, not_after: -1d}
  foreign: {like: client, issuer: other}
server: {certificate: server, trust: [ca], client_auth: optional_no_ca}
cases:
  - {name: good, client: client, expect: {outcome: accepted, client_verify: SUCCESS}}
  - {name: none, expect: {outcome: accepted, client_verify: NONE}}
  - {name: foreign, client: foreign, expect: {outcome: accepted, client_verify: {matches: ^FAILED}}}
  - {name: expired, client: expired, expect: {server-refused: expired}}
"""


@pytest.mark.parametrize("name", ["go", "node"])
def test_optional_no_ca_lets_in_what_leads_nowhere_and_no_more(name: str, tmp_path: Path) -> None:
    if (why := absent(f"{name}-server")) is not None:
        pytest.skip(why)
    (tmp_path / "nowhere.yaml").write_text(LEADS_NOWHERE)
    for verdict in verdicts_by_name(tmp_path / "nowhere.yaml", Overrides(backend=name)).values():
        assert verdict.status is Status.PASS, (verdict.error, verdict.mismatches)


UNKNOWN_WORDS = """\
name: unknown words
ca: {subject: CN=Root}
leaves: {server: {}, client: {usage: client}, expired: {like: client, not_before: -10d, not_after: -1d}}
server:
  trust: [ca]
  backend:
    command: [openssl, s_server, -accept, "{{address}}", -cert, "{{leaf}}", -key, "{{key}}", -CAfile, "{{trust}}",
              -Verify, "9", -verify_return_error, -brief]
    dialect: gnutls
cases:
  - {name: expired, client: expired, expect: {server-refused: expired}}
"""


def test_a_refusal_in_words_that_nobody_knows_shows_them(tmp_path: Path) -> None:
    (tmp_path / "unknown.yaml").write_text(UNKNOWN_WORDS)
    events = run([load(tmp_path / "unknown.yaml", Overrides(allow_commands=True))])
    (verdict,) = (event.verdict for event in events if isinstance(event, CaseFinished))
    assert verdict.observation is not None, verdict.error
    assert "certificate verify failed" in verdict.observation.evidence[-1]


BY_ITSELF = """\
name: by itself
authorities: {ca: {subject: CN=Root}, other: {subject: CN=Other}}
leaves:
  server: {issuer: ca, passphrase: secret}
  plain: {issuer: ca, san: [localhost, shop.test]}
  client: {issuer: ca, usage: client}
  foreign: {issuer: other, usage: client}
  revoked: {issuer: ca, usage: client, revoked: true}
crls: {crl: {issuer: ca}}
servers:
  server: {certificate: server, trust: [ca]}
  starts: {like: server, expect: {starts: true}}
  other: {like: server, passphrase: wrong}
  deep: {certificate: plain, trust: [ca], verify_depth: 100}
  flat: {like: deep, verify_depth: 1}
  tolerant: {certificate: plain, trust: [ca], client_auth: optional_no_ca, virtual_hosts: {shop: {names: [shop.test]}}}
  strict: {like: tolerant, virtual_hosts: {shop: {names: [shop.test], client_auth: required}}}
  named: {certificate: plain, trust: [ca, other], advertise: [other]}
  unnamed: {certificate: plain, trust: [ca], advertise: []}
  stranger: {certificate: plain, trust: [ca], advertise: [other]}
  checked: {certificate: plain, trust: [ca], crl: [crl], virtual_hosts: {shop: {names: [shop.test], crl: []}}}
cases:
  - {name: a key that it does not open, server: server, client: client, expect: accepted}
  - {name: nobody's key, server: server, expect: {server-refused: no-certificate}}
  - {name: a passphrase that opens nothing, server: other, client: client, expect: accepted}
  - {name: the depth that it has, server: deep, client: client, expect: accepted}
  - {name: another depth, server: flat, client: client, expect: accepted}
  - {name: no host is strict, server: tolerant, client: {certificate: foreign, server_name: shop.test}, expect: accepted}
  - {name: one that it names, server: named, client: client, expect: {outcome: accepted, client_ca_names: [CN=Other]}}
  - {name: none that it names, server: unnamed, client: client, expect: {outcome: accepted, client_ca_names: []}}
  - {name: nor trusts, server: unnamed, client: foreign, expect: {server-refused: unknown-ca}}
  - {name: one that it does not trust, server: stranger, client: foreign, expect: {server-refused: unknown-ca}}
  - {name: a CRL, server: checked, client: revoked, expect: {server-refused: revoked}}
  - {name: a host without one, server: checked, client: {certificate: revoked, server_name: shop.test}, expect: accepted}
  - name: one host is strict
    server: strict
    client: {certificate: foreign, server_name: shop.test}
    expect: {server-refused: unknown-ca}
"""


def test_what_haproxy_needs_not_be_told(tmp_path: Path) -> None:
    """It opens no encrypted key, has no setting for the depth, which is 100; what its address is told is its hosts', too."""
    why = registry().backends["haproxy"].missing()
    if why is not None and not os.environ.get("CI"):
        pytest.skip(why)
    (tmp_path / "itself.yaml").write_text(BY_ITSELF)
    kept = tmp_path / "kept"
    events = list(run([load(tmp_path / "itself.yaml", Overrides(backend="haproxy"))], RunOptions(keep=kept)))
    ended = {
        event.verdict.case.name: (event.verdict.status, event.verdict.skip_reason)
        for event in events
        if isinstance(event, CaseFinished)
    }
    assert ended == {
        "server.starts": (Status.SKIP, "HAProxy opens no encrypted key"),
        "a key that it does not open": (Status.PASS, ""),
        "nobody's key": (Status.PASS, ""),
        "a passphrase that opens nothing": (Status.SKIP, "HAProxy opens no encrypted key"),
        "the depth that it has": (Status.PASS, ""),
        "another depth": (Status.SKIP, "HAProxy can't be told verify_depth"),
        "no host is strict": (Status.PASS, ""),
        "one that it names": (Status.PASS, ""),
        "none that it names": (Status.PASS, ""),
        "nor trusts": (Status.PASS, ""),
        "one that it does not trust": (Status.SKIP, "HAProxy: it trusts every authority that it names (ca-file)"),
        "a CRL": (Status.PASS, ""),
        "a host without one": (Status.PASS, ""),
        "one host is strict": (
            Status.SKIP,
            "HAProxy: all of its virtual hosts let in what leads nowhere, or none",
        ),
    }
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert notes == ["server 'server': HAProxy opens no encrypted key, and is given a decrypted one"]
    keys = [path for path in kept.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert keys
    assert [path for path in keys if path.stat().st_mode & 0o077] == []


REDIRECTS = """\
name: redirects
ca: {subject: CN=Root}
leaves: {server: {}}
servers:
  told: {client_auth: none, alpn: http/1.1, responses: {/go: {status: 302, headers: {Location: "https://shop.example/a$1b&c"}}}}
  nowhere: {client_auth: none, response: {status: 302}}
cases:
  - name: told
    server: told
    client: {request: {path: /go}}
    expect: {outcome: accepted, status: 302, headers: {location: "https://shop.example/a$1b&c"}}
  - {name: elsewhere, server: told, expect: {outcome: accepted, status: 200, headers: {location: null}}}
  - {name: nowhere, server: nowhere, expect: accepted}
  - {name: its protocol, server: told, client: {alpn: http/1.1}, expect: {outcome: accepted, alpn: http/1.1}}
  - name: another protocol
    server: told
    client: {alpn: postgresql}
    expect: {outcome: [no-agreement, accepted], reason: [alpn, null]}
  - name: another protocol, TLS 1.2
    server: told
    client: {alpn: postgresql, tls: TLSv1.2}
    expect: {outcome: [no-agreement, accepted], reason: [alpn, null]}
"""


def test_apache_redirects_where_it_is_told_and_chooses_a_protocol_that_nobody_offered(tmp_path: Path) -> None:
    """Its own directive for these statuses wants the place, and names it once. Newer OpenSSL clients mind the protocol."""
    why = registry().backends["apache"].missing()
    if why is not None:
        pytest.skip(why)
    (tmp_path / "redirects.yaml").write_text(REDIRECTS)
    found = verdicts_by_name(tmp_path / "redirects.yaml", Overrides(backend="apache"))
    ended = {name: (one.status, one.skip_reason) for name, one in found.items()}
    assert ended == {
        "told": (Status.PASS, ""),
        "elsewhere": (Status.PASS, ""),
        "nowhere": (Status.SKIP, "Apache httpd: it redirects nowhere without a Location"),
        "its protocol": (Status.PASS, ""),
        "another protocol": (Status.PASS, ""),
        "another protocol, TLS 1.2": (Status.PASS, ""),
    }


LARGE = """\
name: large
ca: {subject: CN=Root}
leaves:
  server: {}
  small: {usage: client, subject: CN=small}
  large: {usage: client, subject: CN=large, extensions: {1.3.6.1.4.1.55555.2: {size: 100000}}}
server: {certificate: server, trust: [ca], responses: {/not%20here: {status: 404}, /: {body: here}}}
cases:
  - {name: small, client: {certificate: small, tls: TLSv1.2}, expect: {outcome: accepted, client_subject: CN=small, body: here}}
  - {name: large, client: {certificate: large, tls: TLSv1.2}, expect: {outcome: accepted, client_subject: CN=large, body: here}}
  - name: elsewhere
    client: {certificate: large, tls: TLSv1.2, request: {path: '/not%20here?q'}}
    expect: {outcome: accepted, status: 404}
"""


def test_what_answers_behind_lighttpd_has_a_certificate_of_any_size_and_answers_by_path(tmp_path: Path) -> None:
    """100 kB are more than a CGI script's environment holds."""
    if (why := absent("lighttpd-server")) is not None:
        pytest.skip(why)
    (tmp_path / "large.yaml").write_text(LARGE)
    events = run([load(tmp_path / "large.yaml", Overrides(backend="lighttpd", tool="curl"))])
    ended = {event.verdict.case.name: event.verdict for event in events if isinstance(event, CaseFinished)}
    assert [verdict.status for verdict in ended.values()] == [Status.PASS] * 3, [v.mismatches for v in ended.values()]


def test_what_answers_behind_lighttpd_goes_on_after_one_that_hung_up(tmp_path: Path) -> None:
    known = b"CONTENT_LENGTH\0000\0REQUEST_METHOD\0GET\0REQUEST_URI\0/\0"
    answer: dict[str, object] = {
        "path": None,
        "status": 204,
        "content_type": "",
        "size": 0,
        "headers": [],
        "body_file": "",
    }
    (tmp_path / "lab.json").write_text(json.dumps({"responses": [answer]}))
    place = os.path.relpath(tmp_path / "socket")  # a Unix socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        program = [sys.executable, str(DIRECTORY / "lighttpd" / "answer.py"), str(tmp_path / "lab.json")]
        with subprocess.Popen(program, stdin=listener.fileno(), stderr=subprocess.DEVNULL) as running:
            try:
                for hangs_up in (True, False):
                    with socket.socket(socket.AF_UNIX) as one:
                        one.settimeout(20)
                        one.connect(place)
                        one.sendall(b"%d:%b," % (len(known), known))
                        assert hangs_up or one.recv(1024).startswith(b"Status: 204")
            finally:
                running.kill()


ODD = r"""
name: odd characters
ca: {subject: CN=Root}
leaves: {server: {}, client: {usage: client}}
server:
  trust: [ca]
  responses:
    "/a;b(c)'d&e": {status: 201, headers: {X-Odd: &odd "a;b (c) {d} 50% $x \"q\" 's' \\ & * [z] # , = |<>~`?!^"}}
    "/$x{y}": {status: 202}
    "/%7Ea%20b%C3%A9%25": {status: 203, headers: {X-Odd: &place "Zürich, 東京"}}
cases:
  - name: one
    client: {certificate: client, request: {path: "/a;b(c)'d&e"}}
    expect: {outcome: accepted, status: 201, headers: {x-odd: *odd}}
  - name: other
    client: {certificate: client, request: {path: "/$x{y}"}}
    expect: {outcome: accepted, status: 202}
  - name: encoded
    client: {certificate: client, request: {path: "/%7ea%20b%c3%a9%25?c", headers: {X-Odd: *place}}}
    expect: {outcome: accepted, status: 203, headers: {x-odd: *place}}
  - name: not encoded
    client: {certificate: client, request: {path: /~a+b}}
    expect: {outcome: accepted, status: 200, headers: {x-odd: null}}
"""
_LEFT_OUT = r"  responses:\n(    .*\n)+|(?<=expect: ){.*}|, request: {.*}(?=}\n)"
PLAIN = re.sub(_LEFT_OUT, "", ODD).replace("expect: ", "expect: accepted")


@pytest.mark.parametrize(
    ("backend", "tool", "why"),
    [
        ("haproxy", "pycurl", ""),
        ("caddy", "python", ""),
        ("java", "python", ""),
        ("lighttpd", "python", "that its configuration might take for its own: set TMPDIR to another directory"),
    ],
)
def test_odd_characters_of_paths_and_responses_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, tool: str, why: str
) -> None:
    """Or what can't be written is told as that, and breaks nothing else."""
    absent_ones = [registry().backends[backend].missing(), registry().clients[tool].missing()]
    if any(absent_ones) and not os.environ.get("CI"):
        pytest.skip(next(filter(None, absent_ones)))
    path = tmp_path / "odd.yaml"
    path.write_text(PLAIN if why else ODD)
    here = tmp_path / "é $(x) 50%"
    here.mkdir()
    monkeypatch.setenv("TMPDIR", str(here))
    monkeypatch.setattr("tempfile.tempdir", None)
    events = run([load(path, Overrides(backend=backend, tool=tool))])
    verdicts = [event.verdict for event in events if isinstance(event, CaseFinished)]
    assert len(verdicts) == 4
    for verdict in verdicts:
        assert verdict.status is (Status.ERROR if why else Status.PASS), (verdict.error, verdict.mismatches)
        assert why in verdict.error
