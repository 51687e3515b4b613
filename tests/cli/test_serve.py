"""``serve``: every command that it prints does by hand what the case says, and every connection is shown."""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, UNAVAILABLE, Cli
from tests.container_engine import IMAGE
from tests.warm import WarmProcess

Write = Callable[[str, str], Path]

SECRET = "s3cret-in-no-output"
SCENARIO = f"""\
name: by-hand
authorities:
  root: {{subject: CN=Root}}
  inter: {{subject: CN=Issuing CA, issuer: root}}
  other: {{subject: CN=Somebody Else}}
leaves:
  server: {{issuer: root, subject: CN=server.test, usage: server, passphrase: {SECRET}}}
  good: {{issuer: inter, subject: CN=good.test, usage: client}}
  locked: {{like: good, subject: CN=locked.test, passphrase: {SECRET}}}
  expired: {{like: good, subject: CN=expired.test, not_before: -10d, not_after: -1d}}
  foreign: {{like: good, subject: CN=foreign.test, issuer: other}}
server:
  certificate: server
  trust: [root]
  verify_depth: DEPTH
  response: {{status: 200, body: "hello, you"}}
cases:
  - {{name: nothing, expect: {{server-refused: no-certificate}}}}
  - {{name: good, client: good, expect: {{outcome: accepted, status: 200}}}}
  - {{name: locked, client: locked, expect: accepted}}
  - {{name: no passphrase, client: {{certificate: locked, passphrase: null}}, expect: {{client-unusable: passphrase-needed}}}}
  - name: wrong passphrase
    client: {{certificate: locked, passphrase: wr0ng-in-no-output}}
    expect: {{client-unusable: wrong-passphrase}}
  - {{name: expired, client: expired, expect: {{server-refused: expired}}}}
  - {{name: foreign, client: foreign, expect: {{server-refused: unknown-ca}}}}
  - {{name: leaf only, client: {{certificate: good, chain: leaf}}, expect: {{server-refused: unknown-ca}}}}
  - {{name: distrustful, client: {{certificate: good, trust: [other]}}, expect: {{client-refused: unknown-ca}}}}
  - {{name: other name, client: {{certificate: good, server_name: other.test}}, expect: {{client-refused: name-mismatch}}}}
  - {{name: insecure, client: {{certificate: good, insecure: true, server_name: other.test}}, expect: accepted}}
  - {{name: by address, client: {{certificate: good, server_name: null}}, expect: accepted}}
  - name: posted
    client:
      certificate: good
      request: {{method: POST, path: "/a%20b?c='d'", headers: {{X-Odd: "100% 'quoted' \\\\"}}, body: "it's 5 %"}}
    expect: accepted
  - {{name: a large body, client: {{certificate: good, request: {{method: POST, body: {{size: 200000}}}}}}, expect: accepted}}
matrix:
  client.tls: [TLSv1.2, TLSv1.3]
"""


#: How a line about somebody who came begins: with the time.
CONNECTION = re.compile(r"\d\d:\d\d:\d\d  ")


@dataclass
class Entry:
    """One case, as printed."""

    title: str
    expected: str = ""
    commands: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


@dataclass
class Serving:
    process: WarmProcess
    head: list[str]
    entries: list[Entry]

    def line(self) -> str:
        """The next connection."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def connections(self, number: int, of: str = "") -> list[str]:
        """The next ones, until so many of a kind were told of: a moment after their clients were done."""
        lines: list[str] = []
        while sum(of in line for line in lines) < number:
            lines.append(self.line())
            assert CONNECTION.match(lines[-1]), lines
        return lines

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        told, _ = self.process.communicate(timeout=60)
        return self.process.wait(0), told


@contextmanager
def serving(cli: Cli, *arguments: str) -> Iterator[Serving]:
    """Until everything is printed; the process is gone afterwards in any case."""
    tmp = cli.directory / "tmp"
    tmp.mkdir(exist_ok=True)
    environment = {name: os.environ[name] for name in ("MTLS_RUN_IMAGE", "DOCKER_HOST") if name in os.environ}
    process = cli.start("serve", *arguments, stderr=subprocess.STDOUT, env={"TMPDIR": str(tmp), **environment})
    try:
        yield _read(process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)


def _read(process: WarmProcess) -> Serving:
    assert process.stdout is not None
    head: list[str] = []
    entries: list[Entry] = []
    fresh = False
    for line in process.stdout:
        text = line.rstrip("\n")
        if text.startswith("Serving until"):
            return Serving(process, head, entries)
        if not text:
            fresh = True
        elif fresh:
            entries.append(Entry(text))
            fresh = False
        elif not entries:
            head.append(text)
        elif text.startswith("  expected: "):
            entries[-1].expected = text.removeprefix("  expected: ")
        elif text.startswith("  not by hand: "):
            entries[-1].reasons.append(text.removeprefix("  not by hand: "))
        else:
            entries[-1].commands.append(text.strip())
    pytest.fail("\n".join(head) or "nothing was served")


def typed(command: str) -> subprocess.CompletedProcess[str]:
    """As a person types it, elsewhere, and without a terminal to ask for anything."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
        check=False,
    )


