"""A proxy is a client of a server of the file: what that saw of it, and what can't be written."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from mtls_runner import ScenarioError, load
from mtls_runner.cli import main
from mtls_runner.model.endpoint import Address
from mtls_runner.runtimes import listening
from mtls_runner.runtimes.ports import reserved_port

from ..container_engine import IMAGE, absent, not_here

ROOT = Path(__file__).parents[2] / "scenarios" / "connections"


STATUS = {"proxy": (502,), "proxy-haproxy": (502, 503), "proxy-envoy": (503,)}


@pytest.fixture(autouse=True)
def images(monkeypatch: pytest.MonkeyPatch) -> None:
    for image, variable in ((IMAGE, "IMAGE"), ("mtls-run/haproxy", "IMAGE_HAPROXY"), ("mtls-run/envoy", "IMAGE_ENVOY")):
        image = os.environ.get(f"MTLS_RUN_{variable}", image)
        why = absent(image)
        if why is not None:
            not_here(why)
        monkeypatch.setenv(f"MTLS_RUN_{variable}", image)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path


def _seen(path: Path, *options: str, code: int = 0) -> list[dict[str, Any]]:
    report = path.with_suffix(".json")
    assert main([*options, str(path), "--json", str(report)]) == code
    cases: list[dict[str, Any]] = json.loads(report.read_text())["cases"]
    return cases


@pytest.mark.parametrize("name", STATUS)
def test_what_the_application_saw_of_the_proxy(name: str, here: Path) -> None:
    for file in ROOT.glob(f"{name}.*"):
        shutil.copy(file, here)
    seen = {case["name"]: case["observed"] for case in _seen(here / f"{name}.yaml")}
    stale = seen["the proxy's own certificate is stale"]
    assert stale["status"] in STATUS[name]
    assert stale["upstream"] == {"outcome": "server-refused", "reason": "expired"}
    assert any("upstream (app): server refused the client: expired" in line for line in stale["evidence"])
    assert "; upstream (app): server refused the client: expired" in stale["summary"]
    assert "upstream" not in seen["the application knows the proxy"]["summary"]
    # what it was asked for, too
    assert ["user-agent", "mtls-run"] in seen["the application knows the proxy"]["upstream_headers"]
    wrong = (here / f"{name}.yaml").read_text().replace("{server-refused: expired}", "{server-refused: revoked}")
    (here / "wrong.yaml").write_text(wrong)
    (failed,) = [case for case in _seen(here / "wrong.yaml", "-k", "stale", code=1) if case["verdict"] == "fail"]
    assert [(one["path"], one["expected"], one["observed"]) for one in failed["mismatches"]] == [
        ("upstream.reason", "revoked", "expired")
    ]


@pytest.mark.parametrize("name", STATUS)
def test_as_a_process_of_this_machine(name: str, here: Path) -> None:
    with reserved_port(here / "locks") as port:
        for file in ROOT.glob(f"{name}.*"):
            text = file.read_text()
            if name != "proxy":
                text = re.sub("/etc/(haproxy|envoy/tls)/", "", text)
                text = text.replace("    port: 8443\n", "").replace("    config:", f"    port: {port}\n    config:")
                text = text.replace("bind :443", f"bind 127.0.0.1:{port}")
                text = text.replace("0.0.0.0, port_value: 8443", f"127.0.0.1, port_value: {port}")
            (here / file.name).write_text(text)
        path = here / f"{name}.yaml"
        assert all(case["verdict"] == "pass" for case in _seen(path, "--allow-commands", "--runtime", "process"))


NAMED = """\
ca: {subject: CN=Root}
leaves:
  server: {}
  app: {san: NAME}
servers:
  app: {certificate: app, client_auth: none}
  edge:
    backend: nginx
    config: nginx.conf
    certificate: server
    client_auth: none
    upstreams: {app: app}
    files: {/s.crt: leaves.server.certificate, /s.key: leaves.server.key, /ca.crt: ca.certificate}
