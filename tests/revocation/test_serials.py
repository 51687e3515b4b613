"""Certificates with serial numbers that RFC 5280 §4.1.2.2 forbids can be withdrawn like others."""

from __future__ import annotations

import re
from pathlib import Path

from mtls_runner import Overrides, Status, load
from mtls_runner.model.observation import Reason
from mtls_runner.pki import Store

from ..container_engine import IMAGE
from ..pki import openssl
from .conftest import MakeStore, each_once, verdicts

SCENARIO = """\
ca: {}
responders: {ocsp: {}}
leaves:
  server: {}
  good: {usage: client, ocsp: ocsp}
  withdrawn: {like: good, defects: negative-serial, revoked: keyCompromise}
  another: {like: good, defects: negative-serial, revoked: true}
  negative: {like: good, defects: negative-serial}
servers:
  by-crl: {certificate: server, trust: ca, crl: ca, backend: python}
  by-ocsp: {certificate: server, trust: ca, ocsp: leaf, backend: nginx}
cases:
  - {name: good by CRL, server: by-crl, client: good, expect: accepted}
  - {name: withdrawn by CRL, server: by-crl, client: withdrawn, expect: {server-refused: revoked}}
  - {name: another by CRL, server: by-crl, client: another, expect: {server-refused: revoked}}
  - {name: negative by CRL, server: by-crl, client: negative, expect: accepted}
  - {name: withdrawn by OCSP, server: by-ocsp, client: withdrawn, expect: {server-refused: revoked}}
  - {name: negative by OCSP, server: by-ocsp, client: negative, expect: accepted}
"""


def test_a_negative_serial_can_be_revoked(tmp_path: Path, make_store: MakeStore) -> None:
    file = tmp_path / "serials.yaml"
    file.write_text(SCENARIO)
    plan = load(file, Overrides(image=IMAGE))
    seen = verdicts(plan, each_once(plan))
    assert {name: verdict.status for name, verdict in seen.items()} == dict.fromkeys(seen, Status.PASS)
    assert seen["withdrawn by OCSP"].observation is not None
    assert seen["withdrawn by OCSP"].observation.reason is Reason.REVOKED
    # the list itself, as OpenSSL reads it
    store = make_store(plan)
    listed = openssl.run("crl", "-in", store.crl(["ca"]), "-noout", "-text").stdout.decode()
    assert len(re.findall(r"Serial Number: -[0-9A-F]+", listed)) == 2
    verified = openssl.run(
        "crl", "-in", store.crl(["ca"]), "-noout", "-CAfile", store.credential("ca").certificate_path
    )
    assert b"verify OK" in verified.stderr
    assert _verify(store, "withdrawn") == 23  # X509_V_ERR_CERT_REVOKED
    assert _verify(store, "negative") == 0


def _verify(store: Store, certificate: str) -> int:
    ca, leaf = store.credential("ca").certificate_path, store.credential(certificate).certificate_path
    told = openssl.run("verify", "-CAfile", ca, "-CRLfile", store.crl(["ca"]), "-crl_check", leaf)
    found = re.search(rb"^error (\d+) at", told.stderr, re.MULTILINE)
    return int(found[1]) if found else told.returncode
