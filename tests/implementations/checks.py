"""``implementation check`` finds what is wrong with a declaration, and nothing with the one that is right.

Each runs a whole check; CI runs them by the name of this file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.cli import main
from mtls_runner.language import Overrides
from mtls_runner.model.verdict import Status
from tests.verdicts import verdicts_of

SERVER = r"""
import json, socket, ssl, sys, threading

lab = json.load(open(sys.argv[1]))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = getattr(ssl.TLSVersion, lab["tls_min"].replace(".", "_"))
context.maximum_version = getattr(ssl.TLSVersion, lab["tls_max"].replace(".", "_"))
context.load_cert_chain(lab["certificate"], lab["key"])
context.load_verify_locations(lab["trust"])
context.verify_mode = ssl.CERT_REQUIRED


def serve(plain, port):
    try:
        with context.wrap_socket(plain, server_side=True) as end:
            request = end.recv(4096)
            (((_, name),),) = end.getpeercert()["subject"]
            end.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        said = f"served {request.split()[0].decode()} to CN={name}" if request else "left"
    except (OSError, IndexError) as error:
        said = f"refused {error}"
    sys.stdout.write(f"port={port} {said}\n")
    sys.stdout.flush()


with socket.create_server((lab["host"], lab["port"]), backlog=64) as listener:
    while True:
        plain, (_, port) = listener.accept()
        plain.settimeout(10)
        threading.Thread(target=serve, args=(plain, port), daemon=True).start()
"""
DECLARATION = r"""
name: mine
server:
  command: ['{{python}}', '{{declaration}}/server.py', '{{dir}}/lab.json']
  dialect: openssl
  files: {lab.json: {syntax: json, content: '{{everything}}'}}
  log:
    connection: 'port={{client_port}}\b'
    ended: 'port=\d+ (served|refused|left)'
    facts: ['served \S+ to (?P<subject>\S.*)$']
"""
SWAPPED = r"""
    refused:
      - {match: certificate has expired, reasons: unknown-ca}
      - {match: unable to get local issuer, reasons: expired}
"""


def _declared(directory: Path, declaration: str, program: str, name: str = "server.py") -> None:
    (directory / ".git").mkdir()
    folder = directory / "implementations" / "mine"
    folder.mkdir(parents=True)
    (folder / "implementation.yaml").write_text(declaration)
    (folder / name).write_text(program)


def _checked(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> list[str]:
    monkeypatch.chdir(directory)
    assert main(["implementation", "check", "mine"]) == code
    return [line.strip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("declaration", "program", "found"),
    [
        (DECLARATION, SERVER, []),
        (DECLARATION.rstrip() + SWAPPED, SERVER, ["reads another reason than was made: expired: unknown-ca"]),
        (DECLARATION.rstrip() + SWAPPED, SERVER, ["reads another reason than was made: foreign: expired"]),
        (
            DECLARATION.replace("dialect: openssl", "dialect: go"),
            SERVER,
            ["reads no line about whom it refused: expired: is go its TLS library's dialect?"],
        ),
        (
            DECLARATION.replace("served \\S+ to (?P", "served by (?P"),
            SERVER,
            ["unseen fact: served by (?P<subject>\\S.*)$"],
        ),
        (
            DECLARATION,
            SERVER.replace("CN={name}", "CN=client"),
            ["tells another client_subject than came: who it is: CN=client"],
        ),
        (
            DECLARATION,
            SERVER.replace('lab["tls_min"]', '"TLSv1.2"').replace('lab["tls_max"]', '"TLSv1.3"'),
            ["broken: only TLS 1.2 and 1.3: mine has to speak TLSv1.3 here, and speaks TLSv1.2: it was not told, "],
        ),
        (DECLARATION, SERVER.replace("CERT_REQUIRED", "CERT_NONE"), ["broken: good: "]),
        (
            DECLARATION,
            SERVER.replace("port={port}", "port={port}0"),
            ["is its output buffered, or does `log.connection` not match what it writes?"],
        ),
    ],
    ids=["right", "expired", "foreign", "dialect", "fact", "subject", "versions", "everybody", "port"],
)
def test_of_a_server(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    declaration: str,
    program: str,
    found: list[str],
) -> None:
    _declared(tmp_path, declaration, program)
    told = _checked(tmp_path, monkeypatch, capsys, 1 if found else 0)
    if not found:
        assert told[2:] == ["server: 0 unseen patterns, 0 unproved settings, 0 broken cases"]
    for text in found:
        assert any(text in line for line in told), told


PAGE = (Path(__file__).parents[2] / "docs" / "implementations.md").read_text()


def _shown(name: str) -> str:
    """What the documentation shows, and proves by these tests."""
    return PAGE.partition(f"<!-- {name} -->\n```")[2].partition("\n")[2].partition("```\n")[0]


CLIENT, AS_CLIENT = _shown("get.py"), _shown("mine")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("declaration", "program", "code", "found"),
    [
        (AS_CLIENT, CLIENT, 0, ["client: 0 unseen patterns, 0 unproved settings, 0 broken cases"]),
        (
            AS_CLIENT.replace("'^port (?P<local_port>\\d+)', ", ""),
            CLIENT.replace('f"{type(error).__name__}: {error}"', '"Odd words"'),
            1,
            [
                "it does not tell from which port it connects, so that what a server saw of it is not",
                "client (mine ): Odd words",
            ],
        ),
        (
            AS_CLIENT,
            CLIENT.replace("[1], flush", "[1] + 1, flush"),
            1,
            ["broken: good: the server saw no connection from the port that it tells (local_port)"],
        ),
    ],
    ids=["right", "no port", "wrong port"],
)
def test_of_a_client(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    declaration: str,
    program: str,
    code: int,
    found: list[str],
) -> None:
    _declared(tmp_path, declaration, program, "get.py")
    told = _checked(tmp_path, monkeypatch, capsys, code)
    for text in found:
        assert any(line.startswith(text) for line in told), told


LAB = """\
ca: {subject: CN=Root}
leaves: {server: {}, client: {usage: client}}
server: {certificate: server, trust: [ca]}
cases:
  - {name: none, client: {tool: mine}, expect: {server-refused: no-certificate}}
  - {name: good, client: {tool: mine, certificate: client}, expect: accepted}
matrix: {client.tls: [TLSv1.2, TLSv1.3]}
"""


@pytest.mark.parametrize("told", [True, False])
def test_a_client_that_speaks_another_version_than_the_case_says_proves_nothing(tmp_path: Path, *, told: bool) -> None:
    program = CLIENT if told else CLIENT.replace('lab["tls_min"]', '"TLSv1.2"').replace('lab["tls_max"]', '"TLSv1.3"')
    _declared(tmp_path, AS_CLIENT, program, "get.py")
    path = tmp_path / "lab-of-mine.yaml"
    path.write_text(LAB)
    verdicts = verdicts_of(path, Overrides(allow_commands=True))
    seen = {verdict.case.name: (verdict.status, verdict.error) for verdict in verdicts}
    error = "mine has to speak TLSv1.2 here, and speaks TLSv1.3: it was not told, or does not honour it"
    of_1_2 = (Status.PASS, "") if told else (Status.ERROR, error)
    assert seen == {
        f"{name}[client.tls={version}]": of_1_2 if version == "TLSv1.2" else (Status.PASS, "")
        for name in ("none", "good")
        for version in ("TLSv1.2", "TLSv1.3")
    }