cases: [{name: asked, server: edge, expect: {outcome: accepted, status: 200}}]
"""


@pytest.mark.parametrize("runtime", ["process", "container"])
@pytest.mark.parametrize(("upstream", "port"), [("app", ""), ("app", ":9443"), ("'app:9443'", ":9443")])
def test_a_name_that_nginx_looks_for_in_the_certificate_stays(
    runtime: str, upstream: str, port: str, here: Path
) -> None:
    """``proxy_ssl_name`` is ``$proxy_host`` unless it is set: what ``proxy_pass`` says, wherever the application is."""
    (here / "nginx.conf").write_text(
        "server { listen 443 ssl; ssl_certificate /s.crt; ssl_certificate_key /s.key; location / {"
        f" proxy_pass https://app{port}; proxy_ssl_verify on; proxy_ssl_trusted_certificate /ca.crt; }} }}"
    )
    for name, code in (("app", 0), ("elsewhere", 1)):
        text = NAMED.replace("NAME", name).replace("upstreams: {app:", f"upstreams: {{{upstream}:")
        (here / "named.yaml").write_text(text)
        (case,) = _seen(here / "named.yaml", "--allow-commands", "--runtime", runtime, code=code)
        assert case["observed"]["status"] == (502 if code else 200)


TWO_PORTS = """\
ca: {}
leaves: {server: {}, app: {san: NAME}}
servers:
  one: {certificate: app, client_auth: none, response: {body: one}}
  two: {certificate: app, client_auth: none, response: {body: two}}
  edge:
    backend: nginx
    config: nginx.conf
    certificate: server
    client_auth: none
    upstreams: {app: one, "app:9443": two}
    files: {/s.crt: leaves.server.certificate, /s.key: leaves.server.key, /ca.crt: ca.certificate}
  front: {like: edge, config: plain.conf, upstreams: ["app:8080", "app:9090"], response: {body: stub}}
cases:
  - {name: "8443", server: edge, client: {request: {path: /1}}, expect: {outcome: accepted, status: 200, body: one}}
  - {name: "9443", server: edge, client: {request: {path: /2}}, expect: {outcome: accepted, status: 200, body: two}}
  - {name: "8080", server: front, client: {request: {path: /1}}, expect: {outcome: accepted, status: 200, body: stub}}
  - {name: "9090", server: front, client: {request: {path: /2}}, expect: {outcome: accepted, status: 200, body: stub}}
