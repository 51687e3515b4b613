"""Several requests on one connection: by nginx's own log, by curl's own count of its connections, and through the front door."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from mtls_runner import load
from mtls_runner.engine.lab import Lab
from mtls_runner.model import Reason
from mtls_runner.model.verdict import Status
from mtls_runner.pki.keys import KeyPool

from .conftest import LAB, Run

KEPT = (
    LAB
    + """\
cases:
  - name: three requests
    client: client
    steps:
      - {name: first, expect: {outcome: accepted, client_subject: CN=client}}
      - {reuse: first, connect: {request: {path: /second}}, expect: {outcome: accepted, client_subject: CN=client}}
      - {reuse: true, connect: {repeat: 2}, expect: {outcome: accepted, client_subject: CN=client}}
      - {name: afresh, expect: {outcome: accepted, client_subject: CN=client}}
"""
)
_CONNECTION = re.compile(r'"connection": ?"(\d+)"')
_SUMMARIES = ["", "request 2 of its connection", "request 4 of its connection", ""]


@pytest.mark.usefixtures("nginx_program")
@pytest.mark.parametrize("tool", ["python", "curl"])
def test_nginx_numbers_one_connection(run: Run, tool: str) -> None:
    ran = run(KEPT, "--backend", "nginx", "--runtime", "process", "--tool", tool)
    assert ran.code == 0, ran.output
    seen = [step["observed"] for step in ran.case["steps"]]
    numbers = [_CONNECTION.search("\n".join(one["server_log"])) for one in seen]
    assert all(numbers)
    first, second, third, other = [int(found[1]) for found in numbers if found is not None]
    assert first == second == third != other
    assert [step["reuse"] for step in ran.case["steps"]] == [None, 1, 1, None]
    for one, words in zip(seen, _SUMMARIES, strict=True):
        assert ("of its connection" in one["summary"]) == bool(words)
        assert words in one["summary"]


@pytest.mark.usefixtures("nginx_program")
@pytest.mark.parametrize(("repeat", "status"), [(999, Status.PASS), (1000, Status.FAIL)])
def test_a_step_ends_with_the_first_request_that_is_told_otherwise(tmp_path: Path, repeat: int, status: Status) -> None:
    """nginx closes a connection after ``keepalive_requests``, 1000 unless its configuration says otherwise."""
    path = tmp_path / "steps.yaml"
    more = f"      - {{reuse: true, connect: {{repeat: {repeat}}}, expect: accepted}}\n"
    path.write_text(
        KEPT.partition("      - {reuse: first")[0].replace("ca}", "ca, backend: nginx, runtime: process}") + more
    )
    plan = load(path)
    with Lab(plan, pool=KeyPool()) as lab:
        *_, last = lab.run(plan.cases[0]).steps
    assert last.status is status, last.error
    assert last.observation is not None
    assert last.observation.client is not None
    assert last.observation.client.request_number == repeat + 1
    assert last.observation.reason is (None if status is Status.PASS else Reason.CLOSED)


def test_each_request_of_a_connection_tells_of_its_own_body(run: Run) -> None:
    """Though both ends say the same of it otherwise."""
    post = (
        "{reuse: first, connect: {request: {method: POST, body: hello}}, expect: {outcome: accepted, body_sent: true}}"
    )
    ran = run(
        KEPT.partition("      - {reuse: first")[0] + f"      - {post}\n      - {{reuse: first, expect: accepted}}\n"
    )
    assert ran.code == 0, ran.output
    assert [step["observed"]["body_sent"] for step in ran.case["steps"]] == [None, True, None]


def test_what_a_server_closes_lives_no_longer_and_curl_connects_anew(run: Run) -> None:
    text = KEPT.replace("trust: ca}", "trust: ca, response: {headers: {connection: close}}}")
    for tool in ("python", "curl"):
        ran = run(text, "--tool", tool)
        assert ran.code == 1, ran.output
        observed = ran.case["steps"][1]["observed"]
        assert (observed["outcome"], observed["reason"]) == ("no-connection", "closed"), tool
        ran = run(re.sub(r"(/second\}\}, expect: )\{[^}]*\}", r"\1{no-connection: closed}", text), "--tool", tool)
        assert [step["verdict"] for step in ran.case["steps"]] == ["pass", "pass", "fail", None], ran.output
    assert _connections(text) == [1, 1]
    assert _connections(KEPT) == [1, 0]


def _connections(text: str) -> list[int]:
    """Those that curl makes for two requests to the file's server, as it counts them itself."""
    Path("served.yaml").write_text(text, encoding="utf-8")
    plan = load(Path("served.yaml"))
    with Lab(plan, pool=KeyPool()) as lab:
        address = lab.server(plan.cases[0].server).address
        own = lab.material.presented("client", plan.cases[0].steps[0].client.chain)  # type: ignore[union-attr]
        options = ["-s", "--cacert", str(lab.material.bundle(["ca"])), "--cert", str(own.certificate)]
        options += ["--key", str(own.key), "--connect-to", f"localhost:{address.port}:127.0.0.1:{address.port}"]
        options += ["-o", "/dev/null", "-w", "%{num_connects}\n", f"https://localhost:{address.port}/"]
        done = subprocess.run(
            ["curl", "--disable", *options, "--next", *options], capture_output=True, text=True, timeout=30, check=True
        )
    return [int(line) for line in done.stdout.split()]


