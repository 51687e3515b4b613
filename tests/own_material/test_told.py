"""What can't be used is said before anything is sent, by the name of the user's file, whichever end was to use it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from mtls_runner import Outcome, Overrides, Reason, Status, Verdict
from mtls_runner.model.traits import Runtime

from ..warm import run_warm
from .issuer import PASSPHRASE, Form, Issuer
from .lab import TOOLS, case, observed, run, scenario

#: Name → files, reason, and what is said.
BROKEN: dict[str, tuple[Form, Reason, str]] = {
    "other-key": (Form("client.crt", "server.key"), Reason.KEY_MISMATCH, "server.key: not the key of client.crt"),
    "other-type": (
        Form("client.crt", "rsa-client.key"),
        Reason.KEY_MISMATCH,
        "rsa-client.key: not the key of client.crt",
    ),
    "no-certificate": (Form("gone.crt", "client.key"), Reason.MISSING_FILE, "gone.crt: No such file or directory"),
    "no-key-file": (Form("client.crt", "gone.key"), Reason.MISSING_FILE, "gone.key: No such file or directory"),
    "no-chain": (
        Form("client.crt", "client.key", "gone.pem"),
        Reason.MISSING_FILE,
        "gone.pem: No such file or directory",
    ),
    "no-container": (Form(pkcs12="gone.p12"), Reason.MISSING_FILE, "gone.p12: No such file or directory"),
    "no-key": (Form("client.crt"), Reason.MISSING_FILE, "client.crt: holds no private key, and no other file is given"),
    "directory": (Form("a-directory", "client.key"), Reason.MISSING_FILE, "a-directory: not a regular file"),
    "empty": (Form("empty.crt", "client.key"), Reason.MALFORMED, "empty.crt: an empty file"),
    "words": (Form("words.crt", "client.key"), Reason.MALFORMED, "words.crt: neither PEM nor DER"),
    "cut": (Form("cut.crt", "client.key"), Reason.MALFORMED, "cut.crt: PEM whose end is missing"),
    "cut-der": (Form("cut.der", "client.key"), Reason.MALFORMED, "cut.der: neither PEM nor DER"),
    "changed": (
        Form("changed.crt", "client.key"),
        Reason.MALFORMED,
        "changed.crt: OpenSSL can't read a certificate in it",
    ),
    "request": (
        Form("client.csr", "client.key"),
        Reason.MALFORMED,
        "client.csr: neither a certificate nor a private key",
    ),
    "key-as-certificate": (Form("client.key", "client.key"), Reason.MALFORMED, "client.key: no certificate in it"),
    "certificate-as-key": (Form("client.crt", "inter.crt"), Reason.MALFORMED, "inter.crt: no private key in it"),
    "public-key": (
        Form("client.crt", "client.pub"),
        Reason.MALFORMED,
        "client.pub: neither a certificate nor a private key",
    ),
    "pkcs12-as-pem": (
        Form("right.p12", "client.key"),
        Reason.MALFORMED,
        "right.p12: a PKCS #12 file; name it as pkcs12",
    ),
    "pem-as-pkcs12": (Form(pkcs12="client.crt"), Reason.MALFORMED, "client.crt: not a PKCS #12 file"),
    "pkcs7": (
        Form("client.p7b", "client.key"),
        Reason.MALFORMED,
        "client.p7b: neither a certificate nor a private key",
    ),
    "weak": (Form("weak.crt", "weak.key"), Reason.WEAK_KEY, "weak.crt: too weak a key for the security level"),
    "wrong": (
        Form(pkcs12="right.p12", passphrase="a wrong passphrase"),
        Reason.WRONG_PASSPHRASE,
        "right.p12: the passphrase does not open it",
    ),
}


@pytest.fixture(scope="module")
def files(mine: Issuer) -> Issuer:
    mine.path("a-directory").mkdir(exist_ok=True)
    mine.write("empty.crt", b"\n")
    mine.write("words.crt", b"not a certificate\n")
    mine.write("cut.crt", mine.data("client.crt")[:300])
    mine.made("whole.der", "x509", "-in", "client.crt", "-outform", "DER")
    mine.write("cut.der", mine.data("whole.der")[:300])
    lines = mine.data("client.crt").split(b"\n")
    mine.write("changed.crt", b"\n".join([lines[0], b"A" * 64, *lines[2:]]))
    mine.made("client.pub", "pkey", "-in", "client.key", "-pubout")
    mine.made("client.p7b", "crl2pkcs7", "-nocrl", "-certfile", "client.crt")
    mine.pkcs12("right.p12", PASSPHRASE)
    mine.made("weak.key", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    mine.sign("weak", "inter", "basicConstraints=CA:FALSE\n")
    mine.dated("old", "2019", "2020")
    mine.dated("young", "2090", "2099")
    return mine


@pytest.fixture(scope="module")
def clients(files: Issuer) -> dict[str, Verdict]:
    forms = {name: form for name, (form, _, _) in BROKEN.items()}
    cases = "".join(
        case(f"{name} {tool}", f"{{certificate: {name}, tool: {tool}}}", "client-unusable")
        for name in forms
        for tool in TOOLS
    )
    return run(files, "clients", scenario(forms, cases))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_client_says_what_is_wrong_with_the_file(name: str, tool: str, clients: dict[str, Verdict]) -> None:
    _, reason, said = BROKEN[name]
    verdict = clients[f"{name} {tool}"]
    seen = observed(verdict)
    assert (verdict.status, seen.outcome, seen.reason) == (Status.PASS, Outcome.CLIENT_UNUSABLE, reason)
    assert seen.client is not None
    assert seen.client.error.startswith(said)
    assert any(said in sentence for sentence in seen.evidence)
    assert not seen.handshake
    assert seen.curl_exit in {58, 43}


def _unusable(files: Issuer, names: Iterable[str], overrides: Overrides | None = None) -> None:
    text = "ca: {}\nleaves:\n" + "".join(f"  {name}: {BROKEN[name][0].written()}\n" for name in names)
    text += "servers:\n"
    for name in names:
        text += f"  {name}: {{certificate: {name}, expect: {{starts: false, reason: {BROKEN[name][1]}}}}}\n"
    verdicts = run(files, "unusable-servers", text, overrides)
    assert [name for name, verdict in verdicts.items() if verdict.status is not Status.PASS] == []
    for name in names:
        (sentence, *_) = observed(verdicts[f"server.{name}"]).evidence
        if overrides is not None and name == "weak":  # nginx's own words
            assert 'SSL_CTX_use_certificate("weak.crt") failed' in sentence
        else:
            assert sentence.startswith(f"server: {BROKEN[name][2]}")


def test_a_server_says_what_is_wrong_with_the_file(files: Issuer) -> None:
    _unusable(files, BROKEN)


@pytest.mark.usefixtures("nginx_program")
def test_nginx_says_it_too(files: Issuer) -> None:
    some = ("other-key", "no-certificate", "no-key", "words", "pem-as-pkcs12", "weak", "wrong")
    _unusable(files, some, Overrides(backend="nginx", runtime=Runtime.PROCESS))


@pytest.mark.parametrize("tool", TOOLS)
def test_trust_that_can_not_be_read(tool: str, files: Issuer) -> None:
    text = (
        "authorities: {root: {certificate: root.crt}, gone: {certificate: gone.crt}, words: {certificate: words.crt}}\n"
        "leaves: {server: {certificate: server.crt, key: server.key, chain: inter.crt, issuer: root}}\n"
        "server: {certificate: server, client_auth: none}\ncases:\n"
    )
    for id_ in ("root", "gone", "words"):
        for what, more in (("", ""), (" presenting", ", certificate: server"), (" insecure", ", insecure: true")):
            expect = "accepted" if id_ != "gone" or "insecure" in what else "client-unusable"
            text += case(f"{id_}{what}", f"{{trust: [{id_}], tool: {tool}{more}}}", expect, "server")
    verdicts = run(files, "trust", text.replace("server: server, ", ""))
    for name in ("root", "root presenting", "root insecure", "gone insecure", "words insecure"):
        assert verdicts[name].status is Status.PASS, name
    for id_, reason in (("gone", Reason.MISSING_FILE), ("words", Reason.MALFORMED)):
        for name in (id_, f"{id_} presenting"):
            seen = observed(verdicts[name])
            assert (seen.outcome, seen.reason, seen.curl_exit) == (Outcome.CLIENT_UNUSABLE, reason, 77)
            assert f"{id_}.crt: " in " ".join(seen.evidence)


# --- through the front door ------------------------------------------------------------------------------------------

_JOINED = "given as one file, with line breaks between them"
DATED = """\
authorities:
  root: {certificate: root.crt}