ALERTS = {
    "no-certificate": "handshake.failure|certificate.required",
    "expired": "certificate.expired",
    "unknown-ca": "unknown.ca",
}


def check_curl(entry: Entry, done: subprocess.CompletedProcess[str], *, nginx: bool) -> None:
    outcome, _, reason = entry.expected.partition(": ")
    if outcome == "the client gets its answer":
        assert (done.returncode, done.stdout) == (0, "hello, you"), done.stderr
    elif outcome == "the server refuses the client" and nginx:
        assert done.returncode == 0, done.stderr
        assert "< HTTP/1.1 400" in done.stderr
    elif outcome == "the server refuses the client":
        assert done.returncode in ((60,) if "TLSv1.2" in entry.title and reason == "expired" else (35, 56))
        assert re.search(f"alert,? ({ALERTS[reason]})", done.stderr), done.stderr
    elif outcome == "the client refuses the server":
        assert done.returncode == 60, done.stderr
    else:
        assert outcome == "the client can't use its own material, and never connects"
        assert done.returncode in (58, 43), done.stderr


def check_openssl(entry: Entry, done: subprocess.CompletedProcess[str], *, nginx: bool) -> None:
    outcome, _, reason = entry.expected.partition(": ")
    if outcome == "the client gets its answer":
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("HTTP/1.1 200")
        assert done.stdout.endswith("hello, you")
    elif outcome == "the server refuses the client" and nginx:
        assert done.stdout.startswith("HTTP/1.1 400"), done.stderr
    elif outcome == "the server refuses the client":
        assert done.returncode != 0
        assert re.search(f"alert ({ALERTS[reason]})", done.stderr), done.stderr
    elif outcome == "the client refuses the server":
        assert done.returncode != 0
        assert "certificate verify failed" in done.stderr
    else:
        assert done.returncode != 0
        assert "unable to load" in done.stderr.lower() or "could not" in done.stderr.lower(), done.stderr
    if outcome != "the client gets its answer":
        assert "hello, you" not in done.stdout


def check_all(serving: Serving, *, nginx: bool) -> None:
    """Every command does what its case says."""
    assert len(serving.entries) == 28
    for entry in serving.entries:
        assert entry.reasons == []
        by_curl, by_openssl = entry.commands
        check_curl(entry, typed(by_curl), nginx=nginx)
        check_openssl(entry, typed(by_openssl), nginx=nginx)
        for command in entry.commands:
            assert "in-no-output" not in command
            assert len(command) < 5000  # as somebody types it


def files(serving: Serving) -> Path:
    return Path(serving.head[0].rpartition("material in ")[2])


def test_every_command_does_by_hand_what_its_case_says(cli: Cli, write: Write) -> None:
    write("by-hand.yaml", SCENARIO.replace("  verify_depth: DEPTH\n", ""))
    with serving(cli, "by-hand.yaml") as running:
        check_all(running, nginx=False)
        material = files(running)
        assert material.is_relative_to(cli.directory / "tmp")
        kept = [path for path in material.rglob("*") if path.is_file()]
        assert kept
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
        # two commands for each case; openssl looks at its key before it connects, curl afterwards
        lines = running.connections(2 * 28 - 4)
        code, told = running.stop()
    assert (code, told) == (0, "stopped; servers and material are gone\n")
    assert not material.exists()
    assert "in-no-output" not in "".join(lines)
    assert sum(" accepted  " in line for line in lines) == 2 * 12


@pytest.mark.usefixtures("nginx_engine")
def test_every_command_does_with_nginx_what_its_case_says(cli: Cli, write: Write) -> None:
    write("by-hand.yaml", SCENARIO.replace("DEPTH", "5"))
    with serving(cli, "by-hand.yaml", "--backend", "nginx", "--image", IMAGE) as running:
        check_all(running, nginx=True)
        lines = running.connections(2 * 12, "accepted  ")
        code, told = running.stop()
    assert code == 0
    lines += [line for line in told.splitlines() if CONNECTION.match(line)]
    assert sum("accepted  " in line for line in lines) == 2 * 12
    refused = [line for line in lines if "refused: " in line]
    assert len(refused) == 2 * 8
    assert all("(HTTP 400)" in line for line in refused)
    assert sum("CN=expired.test  refused: expired, its certificate has expired" in line for line in refused) == 4


