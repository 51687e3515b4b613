"""Redirects that are followed: what both clients do is what curl --location itself does at the same servers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from mtls_runner import load
from mtls_runner.deadlines import Deadline
from mtls_runner.engine.lab import Lab
from mtls_runner.language import Overrides
from mtls_runner.model.case import satisfies
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.verdict import Status
from mtls_runner.pki.keys import KeyPool

from ..http_server import Handler, served
from .conftest import Run

_LAB = """\
ca: {}
leaves:
  shop: {usage: server, san: localhost}
  partner: {usage: server, san: partner.example}
  client: {subject: CN=client, usage: client}
servers:
  shop:
    certificate: shop
    responses:
      /same: {status: 301, headers: {Location: "/there?a=1"}}
      /relative/path: {status: 302, headers: {Location: "../there"}}
      /away/302: {status: 302, headers: {Location: "https://partner.example/who"}}
      /away/303: {status: 303, headers: {Location: "https://partner.example/who"}}
      /away/307: {status: 307, headers: {Location: "//partner.example:8443/who"}}
      /unlisted: {status: 302, headers: {Location: "https://elsewhere.example/"}}
      /nothing: {status: 302}
      /two: {status: 302, headers: {location: "", Location: /first, LOCATION: /second}}
      /spelled: {status: 302, headers: {Location: "/a b/ä?c d"}}
      /slash: {status: 302, headers: {Location: "https:/partner.example:8443/who"}}
      /slashes: {status: 302, headers: {Location: "https:///partner.example:8443/who"}}
      /no/slash: {status: 302, headers: {Location: "https:partner.example:8443/who"}}
      /no/url: {status: 302, headers: {Location: "https://partner.example:99999/"}}
      /no/host: {status: 302, headers: {Location: "https://a b/"}}
      /ftp: {status: 302, headers: {Location: "ftp://partner.example/"}}
  partner: {certificate: partner, client_auth: optional, responses: {/who: {identity: true}}}
cases:
"""
_CASES = {
    "same": ("GET", "/same"),
    "relative": ("GET", "/relative/path"),
    "302 of GET": ("GET", "/away/302"),
    "302 of POST": ("POST", "/away/302"),
    "303 of POST": ("POST", "/away/303"),
    "307 of POST": ("POST", "/away/307"),
    "HEAD": ("HEAD", "/away/303"),
    "unlisted": ("GET", "/unlisted"),
    "nothing": ("GET", "/nothing"),
    "the first that is not empty": ("GET", "/two"),
    "encoded": ("GET", "/spelled"),
    "a slash too few": ("GET", "/slash"),
    "a slash too many": ("GET", "/slashes"),
    "no slash": ("GET", "/no/slash"),
    "no URL": ("GET", "/no/url"),
    "no host": ("GET", "/no/host"),
    "not HTTP": ("GET", "/ftp"),
}


def _case(name: str) -> str:
    method, path = _CASES[name]
    body = ", body: hello" if method == "POST" else ""
    client = f"certificate: client, location: {{partner.example: partner}}, request: {{method: {method}, path: {path}{body}}}"
    return f"  - {{name: {name}, server: shop, expect: accepted, client: {{{client}}}}}\n"


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_as_curl_goes(tmp_path: Path, tool: str) -> None:
    file = tmp_path / "redirects.yaml"
    file.write_text(_LAB + "".join(map(_case, _CASES)))
    plan = load(file, Overrides(tool=tool))
    with Lab(plan, pool=KeyPool()) as lab:
        for case in plan.cases:
            client = case.client
            assert client is not None
            shop, partner = lab.server(case.server), lab.server(dict(client.location or ())["partner.example"])
            seen = lab.run(case).observation
            assert seen is not None
            own = lab.material.presented("client", client.chain)
            before = shop.arrived(), partner.arrived()
            method = {"HEAD": ["--head"], "POST": ["--data", "hello"]}.get(client.request.method, [])
            url = f"https://localhost:{shop.address.port}{client.request.path}"
            done = subprocess.run(
                [
                    *("curl", "--disable", "--silent", "--location", "--cacert", str(lab.material.bundle(["ca"]))),
                    *("--cert", str(own.certificate), "--key", str(own.key), *method, "--noproxy", "*"),
                    *("--connect-to", f"localhost:{shop.address.port}:{shop.address}"),
                    *("--connect-to", f"partner.example::{partner.address}", "--connect-to", "::127.0.0.1:1"),
                    *("--proto-redir", "=http,https"),
                    *("--output", str(tmp_path / "body"), "--write-out", "%{json}", url),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            told = json.loads(done.stdout)
            if done.returncode == 8:  # curl 8.17 and later: several that differ
                assert (seen.curl_exit, seen.redirects) == ((8, 0) if tool == "curl" else (0, 1))
                continue
            not_gone = done.returncode in (1, 3)  # no URL of HTTP: curl counts it, too
            assert seen.redirects == told["num_redirects"] - not_gone, case.name
            assert (seen.status or 0) == (told["http_code"] if not_gone or not done.returncode else 0), case.name
            assert seen.curl_exit == done.returncode, case.name
            if done.returncode == 0:
                away = "partner." in told["url_effective"]
                if away and tool == "python" and satisfies(told["curl_version"].partition("/")[2], ">=8.21"):
                    continue  # that curl keeps its certificate
                if client.request.method != "HEAD":
                    assert seen.body == (tmp_path / "body").read_bytes(), case.name
                asked, earlier = (partner, before[1]) if away else (shop, before[0])
                last = asked.seen(earlier, Deadline.after(5))[-1]
                assert last.request is not None
                assert seen.server is not None
                assert seen.server.request is not None
                mine, curls = seen.server.request, last.request
                assert (mine.method, unquote(mine.path)) == (curls.method, unquote(curls.path)), case.name
                assert dict(mine.headers).get("content-length") == dict(curls.headers).get("content-length"), case.name
                assert seen.client_subject == last.client_subject, case.name
                assert tool == "curl" or seen.client_subject == "CN=client", case.name


_NEWER = """\
#!/bin/sh
for one do
  shift
  case $one in
    --version) curl --version | sed -E '1s/[0-9]+([.][0-9]+)+/8.21.0/'; exit ;;
    --trace-config) skip=1 ;;
    *) [ "$skip" ] && skip= || set -- "$@" "$one" ;;
  esac
