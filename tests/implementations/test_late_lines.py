"""Lines that come late, of a server whose log tells connections apart by their order only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtls_runner import Overrides, Status
from mtls_runner.deadlines import Deadline
from mtls_runner.language.implementations.reading import DIRECTORY, shipped
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import Alert, ClientView, Direction, Phase
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.runtimes.process import find_program
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.running import RunningDeclared, Started
from mtls_runner.servers.declared.view import is_over

from ..verdicts import verdicts_of
from .shipped import absent

EXPIRED = (
    "127.0.0.1:1 closed failure=TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:"
    "verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end"
)


class _Instance:
    """A program that says nothing more."""

    def __init__(self) -> None:
        self.log = LogStream((), "nothing")

    def exit_code(self) -> None:
        return None

    def signal(self, name: str) -> None:
        raise AssertionError(name)


@pytest.mark.parametrize(
    ("alert", "code", "about_it"), [("certificate_expired", 45, True), ("certificate_revoked", 44, False)]
)
def test_a_line_that_contradicts_the_servers_own_alert_is_about_another(alert: str, code: int, about_it: bool) -> None:
    envoy = shipped(DIRECTORY / "envoy" / "implementation.yaml", "envoy")
    assert envoy.server is not None
    log = ConnectionLog(envoy.server.log, by_port=False)
    server = RunningDeclared(Started(envoy, envoy.server, Address("127.0.0.1", 2), _Instance(), log, own_log=False))
    client = ClientView("python", "3", Phase.HANDSHAKE, alerts=(Alert(Direction.RECEIVED, alert, code),))
    log.feed(EXPIRED)
    _, view = server.view(client, 0, Deadline.after(1))
    assert (view is not None) is about_it


#: The real program, whose lines come one by one, as on a machine that is busy; each is read before the next is there. (What
#: waits is the shell itself, at a pipe into which nobody writes: to start ``sleep`` takes long on a busy machine.)
SLOWLY = """#!/bin/bash
case $1 in version) exec {program} "$@" ;; esac
exec 9<> <(:)
exec > >(while IFS= read -r line; do printf '%s\\n' "$line"; read -rt 0.01 -u 9; done) 2>&1
exec {program} "$@" 9>&-
"""
#: After one of whose refusals OpenSSL has two errors, those who must not be taken for it, in turns.
IN_TURNS = """\
authorities: {ca: {subject_key_identifier: null, authority_key_identifier: null}, twin: {like: ca, subject: CN=ca}}
leaves:
  server: {issuer: ca}
  good: {issuer: ca, usage: client, authority_key_identifier: null}
  forged: {like: good, issuer: twin}
  expired: {like: good, not_before: -10d, not_after: -1d}
server: {certificate: server, trust: [ca]}
cases:
  - {name: forged, client: forged, expect: {server-refused: [bad-signature, unknown-ca]}}
  - {name: expired, client: expired, expect: {server-refused: expired}}
  - {name: forged again, client: forged, expect: {server-refused: [bad-signature, unknown-ca]}}
  - {name: good, client: good, expect: accepted}
  - {name: forged once more, client: forged, expect: {server-refused: [bad-signature, unknown-ca]}}
  - {name: none, expect: {server-refused: no-certificate}}
matrix: {client.tls: [TLSv1.2, TLSv1.3]}
"""


@pytest.mark.parametrize(
    ("name", "program"), [("gunicorn", "gunicorn"), ("lighttpd", "lighttpd"), ("s_server", "openssl")]
)
def test_a_connection_is_over_with_its_last_line(
    name: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise that would be the first one of the next connection; the lab's own, at the start, is one, too."""
    if (why := absent(f"{name}-server")) is not None:
        pytest.skip(why)
    slow = tmp_path / "bin" / program
    slow.parent.mkdir()
    slow.write_text(SLOWLY.replace("{program}", find_program(program) or ""))
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    (tmp_path / "turns.yaml").write_text(IN_TURNS)
    found = verdicts_of(tmp_path / "turns.yaml", Overrides(backend=name, tool="python"))
    assert [(v.case.name, v.mismatches, v.error) for v in found if v.status is not Status.PASS] == []
    assert len(found) == 12


def test_apaches_connection_is_over_when_it_is_closed() -> None:
    """Of a bad signature it has two errors, and the code of a certificate's comes before both."""
    apache = shipped(DIRECTORY / "apache" / "implementation.yaml", "apache").server
    assert apache is not None
    refused = [
        "[pid 8:tid 140] [client 172.17.0.1:59128] AH01964: Connection to child 21 established (server host-0.invalid:443)",
        "[pid 8:tid 140] [client 172.17.0.1:59128] AH02008: SSL library error 1 in handshake (server host-0.invalid:443)",
        "[pid 8:tid 140] [client SSL Library Error: error:06880006:asn1 encoding routines::EVP lib",
        "[pid 8:tid 140] [client SSL Library Error: error:0A000086:SSL routines::certificate verify failed",
        "[pid 8:tid 140] [client 172.17.0.1:59128] AH01998: Connection closed to child 21 with abortive shutdown",
    ]
    assert [is_over(apache, refused[:number]) for number in range(6)] == [False] * 5 + [True]
    assert is_over(apache, ["[pid 8:tid 140] [client 172.17.0.1:5] status=200 request=<GET / HTTP/1.1> tls=TLSv1.3"])


#: Answers as each program has them called, from several threads; where nothing is buffered, print() writes twice.
_CALLED = """\
import asyncio, sys, threading
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
from answer import app
def gunicorn():
    tls = SimpleNamespace(getpeercert=lambda _: b"", version=lambda: "TLSv1.3", cipher=lambda: ("c",))
    app({"gunicorn.socket": tls, "REQUEST_METHOD": "GET", "RAW_URI": "/", "PATH_INFO": "/"}, lambda *_: None)
def granian():
    async def send(_): pass
    asyncio.run(app({"query_string": b"", "raw_path": b"/", "path": "/", "client": ("", 7), "method": "GET"}, None, send))
threads = [threading.Thread(target=lambda: [globals()[sys.argv[2]]() for _ in range(300)]) for _ in range(4)]
[one.start() for one in threads]
"""


@pytest.mark.parametrize("name", ["granian", "gunicorn"])
def test_an_application_writes_each_line_in_one_piece(name: str, tmp_path: Path) -> None:
    """``PYTHONUNBUFFERED`` is set in many an image."""
    answers: list[object] = [{"path": None, "body_file": None, "headers": [], "content_type": None, "status": 200}]
    (tmp_path / "lab.json").write_text(json.dumps({"responses": answers}))
    environment = {**os.environ, "LAB_FILE": str(tmp_path / "lab.json"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", _CALLED, str(DIRECTORY / name), name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 1200
    assert len(set(lines)) == 1
