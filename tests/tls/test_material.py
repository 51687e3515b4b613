"""Why material can't be used: made with the openssl command, loaded with Python's ``ssl``."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from mtls_runner.model.certificate import Secret
from mtls_runner.model.observation import Reason
from mtls_runner.tls.context import load, load_trust


def openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lab = tmp_path_factory.mktemp("material")
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    for name, key in (("a", ec), ("b", ec), ("rsa", ("-newkey", "rsa:2048")), ("small", ("-newkey", "rsa:1024"))):
        openssl(
            lab, "req", "-x509", *key, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}"
        )
    openssl(lab, "req", "-new", "-key", "rsa.key", "-subj", "/CN=weak", "-out", "weak.csr")
    openssl(lab, "x509", "-req", "-sha1", "-in", "weak.csr", "-CA", "a.crt", "-CAkey", "a.key", "-out", "weak.crt")
    openssl(lab, "pkcs8", "-topk8", "-in", "a.key", "-out", "a.pkcs8", "-passout", "pass:secret")
    openssl(lab, "rsa", "-in", "rsa.key", "-traditional", "-des3", "-out", "rsa.pem", "-passout", "pass:secret")
    openssl(lab, "x509", "-in", "a.crt", "-outform", "DER", "-out", "a.der")
    (lab / "both.pem").write_text((lab / "a.crt").read_text() + (lab / "a.key").read_text())
    (lab / "empty").touch()
    (lab / "text").write_text("no PEM in here\n")
    (lab / "broken.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (lab / "broken.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    return lab


def context(level: int = 2) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.set_ciphers(f"DEFAULT:@SECLEVEL={level}")
    return made


@pytest.mark.parametrize(
    ("certificate", "key", "passphrase"),
    [
        ("a.crt", "a.key", None),
        ("a.crt", "a.key", "needless"),
        ("a.crt", "a.pkcs8", "secret"),
        ("rsa.crt", "rsa.pem", "secret"),
        ("both.pem", None, None),
    ],
)
def test_what_can_be_used(certificate: str, key: str | None, passphrase: str | None, lab: Path) -> None:
    made = context()
    secret = Secret(passphrase) if passphrase is not None else None
    assert load(made, lab / certificate, lab / key if key else None, secret) is None


@pytest.mark.parametrize(
    ("certificate", "key", "passphrase", "reason", "symbol"),
    [
        ("a.crt", "a.pkcs8", None, Reason.PASSPHRASE_NEEDED, ""),
        ("a.crt", "a.pkcs8", "wrong", Reason.WRONG_PASSPHRASE, ""),
        ("a.crt", "a.pkcs8", "", Reason.WRONG_PASSPHRASE, ""),
        ("a.crt", "a.pkcs8", "x" * 2000, Reason.WRONG_PASSPHRASE, ""),
        ("rsa.crt", "rsa.pem", None, Reason.PASSPHRASE_NEEDED, ""),
        ("rsa.crt", "rsa.pem", "wrong", Reason.WRONG_PASSPHRASE, ""),
        ("a.crt", "b.key", None, Reason.KEY_MISMATCH, "KEY_VALUES_MISMATCH"),
        ("a.crt", "rsa.key", None, Reason.KEY_MISMATCH, None),
        ("rsa.crt", "a.key", None, Reason.KEY_MISMATCH, None),
        ("small.crt", "small.key", None, Reason.WEAK_KEY, "EE_KEY_TOO_SMALL"),
        ("weak.crt", "rsa.key", None, Reason.WEAK_DIGEST, "CA_MD_TOO_WEAK"),
        ("none.crt", "a.key", None, Reason.MISSING_FILE, "ENOENT"),
        ("a.crt", "none.key", None, Reason.MISSING_FILE, "ENOENT"),
        ("a.crt", ".", None, Reason.MISSING_FILE, "EISDIR"),
        ("a.crt", None, None, Reason.MISSING_FILE, ""),
        ("broken.crt", "a.key", None, Reason.MALFORMED, None),
        ("text", "a.key", None, Reason.MALFORMED, None),
        ("empty", "a.key", None, Reason.MALFORMED, None),
        ("a.der", "a.key", None, Reason.MALFORMED, None),
        ("a.crt", "broken.key", None, Reason.MALFORMED, ""),
        ("a.crt", "text", None, Reason.MALFORMED, ""),
        ("a.crt", "empty", None, Reason.MALFORMED, ""),
        ("a.crt", "b.crt", None, Reason.MALFORMED, ""),
    ],
)
def test_what_cannot_and_why(
    certificate: str, key: str | None, passphrase: str | None, reason: Reason, symbol: str | None, lab: Path
) -> None:
    secret = Secret(passphrase) if passphrase is not None else None
    problem = load(context(), lab / certificate, lab / key if key else None, secret)
    assert problem is not None
    assert problem.reason is reason
    if symbol is not None:  # where it is None, versions of OpenSSL differ
        assert problem.symbol == symbol
    name = key if reason in (Reason.KEY_MISMATCH, Reason.WRONG_PASSPHRASE, Reason.PASSPHRASE_NEEDED) else ""
    assert problem.text.startswith(name or "")
    assert str(lab) not in problem.text
    if passphrase:
        assert passphrase not in problem.text


def test_the_security_level_decides_what_is_weak(lab: Path) -> None:
    assert load(context(0), lab / "small.crt", lab / "small.key", None) is None
    assert load(context(0), lab / "weak.crt", lab / "rsa.key", None) is None


def test_trust(lab: Path) -> None:
    made = context()
    assert load_trust(made, lab / "a.crt") is None
    assert [ca["subject"] for ca in made.get_ca_certs()] == [((("commonName", "a"),),)]
    for name, reason in (
        ("none", Reason.MISSING_FILE),
        ("empty", Reason.MALFORMED),
        ("text", Reason.MALFORMED),
        ("broken.crt", Reason.MALFORMED),
    ):
        problem = load_trust(context(), lab / name)
        assert problem is not None
        assert problem.reason is reason
        assert problem.text.startswith(name)