done
exec curl "$@"
"""


def test_whether_it_takes_its_certificate_along_is_seen_not_known_by_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A curl that only says that it is one of those that don't, from 8.21 on."""
    newer, file = tmp_path / "newer", tmp_path / "redirects.yaml"
    newer.write_text(_NEWER)
    newer.chmod(0o755)
    monkeypatch.setenv("MTLS_RUN_CURL", str(newer))
    file.write_text(_LAB.replace("optional", "required") + _case("302 of GET"))
    plan = load(file, Overrides(tool="curl"))
    with Lab(plan, pool=KeyPool()) as lab:
        seen = lab.run(plan.cases[0]).observation
    assert seen is not None
    assert seen.client is not None
    assert seen.client.tool_version == "8.21.0"
    took = seen.outcome is Outcome.ACCEPTED
    assert (seen.client_chain == ("client", "ca")) is took, seen
    assert any("its certificate" in line and "host" in line for line in seen.evidence) is not took
    assert took or seen.reasons == (Reason.NO_CERTIFICATE,)


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_the_scenario(run: Run, tool: str) -> None:
    text = Path(__file__).parents[2].joinpath("scenarios/connections/redirects.yaml").read_text()
    ran = run(text, "--tool", tool)
    assert ran.code == 0, ran.output
    ran = run(
        text.replace("redirects: 1\n      body: the partner", "redirects: 0\n      body: the shop"),
        "--tool",
        tool,
        "-k",
        "knows",
    )
    assert {one["path"] for one in ran.case["mismatches"]} >= {"redirects"}


def test_what_is_no_way(run: Run) -> None:
    for client, message in {
        "{location: {a.example: nobody}}": "there is no server 'nobody'",
        "{location: yes}": "this is not a way to follow redirects",
        "{protocol: tcp, location: true}": "a client that speaks tcp has no use for 'location'",
    }.items():
        ran = run(f"{_LAB}  - {{name: one, server: shop, client: {client}, expect: accepted}}\n")
        assert ran.code == 2
        assert message in ran.output
    steps = "steps: [{name: a, expect: accepted}, {reuse: a, expect: accepted}]"
    ran = run(f"{_LAB}  - {{name: one, server: shop, client: {{certificate: client, location: true}}, {steps}}}\n")
    assert "a client that follows redirects keeps no connection" in ran.output
    ran = run(
        f"{_LAB}  - {{name: one, server: shop, client: {{certificate: client, location: true, tool: go}}, expect: accepted}}\n"
    )
    assert "go follows no redirects" in ran.output
    assert ran.case["verdict"] == Status.SKIP


class _Hasty(Handler):
    """Redirects once, and closes behind each answer without having said so."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(302 if self.path == "/" else 200, {"Location": "/next"})
        self.close_connection = True


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_a_connection_that_is_closed_by_then_is_made_anew(run: Run, tool: str) -> None:
    with served(_Hasty) as address:
        ran = run(
            "ca: {}\nleaves: {server: {}}\n"
            f"server: {{backend: external, address: '{address}', certificate: server}}\n"
            "cases: [{name: a, client: {protocol: http, location: true}, expect: {outcome: accepted, redirects: 1}}]\n",
            "--tool",
            tool,
        )
    assert ran.code == 0, ran.output