"""
_EDGE = "server { listen 443 ssl; ssl_certificate /s.crt; ssl_certificate_key /s.key;"


@pytest.mark.parametrize("runtime", ["process", "container"])
def test_one_name_has_several_ports(runtime: str, here: Path) -> None:
    """What is behind each of them is another server; its certificate has to have the name all the same."""
    (here / "nginx.conf").write_text(
        f"{_EDGE} proxy_ssl_verify on; proxy_ssl_trusted_certificate /ca.crt; location /1 {{ proxy_pass https://app:8443; }}"
        " location /2 { proxy_pass https://app:9443; } }"
    )
    (here / "plain.conf").write_text(
        f"{_EDGE} location /1 {{ proxy_pass http://app:8080; }} location /2 {{ proxy_pass http://app:9090; }} }}"
    )
    for name, code in (("app", 0), ("elsewhere", 1)):
        (here / "ports.yaml").write_text(TWO_PORTS.replace("NAME", name))
        seen = _seen(here / "ports.yaml", "--allow-commands", "--runtime", runtime, code=code)
        assert [case["observed"]["status"] for case in seen] == [502 if code else 200] * 2 + [200] * 2


def test_over_grpc_the_name_stays_too(here: Path) -> None:
    """``grpc_ssl_name`` is what ``grpc_pass`` says, too, unless it is set."""
    over_grpc = (
        TWO_PORTS.partition("  front:")[0]
        + "cases:"
        + TWO_PORTS.partition("cases:")[2].partition('  - {name: "8080"')[0]
    )
    over_grpc = over_grpc.replace("{certificate: app", "{backend: nginx, alpn: h2, certificate: app")
    for name, said, status in (("app", "", 200), ("elsewhere", "", 502), ("app", "grpc_ssl_name elsewhere;", 502)):
        (here / "nginx.conf").write_text(
            f"{_EDGE} grpc_ssl_verify on; grpc_ssl_trusted_certificate /ca.crt; location /1 {{ grpc_pass grpcs://app:8443; }}"
            f" location /2 {{ {said} grpc_pass grpcs://app:9443; }} }}"
        )
        (here / "grpc.yaml").write_text(over_grpc.replace("NAME", name))
        seen = _seen(here / "grpc.yaml", "--allow-commands", "--runtime", "process", code=int(status != 200))
        assert [case["observed"]["status"] for case in seen] == [200 if name == "app" else 502, status]


@pytest.mark.parametrize(("answer", "unheard"), [('return 200 "its own";', True), ("proxy_pass https://app;", False)])
def test_who_says_nothing_behind_a_proxy_that_answered_is_told(here: Path, answer: str, *, unheard: bool) -> None:
    (here / "nginx.conf").write_text(
        "server { listen 443 ssl; ssl_certificate /s.crt; ssl_certificate_key /s.key; location / {" + answer + "} }"
    )
    (here / "named.yaml").write_text(NAMED.replace("NAME", "app"))
    (case,) = _seen(here / "named.yaml", "--allow-commands", "--runtime", "process")
    assert any("upstream (app): not asked, or over" in line for line in case["observed"]["evidence"]) is unheard


def test_a_configuration_that_connects_to_no_such_upstream(here: Path) -> None:
    for file in ROOT.glob("proxy-haproxy.*"):
        (here / file.name).write_text(file.read_text().replace("{app: app}", "{elsewhere: app}"))
    cases = _seen(here / "proxy-haproxy.yaml", code=3)
    assert all("proxy-haproxy.cfg connects to no elsewhere" in case["error"] for case in cases)


@pytest.mark.parametrize(("tls", "code", "status"), [("", 0, 200), (" ssl verify none", 1, 503)])
def test_a_stub_in_the_clear_stands_behind_others_too(here: Path, tls: str, code: int, status: int) -> None:
    wanted = "expect: {outcome: accepted, upstream_headers: {host: {contains: localhost}}}"
    text = (ROOT / "proxy-haproxy.yaml").read_text().replace("{app: app}", "[app]")
    (here / "proxy-haproxy.yaml").write_text(re.sub(r"expect: \{.*", wanted, text))
    configuration = (ROOT / "proxy-haproxy.cfg").read_text()
    (here / "proxy-haproxy.cfg").write_text(re.sub(r"(server app app:8443).*", rf"\1{tls}", configuration))
    (case,) = _seen(here / "proxy-haproxy.yaml", "-k", "knows", code=code)
    assert case["observed"]["status"] == status
    assert (case["observed"]["upstream_headers"] is None) == (code == 1)


@pytest.mark.parametrize(("whom", "code"), [("proxy", 0), ("other", 1)])
@pytest.mark.parametrize("backend", ["envoy", "stunnel"])
def test_a_connection_that_the_proxy_keeps_is_told_with_each_request(
    here: Path, backend: str, whom: str, code: int
) -> None:
    """stunnel logs no requests: the application behind it tells of them."""
    shutil.copy(ROOT / "proxy-kept.conf", here)
    text = (ROOT / "proxy-kept.yaml").read_text().replace("backend: envoy", f"backend: {backend}")
    first, mark, rest = text.rpartition("used by the next")
    (here / "kept.yaml").write_text(first + mark + rest.replace("CN=proxy", f"CN={whom}"))
    (case,) = _seen(here / "kept.yaml", "-k", "Envoy", code=code)
    assert [(one["step"], one["path"]) for one in case["mismatches"]] == [(2, "upstream.client_subject")] * code


def test_nobody_else_comes_through_the_port_that_a_container_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        with listening.Relay("127.0.0.1", 0, Address(*server.getsockname()), guarded=True) as port:
            with socket.create_connection(("127.0.0.1", port.address.port), 10) as stranger:
                port.admit("127.0.0.2")
                assert stranger.recv(1) == b""
            with socket.create_connection(("127.0.0.1", port.address.port), 10, ("127.0.0.2", 0)) as guest:
                guest.sendall(b"here")
                with server.accept()[0] as accepted:
                    assert accepted.recv(4) == b"here"


def test_who_still_waits_at_a_port_that_is_given_up_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_ADMISSION_SECONDS", 600.0)  # as long as a container may take
    with socket.create_server(("127.0.0.1", 0)) as server:
        with listening.Relay("127.0.0.1", 0, Address(*server.getsockname()), guarded=True) as port:
            before = set(threading.enumerate())
            person = socket.create_connection(("127.0.0.1", port.address.port), 60)
            while not set(threading.enumerate()) - before:  # it is accepted
                threading.Event().wait(0.01)
        with person:
            assert person.recv(1) == b""
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


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


def test_openssl_s_server_says_the_same_of_the_proxy(here: Path) -> None:
    for name in ("proxy.yaml", "proxy.conf"):
        shutil.copy(ROOT / name, here)
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
            assert main(["served.yaml"]) == 0
        finally:
            running.terminate()
        said = running.stdout.read()
    assert "certificate has expired" in said
    assert "peer did not return a certificate" in said
