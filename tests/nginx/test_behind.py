"""A proxy is a client of a server of the file: what that saw of it, and what can't be written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mtls_runner import ScenarioError, load
from mtls_runner.cli import main

ROOT = Path(__file__).parents[2] / "scenarios" / "connections"


@pytest.mark.usefixtures("nginx_program")
def test_what_the_application_saw_of_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    for name in ("proxy.yaml", "proxy.conf"):
        shutil.copy(ROOT / name, name)
    assert main(["--allow-commands", "proxy.yaml", "--json", "right.json"]) == 0
    seen = {case["name"]: case["observed"] for case in json.loads(Path("right.json").read_text())["cases"]}
    stale = seen["the proxy's own certificate is stale"]
    assert stale["upstream"] == {"outcome": "server-refused", "reason": "expired"}
    assert any("upstream (app): server refused the client: expired" in line for line in stale["evidence"])
    # nginx's own word for it, without the reason
    assert any("SSL_do_handshake() failed" in line or "upstream" in line for line in stale["server_log"])
    wrong = Path("proxy.yaml").read_text().replace("{server-refused: expired}", "{server-refused: revoked}")
    Path("wrong.yaml").write_text(wrong)
    assert main(["--allow-commands", "wrong.yaml", "--json", "wrong.json"]) == 1
    (failed,) = [case for case in json.loads(Path("wrong.json").read_text())["cases"] if case["verdict"] == "fail"]
    assert [(one["path"], one["expected"], one["observed"]) for one in failed["mismatches"]] == [
        ("upstream.reason", "revoked", "expired")
    ]


def test_without_consent_it_is_a_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTLS_RUN_ALLOW_COMMANDS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main([str(ROOT / "proxy.yaml"), "--json", "report.json"]) == 5
    cases = json.loads(Path("report.json").read_text())["cases"]
    assert all("a process of this machine" in case["skip_reason"] for case in cases)


@pytest.mark.parametrize(
    ("upstreams", "message"),
    [("{app: ap}", "there is no server 'ap'"), ("{app: edge}", "a server can't be behind itself")],
)
def test_what_can_not_be_behind(tmp_path: Path, upstreams: str, message: str) -> None:
    text = (ROOT / "proxy.yaml").read_text().replace("{app: app}", upstreams)
    shutil.copy(ROOT / "proxy.conf", tmp_path / "proxy.conf")
    path = tmp_path / "proxy.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    found = [one for one in caught.value.diagnostics if message in one.message]
    assert found
    assert found[0].span is not None
    assert text.splitlines()[found[0].span.line - 1].strip().startswith("upstreams:")


SERVED = """\
leaves:
  server: {certificate: forged/leaves/server.crt, key: forged/leaves/server.key}
  proxy: {certificate: forged/leaves/proxy.crt, key: forged/leaves/proxy.key}
  stale: {certificate: forged/leaves/stale.crt, key: forged/leaves/stale.key}
"""


@pytest.mark.usefixtures("nginx_program")
def test_openssl_s_server_says_the_same_of_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    for name in ("proxy.yaml", "proxy.conf"):
        shutil.copy(ROOT / name, name)
    assert main(["forge", "proxy.yaml", "-o", "forged"]) == 0
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-Verify", "1", "-verify_return_error"]
    command += [
        "-CAfile",
        "forged/authorities/ca.crt",
        "-cert",
        "forged/leaves/app.crt",
        "-key",
        "forged/leaves/app.key",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        try:
            line = next(line for line in running.stdout if line.startswith("ACCEPT "))
            text = Path("proxy.yaml").read_text()
            text = text.replace(
                "{certificate: app, trust: ca, response: {body: the application}}",
                f"{{backend: external, address: '{line.split()[1]}'}}",
            )
            text = re.sub(r"leaves:\n(  .*\n)+", SERVED, text).replace(
                "ca: {subject: CN=Root}", "ca: {certificate: forged/authorities/ca.crt}"
            )
            text = re.sub(r", body: the application, upstream: \{[^}]*\}", "", text)
            text = re.sub(r"\{status: 502, upstream: [^}]*\}\}", "{outcome: accepted, status: 502}", text)
            text = re.sub(r"  - name: a session of another(.*\n)+?(?=  - name: the proxy has)", "", text)
            Path("served.yaml").write_text(text)
            assert main(["--allow-commands", "served.yaml"]) == 0
        finally:
            running.terminate()
        said = running.stdout.read()
    assert "certificate has expired" in said
    assert "peer did not return a certificate" in said