CHANGED = KEPT.replace("trust: ca}", "trust: ca, crl: before}").replace(
    "  - {reuse: true, connect: {repeat: 2},", "  - replace: {crl: after}\n      - reload\n      - {reuse: true,"
)


def test_revocation_does_not_reach_a_connection_that_is_there(run: Run) -> None:
    text = CHANGED.replace("client: client", "client: revoked").replace("CN=client", "CN=revoked")
    ran = run(text)
    told = [step["observed"]["summary"] if step["observed"] else "" for step in ran.case["steps"]]
    assert told[4].endswith(
        "though its certificate is revoked (CRL after): a connection that lives on is not verified again"
    )
    assert [step["verdict"] for step in ran.case["steps"]] == ["pass"] * 5 + ["fail"], ran.output
    assert told[5].startswith("server refused the client: revoked")
    assert "though" not in run(CHANGED).output


def test_curl_can_do_nothing_between_requests(run: Run) -> None:
    ran = run(CHANGED, "--tool", "curl")
    assert ran.case["verdict"] == "skip"
    assert "nothing can be done between them" in ran.case["skip_reason"]


def test_a_client_without_its_material_goes_on_with_nothing(run: Run) -> None:
    text = KEPT.replace("client: client\n", "client: {certificate: client, key: server}\n")
    for tool in ("python", "curl"):
        ran = run(
            re.sub(r"expect: \{outcome: accepted[^}]*\}", "expect: {client-unusable: key-mismatch}", text, count=1),
            "--tool",
            tool,
        )
        first, second, *_ = [step["observed"] for step in ran.case["steps"]]
        assert (first["outcome"], second["outcome"]) == ("client-unusable", "no-connection"), json.dumps(second)


@pytest.mark.parametrize(("tickets", "resumed"), [("true", 5), ("false", 0)])
def test_openssl_s_client_reconnects_as_the_lab_resumes(run: Run, tickets: str, resumed: int) -> None:
    server = f"trust: ca, session_tickets: {tickets}, tls: TLSV}}"
    steps = "cases:\n  - name: again\n    client: client\n    steps:\n      - expect: accepted\n"
    again = f"      - {{resume: true, expect: {{outcome: accepted, resumed: {str(resumed > 0).lower()}}}}}\n"
    # Python's server has no cache that TLS 1.2 could use without tickets, and s_client waits for no TLS 1.3 ticket
    version = "TLSv1.2" if resumed else "TLSv1.3"
    text = LAB.replace("trust: ca}", server.replace("TLSV", version)) + steps + again
    assert run(text).code == 0
    path = Path("steps.yaml")
    path.write_text(text)
    plan = load(path)
    with Lab(plan, pool=KeyPool()) as lab:
        address = lab.server(plan.cases[0].server).address
        own = lab.material.presented("client", plan.cases[0].steps[0].client.chain)  # type: ignore[union-attr]
        options = ["-connect", str(address), "-CAfile", str(lab.material.bundle(["ca"])), "-cert", str(own.certificate)]
        done = subprocess.run(
            ["openssl", "s_client", "-reconnect", *options, "-key", str(own.key)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    found = [line.split(",")[0] for line in done.stdout.splitlines() if line.startswith(("New,", "Reused,"))]
    assert found.count("Reused") == resumed
    assert "New" in found


def test_several_requests_over_http_2(run: Run) -> None:
    """By the bytes of curl's trace, and by Go's own log: one connection of HTTP/2, two requests."""
    text = Path(__file__).parents[2].joinpath("scenarios/connections/http2.yaml").read_text()
    ran = run(text)
    assert ran.code == 0, ran.output
    assert [case["verdict"] for case in ran.cases] == ["pass"] * len(ran.cases)
    first, second = (step["observed"] for step in ran.cases[-1]["steps"])
    assert first["alpn"] == second["alpn"] == "h2"
    assert "request 2 of its connection" in second["summary"]
