"""``mtls-run record``: what is written, what is left out, what to look at first, and that no file is ever lost."""

from __future__ import annotations

import codecs
import signal
import ssl
import subprocess
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import trustme

from mtls_runner import Overrides, Status, UsageError
from mtls_runner.cli.choose import Choice, chosen
from mtls_runner.record.file import RecordedFile
from mtls_runner.record.recorded import record
from tests.cli.conftest import Cli, cli
from tests.record.scenarios import SCENARIOS, disagreements, recorded, unrecorded

from ..http_server import Handler, served
from ..verdicts import verdicts_of

__all__ = ["cli"]

LAB = """\
ca: {subject: CN=Lab CA, key: ec-p256}
leaves:
  server: {key: ec-p256}
  client: {usage: client, key: ec-p256}
  gone: {like: client, revoked: true}
server: {certificate: server, trust: [ca], tls: TLSv1.3, responses: {/here: {status: 302, headers: {location: /there}}}}
cases:   # all that matter
"""
CASES = """\
  - name: without
  - {name: moved, client: {certificate: client, request: {path: /here}}}
  - name: withdrawn
    client: gone
  - {name: wrong, client: client, expect: {server-refused: expired}}   # as it was
  - {name: right, client: client, expect: {outcome: accepted, tls_version: TLSv1.3}}
"""
RECORDED = """\
  - name: without
    expect: {server-refused: no-certificate}
  - {name: moved, client: {certificate: client, request: {path: /here}}, MOVED}
  - name: withdrawn
    client: gone
    expect: accepted  # look: it gets in, though it is revoked
  - {name: wrong, client: client, expect: {server-refused: expired}}   # as it was
  - {name: right, client: client, expect: {outcome: accepted, tls_version: TLSv1.3}}
""".replace("MOVED", "expect: {outcome: accepted, status: 302, headers: {location: /there}}")


