"""What a person's own program prints of the passphrase and the key that it was given is in no report; it is read all the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Cli

PASSPHRASE = "open sesame, barley"
SHORT = "hush"

PROGRAM = """\
import os, re, subprocess, sys
kind, passphrase, key, *command = sys.argv[1:]
secret, pem = open(passphrase).read().rstrip("\\n"), open(key).read()
def spill(end):
    print("begun", secret, repr(secret), flush=True)
    print(pem[: len(pem) // 2], flush=True)
    print("where there is no -----BEGIN PRIVATE KEY----- to be found", flush=True)
    print(pem.strip(), flush=True)
    print("one line:", pem.replace("\\n", ""), *pem.split("\\n")[1:-2], flush=True)
    print(*(f"2026 [{secret}] {line}" for line in pem.split("\\n")[1:-2]), sep="\\n", flush=True)
    print(f"{end} ({secret})", flush=True)
if kind == "server":
    spill("ready")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for line in running.stdout:
            if ":error:" in line:
                print(f"turned away by {secret}: nobody came", flush=True)
            elif re.match("[A-Z]+ \\\\S+ HTTP/1", line):
                spill("asked")
                print(line, end="", flush=True)
            else:
                print(line, end="", flush=True)
elif kind == "silent":
    spill("gave up")
    sys.exit(3)
else:
    spill("not mine")
    sys.exit(3)
"""
DECLARATION = """\
name: NAME
needs: {module: ssl}
server:
  command: ['{{program}}', '{{declaration}}/run.py', KIND, '{{passphrase}}', '{{key}}', openssl, s_server, -brief,
            -accept, '{{address}}', -cert, '{{leaf}}', -key, '{{key}}', -pass, 'file:{{passphrase}}',
            -CAfile, '{{trust}}', -Verify, '9', -verify_return_error]
  dialect: openssl
  answers: stdin
  honours: {settings: [passphrase]}
  log:
    facts: ['^(?P<method>[A-Z]+) (?P<path>\\S+) HTTP/1\\.\\d$']
    refused: [{match: 'turned away by SECRET: nobody came', reasons: no-certificate, source: its own}]
    ended: 'turned away|HTTP/1'
  start:
    - {match: 'not mine \\(SECRET\\)', reasons: key-mismatch, source: its own}
client:
  command: ['{{program}}', '{{declaration}}/run.py', silent, '{{passphrase}}', '{{key}}']
  dialect: openssl
  honours: {settings: [passphrase]}
  start:
    - {match: 'gave up \\(SECRET\\)', reasons: key-mismatch, source: its own}
"""
SCENARIO = """\
name: a server that prints
ca: {subject: CN=Root}
leaves:
  server: {usage: server, passphrase: 'SECRET'}
  client: {usage: client, passphrase: 'SECRET'}
server: {backend: KIND, certificate: server, passphrase: 'SECRET', trust: [ca]}
cases:
"""
CASES = """\
  - {name: read, client: {tool: python}, expect: {server-refused: no-certificate}}
  - {name: heard, client: client, expect: {outcome: accepted, server_log: {matches: 'asked \\([^*]+\\)'}}}
  - {name: unheard, client: client, expect: {outcome: accepted, server_log: {contains: nothing of the kind}}}
  - {name: own, client: {tool: server, certificate: client}, expect: accepted}
"""


ONE = "  - {name: one, client: client, expect: accepted}\n"


@pytest.mark.parametrize(
    ("kind", "passphrase", "cases", "found"),
    [
        ("server", PASSPHRASE, CASES, "server refused the client: no-certificate"),
        ("silent", SHORT, ONE, "its last words: gave up (***)"),
        ("told", PASSPHRASE, "  []\n", "server did not start: key-mismatch"),
    ],
)
def test_what_it_prints_is_shown_without_secrets(
    cli: Cli, write: Callable[[str, str], Path], kind: str, passphrase: str, cases: str, found: str
) -> None:
    write("lab.yaml", "{}")
    folder = cli.directory / "implementations" / kind
    folder.mkdir(parents=True)
    write(f"implementations/{kind}/run.py", PROGRAM)
    declaration = DECLARATION.replace("gave up", "gave up" if kind == "server" else "no such")
    for name, value in (("NAME", kind), ("KIND", kind), ("SECRET", passphrase)):
        declaration = declaration.replace(name, value)
    write(f"implementations/{kind}/implementation.yaml", declaration)
    text = (SCENARIO + cases).replace("KIND", kind).replace("SECRET", passphrase)
    if kind == "told":
        text = text.replace("trust: [ca]}", "trust: [ca], expect: {starts: false, reason: key-mismatch}}")
    write("scenario.yaml", text)
    reports = ["--json", "report.json", "--junit", "report.xml", "--html", "report.html"]
    done = cli("scenario.yaml", "--allow-commands", "-v", "--keep", "kept", *reports)
    assert done.returncode == {"server": 1, "silent": 3, "told": 0}[kind], done.stdout + done.stderr
    assert found in done.stdout
    if kind == "server":  # what is compared, and read by patterns, is what was printed
        assert [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("  ✓")] == [
            ["✓", "read"],
            ["✓", "heard"],
        ]
        assert "client unusable: key-mismatch" in done.stdout
        assert "server_log: expected contains nothing of the kind, observed [" in done.stdout
        assert "* log: begun *** '***'" in done.stdout
        assert "* log: where there is no -----BEGIN PRIVATE KEY----- to be found" in done.stdout
        assert "* log: one line: -----BEGIN ENCRYPTED PRIVATE KEY-----***-----END" in done.stdout
    told = [done.stdout, done.stderr, *((cli.directory / name).read_text() for name in reports[1::2])]
    keys = [path.read_text() for path in (cli.directory / "kept").rglob("*.key")]
    lines = {line for key in keys for line in key.split("\n") if re.fullmatch(r"[A-Za-z0-9+/]{8,}=*", line)}
    assert len(lines) > len(keys) > 0
    for shown in told:
        assert passphrase not in shown
        assert not [line for line in lines if line in shown]
    assert all("***" in shown for shown in (told[2], told[4]))


def test_what_a_program_of_the_labs_says_stays_as_it_is(cli: Cli, write: Callable[[str, str], Path]) -> None:
    """A word of its sentences may be a passphrase: it prints none."""
    write(
        "scenario.yaml",
        """\
name: words
ca: {subject: CN=Root}
leaves: {server: {passphrase: peer}}
server: {backend: s_server, certificate: server, trust: [ca]}
cases: [{name: none, expect: {server-refused: no-certificate}}]
""",
    )
    done = cli("scenario.yaml", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "peer did not return a certificate" in done.stdout
    assert "***" not in done.stdout
