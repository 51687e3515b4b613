"""What a server's own log says of an attempt: nginx as people run it, and lines of others."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import Lab, Outcome, Reason, load
from mtls_runner.deadlines import Deadline
from mtls_runner.diagnosis.attempt import attempt
from mtls_runner.diagnosis.endpoint import endpoint
from mtls_runner.diagnosis.inputs import AttemptInputs
from mtls_runner.diagnosis.server_log import LogFile
from mtls_runner.runtimes.ports import reserved_port

from .measure import ROOT, inputs
from .test_try import PROGRAM, typed

_NGINX = """\
daemon off;
pid {0}/nginx.pid;
error_log {0}/error.log {1};
events {{}}
http {{
    access_log off;
    server {{
        listen 127.0.0.1:{2} ssl;
        ssl_certificate {3};
        ssl_certificate_key {4};
        ssl_client_certificate {5};
        ssl_verify_client on;
        location / {{ return 200; }}
    }}
}}
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(load(ROOT / "scenarios" / "wrong-certificates.yaml")) as lab:
        yield lab


def of(lab: Lab, name: str, port: int) -> AttemptInputs:
    """What is tried, at that port."""
    case = next(case for case in lab.plan.cases if case.name.startswith(name) and "python" in case.name)
    return replace(inputs(lab, case), endpoint=endpoint(f"https://localhost:{port}/", f"localhost:{port}:127.0.0.1"))


@contextlib.contextmanager
def running(*command: str, output: Path | None = None) -> Iterator[None]:
    """A server of this machine, until the block ends."""
    with (output or Path("/dev/null")).open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def until_it_answers(tried: AttemptInputs) -> None:
    deadline = Deadline.after(30)
    while attempt(tried).observation.outcome is Outcome.NO_CONNECTION:
        assert not deadline.passed, "it does not answer"


@contextlib.contextmanager
def nginx(lab: Lab, directory: Path, level: str) -> Iterator[int]:
    server = lab.material.credential("server")
    with reserved_port(directory / "ports") as port:
        text = _NGINX.format(
            directory, level, port, server.chain_path, server.key_path, lab.material.bundle(["ca", "bare-ca"])
        )
        (directory / "nginx.conf").write_text(text)
        with running(
            "nginx", "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(directory / "nginx.conf")
        ):
            until_it_answers(of(lab, "good", port))
            yield port


def test_nginx_says_why_at_level_info(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    with nginx(lab, tmp_path, "info") as port:
        for name, reason in (
            ("none", Reason.NO_CERTIFICATE),
            ("of a namesake, without key identifiers", Reason.BAD_SIGNATURE),
            ("for servers only", Reason.WRONG_PURPOSE),
            ("self-signed", Reason.SELF_SIGNED),
        ):
            tried = of(lab, name, port)
            alone, told = attempt(tried), attempt(tried, LogFile(log))
            assert told.observation.reasons == (reason,), name
            assert told.causes[0].reason is reason
            assert told.observation.server is not None
            assert "error.log" in told.observation.server.source
            assert len(alone.observation.reasons) != 1 or name == "none"
        accepted = attempt(of(lab, "good", port), LogFile(log))
        assert accepted.accepted
        # what was written before says nothing of who is let in
        assert accepted.observation.server is None
        done = subprocess.run(
            [
                PROGRAM,
                "try",
                *typed(of(lab, "expired", port)),
                "--resolve",
                f"localhost:{port}:127.0.0.1",
                "--log",
                "-",
            ],
            input="2026/11/28 19:00:00 [info] 7#7: *3 client SSL certificate verify error: (10:certificate has expired) while "
            "reading client request headers, client: 127.0.0.1\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "server (nginx log, standard input): verify code 10 (X509_V_ERR_CERT_HAS_EXPIRED)" in " ".join(
        done.stdout.split()
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("http: TLS handshake error from 127.0.0.1:1: tls: client didn't provide a certificate", Reason.NO_CERTIFICATE),
        (
            (
                "http: TLS handshake error from 127.0.0.1:1: x509: certificate has expired or is not yet valid: current time "
                "2026-11-28T19:00:00Z is after 2026-11-27T19:00:00Z"
            ),
            Reason.EXPIRED,
        ),
        (
            "[ssl:info] AH02276: Certificate Verification: Error (26): unsuitable certificate purpose",
            Reason.WRONG_PURPOSE,
        ),
        ("LOG4[3]: CERT: Pre-verification error: certificate revoked", Reason.REVOKED),
        ("verify error:num=18:self-signed certificate", Reason.SELF_SIGNED),
        ("error:0A0000C7:SSL routines::peer did not return a certificate", Reason.NO_CERTIFICATE),
    ],
)
def test_lines_of_others(lab: Lab, tmp_path: Path, line: str, reason: Reason) -> None:
    log = tmp_path / "server.log"
    log.write_text("starting\n")
    case = next(case for case in lab.plan.cases if case.name.startswith("of an unknown") and "python" in case.name)
    source = LogFile(log)
    with log.open("a") as file:
        file.write(f"{line}\nbye\n")
    told = attempt(inputs(lab, case), source)
    assert told.observation.reasons == (reason,)
    assert told.causes[0].reason is reason


