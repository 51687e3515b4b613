"""``mtls-run try``: the cause, what is printed, exit codes, and the lines that it gives people to type."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import Lab, Outcome, Reason, load
from mtls_runner.diagnosis.attempt import attempt
from mtls_runner.diagnosis.endpoint import endpoint
from mtls_runner.diagnosis.inputs import AttemptInputs
from mtls_runner.init.endpoint_scenario import from_attempt
from mtls_runner.model.certificate import Secret

from ..warm import run_warm
from .measure import OWN, SCENARIOS, faults, inputs

PROGRAM = Path(sys.executable).with_name("mtls-run")


@pytest.mark.parametrize("scenarios", [SCENARIOS, OWN], ids=["scenarios", "more"])
def test_the_true_cause_comes_first(scenarios: tuple[Path, ...]) -> None:
    results = list(faults("python", "python", scenarios))
    assert len(results) >= 19
    assert [str(result) for result in results if result.place not in (1, 2, 3)] == []
    others = [str(result) for result in results if result.place != 1]
    assert len(others) <= 0.1 * len(results), others


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(load(OWN[0])) as lab:
        yield lab


def _case(lab: Lab, name: str) -> AttemptInputs:
    return inputs(lab, next(case for case in lab.plan.cases if case.name.startswith(name)))


def run(*words: str, command: str = "try", columns: int = 100) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME") if name in os.environ}
    environment = {**kept, "LANG": "C.UTF-8", "PYTHONWARNINGS": "error", "COLUMNS": str(columns)}
    return run_warm("mtls-run", [*filter(None, [command]), *words], cwd=Path.cwd(), env=environment)


def typed(tried: AttemptInputs) -> list[str]:
    words = [str(tried.endpoint)]
    for option, file in (("--cert", tried.certificate), ("--key", tried.key), ("--cacert", tried.ca)):
        words += [option, str(file)] if file is not None else []
    return words


def test_who_is_let_in_and_who_is_not(lab: Lab) -> None:
    good = _case(lab, "all is well")
    done = run(*typed(good))
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ accepted, status 200" in done.stdout
    assert "Without a certificate the same request is refused" in done.stdout
    assert "most likely" not in done.stdout
    assert "✗" not in done.stdout
    refused = run(*typed(_case(lab, "the client's intermediate is for servers")))
    assert refused.returncode == 1
    shown = " ".join(refused.stdout.split())
    assert "> ClientHello" in shown
    assert "< alert unsupported_certificate" in shown
    assert "1. The intermediate `CN=Lab Server CA` (depth 1) has only the EKU serverAuth" in shown
    assert "$ openssl " in shown


def test_lines_to_type_work(lab: Lab) -> None:
    """Each is run by a shell: openssl and curl know all of its options, and something is printed."""
    seen: set[str] = set()
    for case in lab.plan.cases:
        if lab.cannot(case) is not None:
            continue
        for cause in attempt(inputs(lab, case)).causes[:3]:
            seen.update(cause.commands)
    assert len(seen) > 20
    for command in seen:
        done = subprocess.run(  # noqa: S602 - what people are told to type
            command, shell=True, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False
        )
        said = done.stdout + done.stderr
        assert said.strip(), command
        assert "Usage:" not in done.stderr, command
        assert "nknown option" not in said, command
        assert "unknown" not in done.stderr.lower() or "unknown ca" in done.stderr.lower(), (command, done.stderr)


def test_no_secret_is_in_what_is_printed(lab: Lab, tmp_path: Path) -> None:
    locked = _case(lab, "the passphrase is wrong")
    secret = tmp_path / "passphrase"
    secret.write_text("guessed-wrongly\n")
    done = run(*typed(locked), "--passphrase-file", str(secret))
    assert done.returncode == 1
    assert "wrong-passphrase" in done.stdout
    assert "guessed-wrongly" not in done.stdout + done.stderr
    secret.write_text("right\n")
    assert run(*typed(locked), "--passphrase-file", str(secret)).returncode == 0


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A listener that does that with each connection; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def _ssh(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.recv(4096)


def _closed(connection: socket.socket) -> None:
    connection.recv(4096)


def _silent(connection: socket.socket) -> None:
    connection.settimeout(5)
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    ("answer", "reason", "text"),
    [
        (_http, Reason.NOT_TLS, "speaks plain HTTP, without TLS (HTTP/1.1 400 Bad Request)"),
        (_ssh, Reason.NOT_TLS, "is an SSH server"),
        (_closed, Reason.CLOSED, "before the server sent anything"),
    ],
)
def test_what_is_no_tls_server(answer: Callable[[socket.socket], None], reason: Reason, text: str) -> None:
    with answering(answer) as port:
        tried = attempt(AttemptInputs(endpoint(f"https://127.0.0.1:{port}/")))
    assert tried.observation.outcome is Outcome.NO_CONNECTION
    assert tried.causes[0].reason is reason
    assert text in tried.causes[0].text


def test_a_server_that_says_nothing() -> None:
    with answering(_silent) as port:
        tried = attempt(AttemptInputs(endpoint(f"https://127.0.0.1:{port}/"), timeout=0.5))
    assert tried.observation.outcome is Outcome.TIMED_OUT
    assert "says nothing" in tried.causes[0].text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xfe\xed\xfe\xed\x00\x00\x00\x02", "Java keystore"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n", "certificate request"),
        (b"", "an empty file"),
    ],
)
def test_files_that_are_no_certificate(lab: Lab, tmp_path: Path, content: bytes, said: str) -> None:
    good = _case(lab, "all is well")
    wrong = tmp_path / "client.crt"
    wrong.write_bytes(content)
    done = run(str(good.endpoint), "--cert", str(wrong), "--key", str(good.key), "--cacert", str(good.ca))
    assert done.returncode == 1
    assert said in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["http://localhost:1/"], "begins with https://"),
        (["https://user:geheim@localhost:1/"], "leave them out"),
        (["https://localhost:99999/"], "no address to connect to"),
        (["https://localhost:1/", "--cert", "not-there.crt"], "does not exist"),
        (["https://localhost:1/", "--log", "not-there.log"], "No such file"),
        (["https://localhost:1/", "--tool", "curly"], "did you mean 'curl'"),
        (["https://localhost:1/", "--resolve", "other:1:127.0.0.1"], "another host or port"),
    ],
)
def test_what_is_typed_wrongly(words: list[str], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = run(f"127.0.0.1:{port}")
    assert refused.returncode == 1
    assert f"Nothing listens on 127.0.0.1:{port}" in " ".join(refused.stdout.split())
    unknown = run("https://no-such-host.invalid/")
    assert unknown.returncode == 1
    assert "stands for no address here" in " ".join(unknown.stdout.split())


@pytest.mark.parametrize("columns", [60, 120])
def test_it_can_be_read_at_any_width(lab: Lab, columns: int) -> None:
    done = run(*typed(_case(lab, "self-signed")), columns=columns)
    lines = done.stdout.splitlines()
    unbroken = [
        line for line in lines if len(line) > columns and " " in line.strip() and not line.strip().startswith("/")
    ]
    assert [line for line in unbroken if max(map(len, line.split())) < columns - 12] == []


def test_what_was_seen_is_a_scenario(lab: Lab, tmp_path: Path) -> None:
    """It runs as it was written, and tells when the server changes its mind."""
    good = _case(lab, "all is well")
    file = tmp_path / "seen.yaml"
    done = run(*typed(good), "--save", str(file))
    assert done.returncode == 0
    text = file.read_text()
    again = run(str(file), "--strict", command="")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 passed of 2 cases" in again.stdout
    assert "expect: {server-refused: no-certificate}" in text
    other = run(*typed(good), "--save", str(file))
    assert other.returncode == 2
    assert "nothing is overwritten" in other.stderr
    assert file.read_text() == text
    locked = replace(_case(lab, "the passphrase is wrong"), passphrase=Secret("geheim"))
    seen = "\n".join(from_attempt(attempt(locked), tmp_path / "locked.yaml").text.splitlines())
    assert "client-unusable: wrong-passphrase" in seen
    assert "passphrase: {env: MTLS_RUN_PASSPHRASE}" in seen
    assert "geheim" not in seen
    made = run(str(tmp_path / "new"), "--from-endpoint", *typed(good), command="init")
    assert made.returncode == 0, made.stderr
    assert load(tmp_path / "new" / "endpoint.yaml").cases
    nobody = run(str(tmp_path / "none"), "--from-endpoint", "https://localhost:1/", command="init")
    assert nobody.returncode == 2
    assert "nothing was written: nothing listens at https://localhost:1/" in nobody.stderr
    assert not (tmp_path / "none").exists()


_ANSWERS = """\
name: answers
ca: {subject: CN=Lab CA}
leaves:
  server: {usage: server, san: [localhost]}
  client: {usage: client}