leaves:
  server: {certificate: server.crt, key: server.key, chain: inter.crt}
  old: {certificate: old.crt, key: old.key, chain: inter.crt}
  young: {certificate: young.crt, key: young.key, chain: inter.crt}
  mixed: {certificate: client.crt, key: server.key, chain: inter.crt}
  locked: {pkcs12: right.p12, passphrase: {file: passphrase.txt}}
server: {certificate: server, trust: [root]}
cases:
  - {name: old, client: old, expect: {server-refused: expired}}
  - {name: young, client: young, expect: {server-refused: not-yet-valid}}
  - {name: mixed, client: mixed, expect: {client-unusable: key-mismatch}}
  - {name: locked, client: locked, expect: accepted}
"""


GOOD = """\
authorities:
  root: {certificate: root.crt}
leaves:
  server: {certificate: server-chain.pem, key: server.key}
  client: {certificate: client-chain.pem, key: client.key}
server: {certificate: server, trust: [root]}
cases:
  - {name: good, client: client, expect: accepted}
"""


def _told(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_warm("mtls-run", arguments, cwd=directory, env=os.environ)


def test_notes_come_before_the_cases(files: Issuer) -> None:
    files.write("passphrase.txt", PASSPHRASE.encode() + b"\n")
    files.write("dated.yaml", DATED.encode())
    result = _told(files.directory, "dated.yaml", "--json", "report.json")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    notes = [line for line in lines if line.startswith("note: ")]
    assert notes == [
        "note: server.key: not the key of client.crt",
        "note: old.crt: CN=old expired on 2020-01-01",
        "note: young.crt: CN=young is not valid before 2090-01-01",
        *(f"note: {name}.crt and inter.crt: {_JOINED}" for name in ("server", "old", "young", "client")),
        "note: right.p12: PKCS #12, converted to PEM for ends that load no PKCS #12",
    ]
    first_case = next(number for number, line in enumerate(lines) if "old  " in line and not line.startswith("note"))
    assert max(map(lines.index, notes)) < first_case
    report = json.loads(files.path("report.json").read_text())
    evidence = {entry["name"]: " ".join(entry["observed"]["evidence"]) for entry in report["cases"]}
    assert "old.crt: CN=old expired on 2020-01-01" in evidence["old"]
    assert "young.crt: CN=young is not valid before 2090-01-01" in evidence["young"]
    assert "server.key: not the key of client.crt" in evidence["mixed"]
    assert PASSPHRASE not in result.stdout + result.stderr + files.path("report.json").read_text()


def test_nothing_is_noted_where_nothing_is_wrong(files: Issuer) -> None:
    files.write("server-chain.pem", files.data("server.crt", "inter.crt"))
    files.write("client-chain.pem", files.data("client.crt", "inter.crt"))
    files.write("good.yaml", GOOD.encode())
    result = _told(files.directory, "good.yaml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "note:" not in result.stdout
