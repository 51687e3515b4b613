"""A sample of ``python -m tests.own_files``, with nginx in a container; and what nobody can be given at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtls_runner import Overrides

from ..container_engine import IMAGE, absent, not_here
from ..own_material.issuer import Issuer, issuer
from .compare import disagreements
from .files import ODD, PASSPHRASE

SAMPLE = ("plain", "rejected-for-clients", "pkcs12-no-key")


def test_the_lab_says_what_the_bare_programs_say(tmp_path: Path) -> None:
    if (why := absent()) is not None:
        not_here(why)
    result = disagreements(tmp_path, SAMPLE, Overrides(image=IMAGE))
    assert not result.lines, "\n".join(result.lines)
    assert len(result.bare) == 8 * len(SAMPLE)
    assert set(result.bare.values()) == {"accepted", "refused", "unusable"}


def test_there_are_enough_odd_files() -> None:
    assert len(ODD) >= 150


#: What is at fault → how a leaf or an authority says where it is, and what has to be said of it.
AT_FAULT = {
    "fifo": ("certificate: fifo, key: client.key", "fifo: not a regular file"),
    "fifo-key": ("certificate: client.crt, key: fifo", "fifo: not a regular file"),
    "fifo-chain": ("certificate: client.crt, key: client.key, chain: fifo", "fifo: not a regular file"),
    "fifo-pkcs12": ("pkcs12: fifo, passphrase: x", "fifo: not a regular file"),
    "endless": ("certificate: /dev/zero, key: client.key", "zero: not a regular file"),
    "too-long": (f"certificate: {'n' * 300}, key: client.key", f"{'n' * 60}…: File name too long"),
    "jks": (
        "certificate: a.jks, key: client.key",
        "a.jks: neither a certificate nor a private key but a Java keystore",
    ),
    "pkcs7": ("certificate: a.p7b, key: client.key", "a.p7b: neither a certificate nor a private key but PKCS #7"),
    "pkcs7-der": ("certificate: a.p7c, key: client.key", "a.p7c: neither a certificate nor a private key but PKCS #7"),
    "base64": (
        "certificate: a.b64, key: client.key",
        "a.b64: neither a certificate nor a private key but the base64 of",
    ),
    "no-key": ("pkcs12: trust.p12, passphrase: opens it", "trust.p12: holds no private key"),
    "empty-block": ("certificate: empty.pem, key: client.key", "empty.pem: its CERTIFICATE is empty"),
    "header": ("certificate: client.crt, key: header.key", "header.key: encrypted, and no passphrase is given"),
    "vector": (
        "certificate: client.crt, key: vector.key, passphrase: opens it",
        "vector.key: the initialization vector",
    ),
}


@pytest.fixture(scope="module")
def odd_files(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    mine = issuer(tmp_path_factory, tmp_path_factory.mktemp("odd") / "mine")
    os.mkfifo(mine.path("fifo"))
    mine.write("server-chain.pem", mine.data("server.crt", "inter.crt"))
    mine.write("a.jks", b"\xfe\xed\xfe\xed\x00\x00\x00\x02\x00\x00\x00\x01")
    mine.made("a.p7b", "crl2pkcs7", "-nocrl", "-certfile", "client.crt")
    mine.made("a.p7c", "crl2pkcs7", "-nocrl", "-certfile", "client.crt", "-outform", "DER")
    mine.made("a.b64", "base64", "-in", "client.crt")
    mine.made("trust.p12", "pkcs12", "-export", "-nokeys", "-in", "client.crt", "-passout", f"pass:{PASSPHRASE}")
    mine.write("empty.pem", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    mine.made("encrypted.key", "ec", "-in", "client.key", "-aes256", "-passout", f"pass:{PASSPHRASE}")
    begin, kind, info, rest = mine.data("encrypted.key").split(b"\n", 3)
    mine.write("header.key", b"\n".join((begin, "Name: Müller".encode(), kind, info, rest)))
    mine.write("vector.key", b"\n".join((begin, kind, info[:-16], rest)))
    return mine


#: Of these, what is at fault is the certificate, which nobody can trust either.
UNTRUSTED = ("fifo", "fifo-pkcs12", "endless", "too-long", "jks", "pkcs7", "pkcs7-der", "base64", "empty-block")


def _kinds(fault: str) -> tuple[str, ...]:
    """Leaves that can't be had; a key is a key, whatever its certificate's chain is."""
    return ("odd", "issued") if fault == "fifo-chain" else ("odd", "issued", "shares")


def _scenario() -> str:
    """Every fault at both ends, and below an authority that is to issue something."""
    authorities = ["  root: {certificate: root.crt}"]
    leaves = ["  good: {certificate: server-chain.pem, key: server.key, issuer: root}"]
    servers = ["  good: {certificate: good, trust: [root]}"]
    cases = []
    for fault, (files, _) in AT_FAULT.items():
        authorities.append(f"  ca-{fault}: {{{files}}}")
        leaves += [f"  odd-{fault}: {{{files}, issuer: root}}", f"  issued-{fault}: {{issuer: ca-{fault}}}"]
        leaves.append(f"  shares-{fault}: {{issuer: self, key: {{same_as: ca-{fault}}}}}")
        told = "client_auth: none, expect: {starts: false}"
        servers += [f"  {kind}-{fault}: {{certificate: {kind}-{fault}, {told}}}" for kind in _kinds(fault)]
        given = [("", f"certificate: odd-{fault}")]
        if fault in UNTRUSTED:
            given.append(("-trust", f"trust: [ca-{fault}]"))
            servers.append(f"  trust-{fault}: {{certificate: good, trust: [ca-{fault}], expect: {{starts: false}}}}")
        for tool in ("python", "curl"):
            cases += [
                f"  - {{name: {tool}{kind}-{fault}, server: good, client: {{{what}, tool: {tool}}}, expect: client-unusable}}"
                for kind, what in given
            ]
    sections = {"authorities": authorities, "leaves": leaves, "servers": servers, "cases": cases}
    return "".join(f"{name}:\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections.items())


@pytest.fixture(scope="module")
def evidence(odd_files: Issuer) -> dict[str, str]:
    """What a run says, by its cases' names."""
    path = odd_files.path("at-fault.yaml")
    path.write_text(_scenario())
    report = path.with_suffix(".json")
    done = subprocess.run(
        [Path(sys.executable).with_name("mtls-run"), path, "--json", report],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "Traceback" not in told
    assert "panicked" not in told
    entries = json.loads(report.read_text())["cases"]
    return {entry["name"]: " ".join(entry["observed"]["evidence"]) for entry in entries}


@pytest.mark.parametrize("fault", AT_FAULT)
def test_what_nobody_can_use_is_told_and_breaks_nothing(fault: str, evidence: dict[str, str]) -> None:
    said = AT_FAULT[fault][1]
    cases = [f"server.odd-{fault}", f"python-{fault}", f"curl-{fault}"]
    if fault in UNTRUSTED:
        cases += [f"server.trust-{fault}", f"python-trust-{fault}", f"curl-trust-{fault}"]
    for case in cases:
        file, _, what = said.partition(": ")
        # of what is trusted, the end's own words stand beside the user's file
        assert file.rstrip("…") in evidence[case], case
        assert what in evidence[case] or "trust" in case, case
    for kind in _kinds(fault)[1:]:
        assert ("no private key is given for it" if fault == "no-key" else said) in evidence[f"server.{kind}-{fault}"]