servers:
  forbidden: {certificate: server, trust: [ca], response: {status: 403}}
  nothing-there: {certificate: server, trust: [ca], response: {status: 404}}
  login: {certificate: server, trust: [ca], client_auth: optional, response: {status: 302, headers: {location: /login}}}
  never-asks: {certificate: server, client_auth: none, response: {status: 403}}
  open: {certificate: server, client_auth: none}
  other-names: {certificate: server, trust: [ca], reject_handshake: true, virtual_hosts: {www: {names: [www.test]}}}
cases:
  - {name: forbidden, server: forbidden, client: client, expect: accepted}
  - {name: nothing-there, server: nothing-there, client: client, expect: accepted}
  - {name: login, server: login, expect: accepted}
  - {name: never-asks, server: never-asks, client: client, expect: accepted}
  - {name: open, server: open, client: client, expect: accepted}
  - {name: other-names, server: other-names, client: client, expect: {no-agreement: server-name}}
"""


def test_answers_that_are_no_refusals_or_no_handshake(tmp_path: Path) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text(_ANSWERS)
    plan = load(file)
    with Lab(plan) as lab:
        tried = {case.name: attempt(inputs(lab, case)) for case in plan.cases}
    said = {name: one.causes[0].text if one.causes else "" for name, one in tried.items()}
    assert {name for name, one in tried.items() if one.accepted} == {"open"}
    assert "The certificate was taken" in said["forbidden"]
    assert "not let in there" in said["forbidden"]
    assert "look at the path, not at the certificate" in said["nothing-there"]
    assert "wants a client certificate" in said["login"]
    assert "never asked for a certificate" in said["never-asks"]
    assert "serves no host of the name localhost" in said["other-names"]
    assert any("never asked for a certificate" in remark for remark in tried["open"].remarks)