def test_it_writes_what_happens_and_nothing_else(cli: Cli) -> None:
    file = cli.directory / "lab.scenario.yaml"
    head = codecs.BOM_UTF8 + LAB.replace("\n", "\r\n").encode()
    file.write_bytes(head + CASES.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    done = cli("record", file.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_bytes() == head + RECORDED.replace("\n", "\r\n").encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert "without: {server-refused: no-certificate}\n" in done.stdout
    assert "look at first:\n  withdrawn: it gets in, though it is revoked\n" in done.stdout
    assert list(cli.directory.iterdir()) == [file]

    again = cli("record", file.name)
    assert again.stdout == f"{file.name}: there is nothing to record, every case says what it expects\n"
    checked = cli("record", "--check", file.name)
    assert checked.returncode == 1
    assert "-  - {name: wrong, client: client, expect: {server-refused: expired}}   # as it was\n" in checked.stdout
    assert "+  - {name: wrong, client: client, expect: accepted}   # as it was\n" in checked.stdout
    assert file.read_bytes() == head + RECORDED.replace("\n", "\r\n").encode()

    assert cli("record", "--update", file.name).returncode == 0
    updated = RECORDED.replace("expect: {server-refused: expired}}   #", "expect: accepted}   #")
    assert file.read_bytes() == head + updated.replace("\n", "\r\n").encode()
    checked = cli("record", "--check", file.name)
    assert checked.returncode == 0
    assert checked.stdout.endswith(f"{file.name}: what is expected is what happens\n")
    assert "recorded, and not looked at yet: it gets in, though it is revoked" in cli("run", file.name).stdout
    assert cli("run", "--strict", file.name).returncode == 2


def test_nobody_is_let_in_unseen_but_where_nobody_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    lab = LAB.replace("tls: TLSv1.3,", "client_auth: optional,")
    path.write_text(
        f"{lab}  - name: x\n  - {{name: y, client: client}}\n  - {{name: z, server: {{client_auth: none}}}}\n"
    )
    made = record(path)
    assert [case.look for case in made.cases] == ["it gets in, though it has no certificate", "", ""]
    later = LAB.replace("tls: TLSv1.3,", "client_auth: none,").replace(
        "/here: {", "/members: {client_auth: optional}, /here: {"
    )
    path.write_text(f"{later}  - name: x\n  - {{name: y, client: {{request: {{path: '/members?me'}}}}}}\n")
    assert [case.look for case in record(path).cases] == ["", "it gets in, though it has no certificate"]


def test_why_a_server_does_not_start_is_told_once(cli: Cli) -> None:
    text = LAB.replace("server: {key: ec-p256}", "server: {passphrase: right}", 1)
    text = text.replace("server: {certificate", "server: {passphrase: wrong, certificate")
    (cli.directory / "lab.scenario.yaml").write_text(text + CASES.partition("  - {name: wrong")[0])
    done = cli("record", "lab.scenario.yaml")
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("not recorded: ")]
    assert told.startswith("not recorded: without, moved, withdrawn: the server did not start (wrong-passphrase)")


def test_one_case_by_its_name(cli: Cli) -> None:
    file = cli.directory / "scenario.yaml"
    file.write_text(f"{LAB}  - name: x\n  - {{name: y, client: client}}\n")
    assert cli("record", "scenario.yaml::y").stdout.startswith("y: accepted\n")
    assert file.read_text() == f"{LAB}  - name: x\n  - {{name: y, client: client, expect: accepted}}\n"


def test_where_a_matrix_differs(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{LAB}  - {{name: x, client: client}}\n  - name: y\nmatrix: {{client.tls: [TLSv1.2, TLSv1.3]}}\n")
    made = record(path)
    where = "{no-agreement: protocol-version, where: [{when: {tls: TLSv1.3}, expect: "
    assert [case.written for case in made.cases] == [
        f"{where}{{outcome: accepted, reason: null}}}}]}}",
        f"{where}{{server-refused: no-certificate}}}}]}}",
    ]
    path.write_text(made.text)
    assert {verdict.status for verdict in verdicts_of(path)} == {Status.PASS}


def test_what_where_can_not_say_stays_unrecorded(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{LAB}  - name: x\nmatrix: {{client.certificate: [client, null]}}\n")
    made = record(path)
    assert not made.changed
    (case,) = made.unrecorded
    assert "can't be said by backend, tool and tls" in case.why
    assert "server-refused: no-certificate with [client.certificate=null]" in case.why


def test_steps_one_by_one_up_to_one_that_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    steps = "client: client, steps: [{}, {resume: true}, {connect: {certificate: null}, expect: EXPECTED}, {}]"
    path.write_text(f"{LAB}  - {{name: x, {steps.replace('EXPECTED', '{server-refused: no-certificate}')}}}\n")
    made = record(path)
    assert [(case.name, case.written) for case in made.cases] == [
        ("x, step 1", "accepted"),
        ("x, step 2", "accepted"),
        ("x, step 4", "accepted"),
    ]
    path.write_text(f"{LAB}  - {{name: x, {steps.replace('EXPECTED', '{server-refused: expired}')}}}\n")
    made = record(path)
    assert [case.written for case in made.cases] == ["accepted", "accepted", ""]
    assert "step 3 before it does not end as expected" in made.cases[2].why


@pytest.fixture
def restless() -> Iterator[str]:
    """The address of a server without TLS in front, whose answers differ: HTTP to whoever speaks TLS, and never the same."""
    numbers = count()

    class Server(Handler):
        def setup(self) -> None:
            number = next(numbers)
            if number % 2:
                self.request.sendall(b"\x15\x03\x03\x00\x02\x02\x28")  # a fatal handshake_failure
            super().setup()

    with served(Server) as address:
        yield address


def test_what_differs_from_run_to_run_is_left_out(tmp_path: Path, restless: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{LAB}  - {{name: x, client: {{connect: '{restless}'}}}}\n  - name: y\n")
    made = record(path)
    assert [case.written for case in made.cases] == ["", "{server-refused: no-certificate}"]
    assert "it does not always end alike" in made.unrecorded[0].why
    assert made.text == path.read_text() + "    expect: {server-refused: no-certificate}\n"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[str]:
    """The address of a server that is not the lab's: it sends to the login whoever has no certificate of its authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    client = authority.issue_cert("client@lab.test")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.crt")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)

    class Server(Handler):
        def do_GET(self) -> None:
            known = isinstance(self.connection, ssl.SSLSocket) and self.connection.getpeercert() and self.path == "/"
            self.answer(200 if known else 302, {"Location": "/login"})

    with served(Server, context) as address:
        yield address


def test_accepted_cases_vouch_for_others_though_nobody_has_said_so(tmp_path: Path, front: str) -> None:
    """A redirect is a refusal where somebody else is let in, and nobody can tell where there is nobody else."""
    path = tmp_path / "scenario.yaml"
    lab = (
        "ca: {certificate: ca.crt}\nleaves: {client: {certificate: client.crt, key: client.key}}\n"
        f"server: {{backend: external, address: '{front}'}}\ncases:\n"
        "  - {name: without, client: {trust: [ca]}}\n"
    )
    path.write_text(f"{lab}  - {{name: with, client: {{certificate: client, trust: [ca]}}}}\n")
    without, known = record(path).cases
    assert without.written == "{server-refused: no-certificate, status: 302, headers: {location: /login}}"
    assert known.written == "accepted"
    path.write_text(record(path).text)
    (plan,) = chosen(Choice([f"{path}::without"]))  # by itself it ends as beside the others
    assert [verdict.status for verdict in verdicts_of(plan)] == [Status.PASS]
    never = "  - {name: never, client: {certificate: client, trust: [ca], request: {path: /never}}}\n"
    path.write_text(lab.replace("'}", "', refusal: {status: 302}}").partition("  - ")[0] + never)
    (refused,) = record(path).cases
    assert refused.written == "{server-refused: not-authorized, status: 302, headers: {location: /login}}"
    assert refused.look == "nothing speaks against `client`, and it is kept out everywhere"
    path.write_text(lab)
    (alone,) = record(path).cases
    assert alone.written == "{outcome: answered, status: 302, headers: {location: /login}}"
    assert alone.look == "nothing tells whether this answer is a refusal"


def test_a_file_that_changed_meanwhile_is_the_author_s(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(LAB + CASES)
    with RecordedFile(path) as file:
        made = record(path)
        path.write_text("mine: true\n")
        with pytest.raises(UsageError, match="changed while"):
            file.write(made)
    assert path.read_text() == "mine: true\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_file(cli: Cli) -> None:
    file = cli.directory / "scenario.yaml"
    text = LAB + CASES + "# ...\n" * 20_000
    file.write_text(text)
    limited = f"trap '' XFSZ; ulimit -f 64; exec {cli.command} record {file.name}"
    done = subprocess.run(
        ["/bin/bash", "-c", limited],
        cwd=cli.directory,
        env=cli.environment(PYTHONDONTWRITEBYTECODE="1"),  # else modules' bytecode is cut off at the limit, for good
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert file.read_text() == text
    assert list(cli.directory.iterdir()) == [file]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_file(cli: Cli, tmp_path_factory: pytest.TempPathFactory, number: signal.Signals) -> None:
    file = cli.directory / "scenario.yaml"
    file.write_text(f"{LAB}  - {{name: x, steps: [{{}}, {{wait: 300}}, {{}}]}}\n")
    tmp = tmp_path_factory.mktemp("tmp")
    environment = cli.environment(TMPDIR=str(tmp))
    del environment["PYTHONWARNINGS"]  # whatever is open where the signal comes
    with subprocess.Popen(
        [cli.command, "record", file.name],
        cwd=cli.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not list(tmp.rglob("*.key")):
            assert process.poll() is None
        assert list(cli.directory.glob(".*.unfinished"))
        process.send_signal(number)
        told, errors = process.communicate(timeout=60)
        assert (told, errors.strip()) == ("", "mtls-run: interrupted")
    assert process.returncode == 128 + number
    assert list(cli.directory.iterdir()) == [file]
    assert file.read_text().endswith("{}]}\n")


def test_a_scenario_of_the_repository_says_again_what_it_said(tmp_path: Path) -> None:
    """``python -m tests.record.scenarios`` does it with all."""
    original, here = SCENARIOS / "passphrases.yaml", Overrides(tool="python")
    made, path = recorded(original, tmp_path, here)
    assert len(made.cases) >= 10
    assert not made.unrecorded
    assert list(disagreements(original, path, here)) == []
    assert unrecorded(path.read_bytes().decode()) == unrecorded(original.read_bytes().decode())