def test_each_connection_is_shown_as_it_comes(cli: Cli, write: Write) -> None:
    write("by-hand.yaml", SCENARIO.replace("  verify_depth: DEPTH\n", ""))
    with serving(cli, "by-hand.yaml") as running:
        by_name = {entry.title: entry for entry in running.entries}

        def shown(case: str) -> str:
            typed(by_name[f"{case}[client.tls=TLSv1.3]"].commands[0])
            return running.line()

        line = shown("good")
        assert re.match(r"\d\d:\d\d:\d\d  CN=good.test  accepted  TLSv1.3  \S+  for localhost  GET /$", line)
        assert "somebody without a certificate  refused: no-certificate, no certificate was sent" in shown("nothing")
        assert "CN=expired.test  refused: expired, its certificate has expired" in shown("expired")
        assert "(alert certificate_expired from the server)" in shown("expired")
        assert "CN=foreign.test  refused: unknown-ca" in shown("foreign")
        assert "somebody  the client refused the server: one of unknown-ca, self-signed" in shown("distrustful")
        host, _, port = running.head[1].rpartition("https://")[2].rstrip("/").partition(":")
        with socket.create_connection((host, int(port)), 10) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            line = running.line()
        assert "somebody  came and went: not-tls" in line
        # one that says nothing holds nobody up
        with socket.create_connection((host, int(port)), 10):
            assert "accepted" in shown("good")
        assert "came and went" in running.line()


