"""Paths with demands of their own, and who a client is: as openssl prints it, and as other clients are told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mtls_runner.cli import main

SCENARIO = """\
ca: {subject: CN=Root}
leaves:
  server: {usage: server}
  client: {subject: "CN=client,OU=A,OU=B", usage: client}
server:
  client_auth: MODE
  trust: ca
  responses: {/%61pi: {client_auth: required}, /who: {identity: true}, "/a%20b%C3%A9": {headers: {X-Place: "Zürich, 東京"}}}
  refusal: REFUSAL
cases:
  - {name: who, client: {certificate: client, request: {path: /who}}, expect: accepted}
  - {name: open, client: {}, expect: accepted}
  - {name: encoded, client: {request: {path: "/%61%20b%c3%a9"}}, expect: {outcome: accepted, headers: {x-place: "Zürich, 東京"}}}
  - {name: not encoded, client: {request: {path: /a+b}}, expect: {outcome: accepted, headers: {x-place: null}}}
  - {name: closed, client: {request: {path: /api}}, expect: {server-refused: no-certificate}}
"""


@pytest.fixture
def observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path


def _run(mode: str, refusal: str) -> dict[str, dict[str, object]]:
    Path("paths.yaml").write_text(SCENARIO.replace("MODE", mode).replace("REFUSAL", refusal))
    assert main(["paths.yaml", "--json", "report.json", "--keep", "kept"]) == 0
    return {case["name"]: case["observed"] for case in json.loads(Path("report.json").read_text())["cases"]}


def test_who_a_client_is(observed: Path) -> None:
    seen = _run("optional", "{status: 302, headers: {location: /login}}")
    who = json.loads(str(seen["who"]["body"]))
    (certificate,) = [path for path in observed.glob("kept/**/*.crt") if path.stem.startswith("client")][:1]
    told = subprocess.run(
        [
            "openssl",
            "x509",
            "-in",
            certificate,
            "-noout",
            "-serial",
            "-fingerprint",
            "-sha256",
            "-subject",
            "-nameopt",
            "RFC2253",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    lines = dict(line.partition("=")[::2] for line in told.splitlines())
    assert who["serial"] == lines["serial"]
    assert who["fingerprint"] == lines["sha256 Fingerprint"].replace(":", "")
    assert sorted(str(who["subject"]).split(",")) == sorted(lines["subject"].strip().split(","))
    assert (seen["closed"]["status"], dict(seen["closed"]["headers"])["location"]) == (302, "/login")  # type: ignore[call-overload]
    assert seen["open"]["status"] == 200


def test_nobody_is_anybody_where_none_is_asked(observed: Path) -> None:
    seen = _run("none", "{status: 401}")
    assert json.loads(str(seen["who"]["body"])) is None
    assert seen["closed"]["status"] == 401
    assert observed.is_dir()