_HAPROXY = """\
defaults
  mode http
  log stdout format raw local0
  timeout client 9s
  timeout server 9s
  timeout connect 9s
frontend fe
  bind 127.0.0.1:{0} ssl crt {1} ca-file {2} verify required
  {3}
  http-request return status 200
"""


@pytest.mark.parametrize("log_format", ["option httplog", "option httpslog"])
def test_haproxys_log_as_it_is_by_default(lab: Lab, tmp_path: Path, log_format: str) -> None:
    server, log = lab.material.credential("server"), tmp_path / "haproxy.log"
    assert server.key_path is not None
    (tmp_path / "site.pem").write_bytes(server.chain_path.read_bytes() + server.key_path.read_bytes())
    with reserved_port(tmp_path / "ports") as port:
        trusted = lab.material.bundle(["ca", "bare-ca"])
        (tmp_path / "haproxy.cfg").write_text(_HAPROXY.format(port, tmp_path / "site.pem", trusted, log_format))
        with running("haproxy", "-db", "-f", str(tmp_path / "haproxy.cfg"), output=log):
            until_it_answers(of(lab, "good", port))
            for name, reason in (("expired", Reason.EXPIRED), ("self-signed", Reason.SELF_SIGNED)):
                told = attempt(of(lab, name, port), LogFile(log))
                assert told.observation.outcome is Outcome.SERVER_REFUSED
                assert told.causes[0].reason is reason
                assert told.observation.server is not None
                assert told.observation.server.source == "HAProxy log, haproxy.log"
            accepted = attempt(of(lab, "good", port), LogFile(log))
            assert accepted.accepted
            assert accepted.observation.server is None


def test_haproxys_fields_of_a_request_that_is_let_in_all_the_same(lab: Lab, tmp_path: Path) -> None:
    """``option httpslog`` beside ``verify optional crt-ignore-err all``, and a rule that answers with 403."""
    line = (
        '127.0.0.1:56146 [28/Nov/2026:22:53:32.699] fe2~ fe2/<NOSRV> 0/-1/-1/-1/0 403 49 - - LR-- 1/1/0/0/0 0/0 "GET / HTTP/1.1" '
        "0/0000000000000000/{}/0/0 localhost/TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384\n"
    )
    log = tmp_path / "haproxy.log"
    log.write_text(line.format(10))
    case = next(case for case in lab.plan.cases if case.name.startswith("expired") and "python" in case.name)
    source = LogFile(log)
    attempt(inputs(lab, case), source)
    assert source.earlier is not None
    assert source.earlier.verify_code == 10
    log.write_text(line.format(0))
    fresh = LogFile(log)
    attempt(inputs(lab, case), fresh)
    assert fresh.earlier is None


def test_what_it_said_before_is_a_hint_and_no_more(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("verify error:num=25:path length constraint exceeded\n")
    case = next(case for case in lab.plan.cases if case.name.startswith("of an unknown") and "python" in case.name)
    told = attempt(inputs(lab, case), LogFile(log))
    assert len(told.observation.reasons) > 1
    assert told.causes[0].reason is Reason.PATH_LENGTH
    assert any("says nothing of this connection" in remark for remark in told.remarks)
    log.write_text("verify error:num=10:certificate has expired\n")  # which the alert does not allow
    assert attempt(inputs(lab, case), LogFile(log)).causes[0].reason is Reason.UNKNOWN_CA