def test_all_that_a_server_saw(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    with serving(cli, "small.yaml", "-v") as running:
        by_name = {entry.title: entry for entry in running.entries}
        typed(by_name["with the certificate[client.tls=TLSv1.3]"].commands[0])
        told = [running.line() for _ in range(12)]
    assert "accepted" in told[0]
    assert told[1] == "      server: python ssl"
    assert any(line.startswith("      < ClientHello") for line in told)
    assert any(line.startswith("      > CertificateRequest") for line in told)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_end_it_as_cleanly(cli: Cli, write: Write, number: signal.Signals) -> None:
    write("small.yaml", SMALL)
    with serving(cli, "small.yaml") as running:
        material = files(running)
        assert material.exists()
        assert running.stop(number)[0] == 0
    assert not material.exists()


def test_a_signal_that_does_not_wake_it_ends_it_too(cli: Cli, write: Write) -> None:
    """One that comes just before it sleeps, say; or, as here, to another thread, which the system may choose."""
    write("small.yaml", SMALL)
    with serving(cli, "small.yaml") as running:
        pid = running.process.pid
        others = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
        assert ctypes.CDLL(None).tgkill(pid, others[0], signal.SIGTERM) == 0
        told, _ = running.process.communicate(timeout=60)
    assert told.endswith("stopped; servers and material are gone\n")


def test_what_curl_or_openssl_can_t_do_is_said(cli: Cli, write: Write) -> None:
    text = SMALL.replace("client: client\n", "client: {certificate: client, tls: [TLSv1.1, TLSv1.3]}\n")
    write("gap.yaml", text.replace("matrix:\n  client.tls: [TLSv1.2, TLSv1.3]\n", ""))
    with serving(cli, "gap.yaml") as running:
        without, with_ = running.entries
        assert len(without.commands) == 2
        assert without.reasons == []
        assert with_.commands == []
        assert [reason.split(" takes ")[0] for reason in with_.reasons] == ["curl", "openssl s_client"]


def test_servers_that_do_not_start_are_said_and_the_others_serve(cli: Cli, write: Write) -> None:
    text = SMALL.replace("key: ec-p256}\n  client", f"key: ec-p256, passphrase: {SECRET}}}\n  client")
    text = text.replace("server: {certificate", "servers:\n  good: {certificate")
    text = text.replace("cases:", "  bad: {certificate: server, passphrase: other, expect: {starts: false}}\ncases:")
    text = text.replace("  - name:", "  - server: good\n    name:")
    write("two.yaml", text)
    with serving(cli, "two.yaml") as running:
        told = "\n".join(running.head)
        assert re.search(r"  good  python  https://localhost:\d+/", told)
        assert "  bad  python  does not start, as the scenario expects: " in told
        assert all(len(entry.commands) == 2 for entry in running.entries)
        assert running.stop()[0] == 0


def test_a_broken_lab_is_told(cli: Cli, write: Write) -> None:
    write("broken.yaml", UNAVAILABLE)
    done = cli("serve", "broken.yaml")
    assert done.returncode == 3
    assert "no-such-image:0" in done.stderr
    write("locked.yaml", SMALL.replace("certificate: server,", "certificate: server, passphrase: x,").replace(
        "usage: server, key: ec-p256", f"usage: server, key: ec-p256, passphrase: {SECRET}"))  # fmt: skip
    done = cli("serve", "locked.yaml")
    assert done.returncode == 3
    assert "does not start: " in done.stdout
    done = cli("serve", "small.yaml")
    assert done.returncode == 2
    assert "no such file" in done.stderr


def test_the_proxy_of_this_machine_is_not_asked(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    process = cli.start("serve", "small.yaml", env={"https_proxy": "http://127.0.0.1:1"})
    running = _read(process)
    command = next(entry for entry in running.entries if entry.title.startswith("with the")).commands[0]
    assert "--noproxy '*'" in command
    proxied = f"https_proxy=http://127.0.0.1:1 {command}"
    assert typed(proxied).returncode == 0
    assert typed(proxied.replace("--noproxy '*' ", "")).returncode != 0, "that proxy is none"
    assert shlex.split(command)[0] == "curl"
    assert running.stop()[0] == 0


@pytest.mark.usefixtures("nginx_engine")
def test_a_server_that_ends_by_itself_ends_it(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    with serving(cli, "small.yaml", "--backend", "nginx", "--image", IMAGE) as running:
        port = running.head[1].rpartition(":")[2].rstrip("/")
        found = subprocess.run(
            ["docker", "ps", "--quiet", "--filter", f"publish={port}"], capture_output=True, text=True, check=True
        ).stdout.split()
        assert len(found) == 1
        subprocess.run(["docker", "kill", *found], capture_output=True, check=True)
        told, _ = running.process.communicate(timeout=60)
    assert running.process.returncode == 3
    assert "server server ended by itself" in told


@pytest.mark.parametrize("name", ["haproxy", "s_server"])
def test_whoever_comes_to_a_declared_server_is_shown(cli: Cli, write: Write, name: str) -> None:
    """Told apart by the client's port, or by order; the lab's own connections are nobody's visit."""
    write("small.yaml", SMALL)
    with serving(cli, "small.yaml", "--backend", name) as running:
        for entry in running.entries:
            typed(next(command for command in entry.commands if command.startswith("curl")))
        code, told = running.stop()
    assert code == 0
    visits = [line for line in told.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)]
    assert len(visits) == len(running.entries), told
    assert any("accepted" in line and "GET /" in line for line in visits), told
    assert any("refused: no-certificate" in line for line in visits), told


def test_at_a_port_and_in_a_directory_of_ones_own(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL.replace("matrix:\n  client.tls: [TLSv1.2, TLSv1.3]\n", ""))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        done = cli("serve", "small.yaml", "--port", str(port))
        assert done.returncode == 2
        assert f"nothing can listen at 127.0.0.1:{port}: Address already in use" in done.stderr
    with serving(cli, "small.yaml", "--port", str(port), "--dir", "mine") as running:
        without, with_ = (entry.commands[0] for entry in running.entries)
        by_openssl = running.entries[1].commands[1]
        url = f"https://localhost:{port}/"
        assert without == f"curl -v --cacert mine/bundles/ca.pem {url}"
        pair = "--cert mine/leaves/client.chain.pem --key mine/leaves/client.key"
        assert with_ == f"curl -v --cacert mine/bundles/ca.pem {pair} {url}"
        assert by_openssl.partition(" | ")[2] == (
            f"openssl s_client -quiet -connect localhost:{port} -verify_hostname localhost -verify_return_error "
            "-CAfile mine/bundles/ca.pem -cert mine/leaves/client.chain.pem -key mine/leaves/client.key"
        )
        assert sorted(path.name for path in (cli.directory / "mine").iterdir() if path.is_dir()) == [
            "authorities",
            "bundles",
            "leaves",
        ]
        done = typed(f"cd {cli.directory} && {by_openssl}")
        assert done.returncode == 0, done.stderr
        assert "CN=client.test  accepted" in running.line()
        done = typed(f"cd {cli.directory} && {with_}")
        assert done.returncode == 0, done.stderr
        assert "CN=client.test  accepted" in running.line()
        done = typed(f"cd {cli.directory} && {without}")
        assert re.search("alert,? certificate.required", done.stderr), done.stderr
        assert "refused: no-certificate" in running.line()
        code, told = running.stop()
    assert (code, told) == (0, "stopped; servers are gone, the material is left in mine\n")
    assert stat.S_IMODE((cli.directory / "mine/leaves/client.key").stat().st_mode) == 0o600
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        pass


def test_a_server_that_can_not_be_run_is_said_and_takes_nobody_along(cli: Cli, write: Write) -> None:
    text = SMALL.replace("server: {certificate", "servers:\n  deep: {verify_depth: 1, certificate")
    text = text.replace(
        "cases:",
        "  good: {certificate: server, trust: [ca]}\ncases:\n  - {name: deep, server: deep, client: client, expect: accepted}",
    )
    write("two.yaml", text.replace("  - name:", "  - server: good\n    name:"))
    with serving(cli, "two.yaml") as running:
        assert any(re.match(r"  deep  python  not run: .*depth", line) for line in running.head)
        assert running.entries[0].reasons
        assert running.entries[1].commands
