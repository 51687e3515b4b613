"""What a person may write in an ``implementation.yaml``: mistakes have a place, names are found, commands need consent."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import Overrides, ScenarioError, Status, UsageError, load
from mtls_runner.cli import main
from mtls_runner.clients.declared.variables import placeholders as client_names
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import DeadlineExceeded
from mtls_runner.language.implementations.reading import DIRECTORY, read_implementation
from mtls_runner.model.endpoint import Address
from mtls_runner.runtimes.ports import reserved_port
from mtls_runner.runtimes.process import start
from mtls_runner.runtimes.template_names import CLIENT, SERVER, names_of
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.start import wait_until_ready
from mtls_runner.servers.declared.variables import placeholders as server_names

from ..verdicts import verdicts_of

SCENARIO = """\
name: own
ca: {subject: CN=Root}
leaves: {server: {}, client: {usage: client}}
server: {backend: tiny}
cases:
  - {name: good, client: client, expect: accepted}
  - {name: none, expect: {server-refused: no-certificate}}
"""

DECLARATION = """\
name: Tiny
needs: {command: openssl}
server:
  command: [openssl, s_server, -brief, -accept, '{{address}}', -cert, '{{leaf}}', -key, '{{key}}', -CAfile, '{{trust}}',
            -Verify, '9', -verify_return_error]
  dialect: openssl
  answers: stdin
  log: {facts: ['^(?P<method>[A-Z]+) (?P<path>\\S+) HTTP/1\\.\\d$'], ended: ':error:|HTTP/1'}
"""


def _tree(directory: Path, declaration: str = DECLARATION, name: str = "tiny") -> Path:
    folder = directory / "implementations" / name
    folder.mkdir(parents=True)
    (folder / "implementation.yaml").write_text(declaration)
    below = directory / "scenarios"
    below.mkdir()
    (directory / ".git").mkdir()
    (below / "own.yaml").write_text(SCENARIO.replace("tiny", name))
    return below / "own.yaml"


def _verdicts(path: Path, overrides: Overrides) -> list[tuple[Status, str]]:
    return [(one.status, one.skip_reason) for one in verdicts_of(path, overrides)]


def test_a_trees_own_declaration_runs_with_consent_and_not_without(tmp_path: Path) -> None:
    path = _tree(tmp_path)
    assert _verdicts(path, Overrides(allow_commands=True)) == [(Status.PASS, "")] * 2
    for status, why in _verdicts(path, Overrides()):
        assert status is Status.SKIP
        assert "--allow-commands" in why


def test_where_consent_is_missing_it_is_what_is_offered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And not where it helps nobody: the program is missing."""
    path = _tree(tmp_path)
    assert main([str(path)]) == 5
    assert capsys.readouterr().out.endswith("every case was skipped; with --allow-commands some are not\n")
    declaration = path.parents[1] / "implementations" / "tiny" / "implementation.yaml"
    declaration.write_text(DECLARATION.replace("{command: openssl}", "{command: no-such}"))
    assert main([str(path)]) == 5
    assert "every case was skipped" not in capsys.readouterr().out


def test_a_module_of_this_python_is_what_is_needed(tmp_path: Path) -> None:
    """One that is there is run by this Python; one that is not is a skip that says what to install."""
    path = _tree(tmp_path, DECLARATION.replace("{command: openssl}", "{module: nosuch, pypi: no-such}"))
    (status, why), _ = _verdicts(path, Overrides(allow_commands=True))
    assert status is Status.SKIP
    assert why == "Tiny is not installed: this Python has no module 'nosuch' (pip install no-such)"
    declaration = path.parents[1] / "implementations" / "tiny" / "implementation.yaml"
    (declaration.parent / "run.py").write_text("import os, sys\nos.execvp(sys.argv[1], sys.argv[1:])\n")
    text = DECLARATION.replace("{command: openssl}", "{module: ssl}")
    declaration.write_text(
        text.replace("[openssl, s_server", "['{{program}}', '{{declaration}}/run.py', openssl, s_server")
    )
    assert _verdicts(path, Overrides(allow_commands=True)) == [(Status.PASS, "")] * 2
    declaration.write_text(DECLARATION.replace("{command: openssl}", "{command: openssl, module: ssl}"))
    with pytest.raises(ScenarioError, match="what is needed is a command or a module"):
        load(path)


def test_consent_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _tree(tmp_path)
    monkeypatch.setenv("MTLS_RUN_ALLOW_COMMANDS", "1")
    assert _verdicts(path, Overrides()) == [(Status.PASS, "")] * 2


@pytest.mark.parametrize("cache", ["there", "nowhere"])
def test_a_home_that_nobody_can_write_to_is_none_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: str
) -> None:
    """As in many a container."""
    (tmp_path / "nowhere").write_text("a file, below which nothing can be made, whoever tries")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache / "cache"))
    assert _verdicts(_tree(tmp_path), Overrides(allow_commands=True)) == [(Status.PASS, "")] * 2
    assert main(["implementation", "show", "s_client"]) == 0
    assert "installed: s_client " in capsys.readouterr().out
    assert (tmp_path / cache / "cache" / "mtls-run" / "implementations").is_dir() == (cache == "there")


def test_a_shipped_name_can_not_be_taken(tmp_path: Path) -> None:
    """Which is told to who uses it; the tree's other scenarios run, as they did before that name was shipped."""
    path = _tree(tmp_path, name="haproxy")
    with pytest.raises(UsageError, match=r"implementations/haproxy/implementation.yaml: the name 'haproxy' is taken"):
        load(path)
    other = path.with_name("other.yaml")
    other.write_text(path.read_text().replace("backend: haproxy", "backend: python"))
    assert _verdicts(other, Overrides()) == [(Status.PASS, "")] * 2


def test_what_it_does_not_honour_is_skipped(tmp_path: Path) -> None:
    """Each setting that its list does not have, and one that it has."""
    path = _tree(tmp_path)
    for setting, why in (
        ("client_auth: optional", "has no client_auth optional"),
        ("verify_depth: 3", "can't be told verify_depth"),
        ("ciphers: ECDHE+AESGCM", "can't be told ciphers"),
        ("tls: [TLSv1.1]", "can't be told to speak TLSv1.1"),
        ("crl: [ca]", "can't look up the whole chain in CRLs"),
        ("response: {status: 204}", "can't be told response"),
        ("alpn: [h2]", "can't be told to choose h2 by ALPN"),
    ):
        path.write_text(SCENARIO.replace("{backend: tiny}", f"{{backend: tiny, {setting}}}"))
        for status, reason in _verdicts(path, Overrides(allow_commands=True)):
            assert (status, why in reason) == (Status.SKIP, True), (setting, reason)


CLIENT_MISTAKES = [
    ("input: x", "input: x", "has this for all of its exchanges, not for one"),
    ("response: raw", "response: raw", "has this for all of its exchanges, not for one"),
    ("command: [x, '{{ dir }}/x']", "'{{ dir }}/x'", "{{dir}} in stays.request"),
    ("stays: {request: x, done: '^done'}", "done: '^done'", "the exit code is one group"),
]
MISTAKES = [
    ("log: {connection: 'port=1'}", "log: {connection: 'port=1'}", "nothing in it tells connections apart"),
    ("log: {facts: ['(?P<tlss>x)']}", "facts: ['(?P<tlss>x)']", "did you mean 'tls'"),
    ("log: {facts: ['(unclosed']}", "facts: ['(unclosed']", "not a regular expression"),
    ("log: {refused: [{match: x, reasons: expird}]}", "reasons: expird", "did you mean 'expired'"),
    ("honours: {settings: [cipher]}", "settings: [cipher]", "did you mean 'ciphers'"),
    ("honours: {settings: [crl_check]}", "settings: [crl_check]", "crl_check: … beside 'settings', not in it"),
    ("honours: {passphrase: true}", "honours: {", "expected: settings: [passphrase]"),
    ("check: 'x -t {{ dir }}/x'", "        ^^^^^^^^^^^^^^^^^^\n", "expected: [x, '-t', '{{ dir }}/x']"),
    ("check: [x, -t {{dir}}/x]", "               ^", "quotes around the whole text"),
    ("check: {{dir}}/x", "             ^", "quotes around the whole text"),
    ("check: {{ dir }}", " ^^^^^^^\n", "a word, or quotes around a text with {{ }}"),
    ("files: {a.conf: {template: absent.j2}}", "template: absent.j2", "No such file"),
    ("files: {a.conf: {}}", "a.conf: {}", "a template or a content"),
    ("files: {../a: {content: x}}", "../a: {content: x}", "not the name of a file below"),
    ("config: a.conf", "config: a.conf", "there is no file 'a.conf'"),
    ("reload: {signal: HUPP, done: x}", "signal: HUPP", "did you mean 'HUP'"),
    ("reload: {signal: HUP, file: a.conf, done: x}", "reload:", "one of: signal, file"),
    ("reload: {done: x}", "reload:", "one of: signal, file"),
    ("reload: {file: a.conf, done: x}", "file: a.conf", "there is no file 'a.conf'"),
    ("comand: [x]", "comand: [x]", "did you mean 'command'"),
    ("check: [x, '{{ dir }}', '-{{adress}}']", "        ^^^^^^\n", "did you mean 'address'"),
    ("check: [x, '{{ alpn | jion(1) }}']", "        ^^^^\n", "did you mean 'join'"),
    ("check: [x, '{% if key %}']", "            ^^^^^^^^^^^^^^\n", "this is no template: Unexpected end"),
    ("environment: {X: '{{local_port}}'}", "   ^^^^^^^^^^\n", "no name 'local_port'"),
    ("container: {image: x, command: ['{{declaration}}']}", "   ^^^^^^^^^^^\n", "no name 'declaration'"),
    ("files: {a.conf: {content: '{{ trsut or x }}'}}", "   ^^^^^\n", "did you mean 'trust'"),
    ("files: {a.conf: {content: '{{ url }}'}}", "   ^^^\n", "no name 'url'"),
    ("log: {facts: [status]}", "facts: [status]", "no group in it says what was seen"),
    ("log: {refused: [{match: x}]}", "[{match: x}]", "nothing says what such a line means"),
    ("log: {refused: [{match: x, reasons: expired, code: 10}]}", "code: 10", "is said by reasons already"),
    ("log: {refused: [{match: x, code: 9999}]}", "     ^^^^\n", "this number is out of range"),
]


@pytest.mark.parametrize(("line", "shown", "message"), MISTAKES)
def test_mistakes_have_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, shown: str, message: str
) -> None:
    declaration = DECLARATION.split("  answers:")[0] + f"  {line}\n"
    path = _tree(tmp_path, declaration)
    assert main(["run", str(path)]) == 2
    told = "".join(capsys.readouterr())
    number = declaration.splitlines().index(f"  {line}") + 1
    assert f"implementations/tiny/implementation.yaml:{number}:" in told, told
    assert shown in told
    assert "^" in told
    assert message in told


@pytest.mark.parametrize(("line", "shown", "message"), CLIENT_MISTAKES)
def test_mistakes_of_clients_that_stay_have_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, shown: str, message: str
) -> None:
    lines = {"command": "command: [x]", "dialect": "dialect: go", "stays": "stays: {request: x, done: 'exit (.*)'}"}
    lines[line.partition(":")[0]] = line
    path = _tree(tmp_path, "name: Tiny\nclient:\n" + "".join(f"  {one}\n" for one in lines.values()))
    path.write_text(SCENARIO.replace("{backend: tiny}", "{}").replace("client: client,", "client: {tool: tiny},"))
    assert main(["run", str(path)]) == 2
    told = "".join(capsys.readouterr())
    assert shown in told
    assert message in told


def test_mistakes_in_templates_of_several_lines_have_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a block below its mark, and in a file of its own; a name in the text around is not meant, and a loop's is known."""
    block = (
        "  files:\n    a.conf:\n      content: |\n        kye =\n        {% for one in tls %}{{one}}{% endfor %}\n"
        "        kye = {{kye}}\n    b.conf: {template: b.j2}\n"
    )
    path = _tree(tmp_path, DECLARATION.split("  answers:")[0] + block)
    folder = tmp_path / "implementations" / "tiny"
    for text, place, why in (
        ("tls\n  {{ tls_mxa }}\n{% endfor %}\n", "3:1", "this is no template: "),
        ("tls\n  {{ tls_mxa }}\n", "2:6", "there is no name 'tls_mxa' in templates"),
        ("{{ tls | joyn }}\n", "1:10", "there is no filter 'joyn' in templates"),
        ("{% if tls is definde %}{% endif %}\n", "1:14", "there is no test 'definde' in templates"),
    ):
        (folder / "b.j2").write_text(text)
        assert main(["run", str(path)]) == 2
        told = "".join(capsys.readouterr())
        assert "implementation.yaml:12:17: error: there is no name 'kye'" in told, told
        assert "= did you mean 'key'?" in told
        assert f"b.j2:{place}: error: {why}" in told, told


def test_templates_may_name_what_the_documentation_has(tmp_path: Path) -> None:
    """No more and no less; and those that come with the lab, which are not looked at in each run, name nothing else."""
    (case, *_) = load(_tree(tmp_path), Overrides(allow_commands=True)).cases
    assert case.client is not None
    assert set(server_names(case.server)) == set(names_of(SERVER))
    assert set(client_names(case.client)) == set(names_of(CLIENT))
    for declaration in DIRECTORY.glob("*/implementation.yaml"):
        read_implementation(declaration)


@pytest.mark.parametrize(
    ("declaration", "message", "expected"),
    [
        ("name: Nothing\n", "neither serves nor connects", "server, client, or both"),
        ("", "the file is empty", "name, and server, client, or both"),
        (
            "name: C\nserver: {command: [c], dialect: go}\nversion: {command: [c], match: version}\n",
            "what is looked for is one group",
            "one group, as in version",
        ),
        (
            "name: C\nclient: {command: [c], dialect: go}\n",
            "this is not a backend",
            "one of: python, nginx, external, apache",
        ),
    ],
)
def test_a_declaration_without_a_server(tmp_path: Path, declaration: str, message: str, expected: str) -> None:
    with pytest.raises(ScenarioError, match=message) as told:
        load(_tree(tmp_path, declaration))
    assert told.value.diagnostics[0].expected.startswith(expected)


def test_a_template_can_not_be_left(tmp_path: Path) -> None:
    """What a scenario says stays a value, whatever characters it has; what can't be written is a skip."""
    declaration = DECLARATION.replace(
        "  answers:",
        "  files: {lab.conf: {content: 'ciphers = {{ciphers}}', syntax: line}}\n  honours: {settings: [ciphers]}\n  answers:",
    )
    path = _tree(tmp_path, declaration)
    path.write_text(SCENARIO.replace("{backend: tiny}", '{backend: tiny, ciphers: " exec = /bin/sh"}'))
    for status, reason in _verdicts(path, Overrides(allow_commands=True)):
        assert status is Status.SKIP
        assert "does not fit on a line" in reason


STAYING = """\
name: Staying
client:
  command: [./client]
  dialect: openssl
  stays: {request: '{{dir}}/curlrc', done: '^exit (\\d+)$'}
  files:
    curlrc:
      syntax: line
      content: |
        url={{url}}
        cacert={{trust}}
        {% if certificate %}
        cert={{certificate}}
        key={{key}}
        {% endif %}
  facts: ['^HTTP/1.1 (?P<status>\\d+)']
"""
SERVICE = '''#!/usr/bin/env python3
"""Somebody's own service: address, certificate, key, trust."""
import http.server, ssl, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"own")

host, _, port = sys.argv[1].rpartition(":")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
context.load_verify_locations(sys.argv[4])
context.verify_mode = ssl.CERT_REQUIRED

class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        sock, peer = super().get_request()
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), peer

    def handle_error(self, request, peer):
        print(f"{peer[1]} failed: {sys.exc_info()[1]}\\n", end="", flush=True)

Server((host, int(port)), Handler).serve_forever()
'''
IN_PLACE = """\
name: own service
ca: {subject: CN=Root}
authorities: {other: {subject: CN=Other}}
leaves: {server: {issuer: ca}, client: {issuer: ca, usage: client}, foreign: {issuer: other, usage: client}}
server:
  trust: [ca]
  backend:
    command: [./service, '{{address}}', '{{certificate}}', '{{key}}', '{{trust}}']
    dialect: openssl
    log:
      connection: '^{{client_port}} failed: '
cases:
  - {name: good, client: client, expect: {outcome: accepted, body: own}}
"""


def _service(tmp_path: Path, text: str) -> Path:
    (tmp_path / "service").write_text(SERVICE)
    (tmp_path / "service").chmod(0o755)
    (tmp_path / "own.yaml").write_text(text)
    return tmp_path / "own.yaml"


def test_a_service_is_declared_in_place(tmp_path: Path) -> None:
    """Its words are Python's, which has no codes in them; alerts and what the client saw say the rest."""
    text = IN_PLACE.replace("cases:\n", "cases:\n  - {name: none, expect: {server-refused: no-certificate}}\n")
    path = _service(tmp_path, text)
    assert _verdicts(path, Overrides(allow_commands=True)) == [(Status.PASS, "")] * 2
    assert {status for status, _ in _verdicts(path, Overrides())} == {Status.SKIP}


def test_an_alert_says_what_a_log_leaves_open(tmp_path: Path) -> None:
    """As hitch's, mosquitto's and PostgreSQL's, which know nothing of verify codes."""
    good, stale = (
        "client: {issuer: ca, usage: client}",
        "stale: {issuer: ca, usage: client, not_before: -9d, not_after: -1d}",
    )
    cases = "".join(
        f"  - {{name: {name}, client: {name}, expect: {{server-refused: [expired, crl-expired]}}}}\n"
        for name in ("stale", "foreign")
    )
    path = _service(tmp_path, IN_PLACE.replace(good, f"{good}, {stale}") + cases)
    words = "error:0A000086:SSL routines::certificate verify failed"
    (tmp_path / "service").write_text(SERVICE.replace("{sys.exc_info()[1]}", words))
    statuses = [status for status, _ in _verdicts(path, Overrides(allow_commands=True))]
    assert statuses == [Status.PASS, Status.PASS, Status.FAIL]


@pytest.mark.parametrize("flush", [True, False])
def test_a_log_that_comes_when_a_buffer_is_full_is_found_out_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, flush: bool
) -> None:
    """Otherwise each refusal would be read from somebody else's lines, or from none."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    path = _service(tmp_path, IN_PLACE)
    (tmp_path / "service").write_text(SERVICE.replace("flush=True", f"flush={flush}"))
    (verdict,) = verdicts_of(path, Overrides(allow_commands=True))
    if flush:
        assert verdict.status is Status.PASS, verdict.error
    else:
        assert verdict.status is Status.ERROR
        assert "is its output buffered, or does `log.connection` not match what it writes?" in verdict.error


@pytest.mark.parametrize(
    ("change", "instead", "message"),
    [
        (
            "super().get_request()",
            '__import__("os")._exit(7)',
            "./service ended with exit code 7; its last words: nothing",
        ),
        (
            "host, _,",
            "sys.exit(0)\nhost, _,",
            "exit code 0, and has to stay in the foreground",
        ),
        ("host, _,", '__import__("os").abort()\nhost, _,', "was ended by SIGABRT"),
        ("((host, int", '(("", int', "listens beyond loopback, on 0.0.0.0:"),
        ("host, _,", '__import__("time").sleep(100)\nhost, _,', "within 1 s (starts_within): nothing listens there"),
    ],
)
def test_what_a_service_does_instead_of_serving_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, instead: str, message: str
) -> None:
    limit = "    starts_within: 1\n" if "sleep" in instead else ""
    path = _service(tmp_path, IN_PLACE.replace("    dialect:", f"{limit}    dialect:"))
    assert change in SERVICE
    (tmp_path / "service").write_text(SERVICE.replace(change, instead))
    assert main(["run", str(path), "--allow-commands"]) == 3
    assert message in "".join(capsys.readouterr())


_ELSEWHERE = """
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print("ACCEPT", flush=True)
time.sleep(60)
"""
_IN_THE_CLEAR = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ACCEPT", flush=True)
while True:
    with server.accept()[0] as peer:
        peer.recv(9999)
        peer.sendall(b"HTTP/1.0 400 Bad Request\\r\\n\\r\\n")
"""
_ANOTHER = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=another -keyout k -out c 2>/dev/null; "
    'exec openssl s_server -www -accept "127.0.0.1:$0" -cert c -key k'
)


@pytest.mark.parametrize(
    ("command", "limit", "instead"),
    [
        ([sys.executable, "-c", _ELSEWHERE], 600, r": nothing listens there, but on 127\.0\.0\.1:\d+"),
        ([sys.executable, "-c", _IN_THE_CLEAR], 600, ": what answers there is no TLS"),
        (["/bin/sh", "-c", _ANOTHER], 600, ": another one is shown there, CN=another"),
        (["/bin/sh", "-c", "echo ACCEPT; exec sleep 60"], 1, ": nothing listens there;"),
        ([sys.executable, "-c", _IN_THE_CLEAR], 2, ": what answers there is no TLS"),
    ],
)
def test_what_there_is_instead_of_the_labs_own_certificate_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], limit: int, instead: str
) -> None:
    """What listens nowhere may still begin; what does otherwise has less time, unless its declaration says how long it has."""
    for name in ("_SETTLED_SECONDS", "_GREETING_SECONDS"):
        monkeypatch.setattr(f"mtls_runner.servers.declared.start.{name}", 0.5)
    deadline = Deadline.after(limit)
    declared = read_implementation(DIRECTORY / "s_server" / "implementation.yaml").server
    assert declared is not None
    declared = replace(declared, starts_within=2 if limit == 2 else None)
    with reserved_port(tmp_path / "ports") as port, start([*command, str(port)], tmp_path) as program:
        while program.log.take(Deadline.after(20)) != "ACCEPT":
            assert program.exit_code() is None
        with pytest.raises(DeadlineExceeded, match=instead):
            wait_until_ready(
                program,
                declared,
                Address("127.0.0.1", port),
                b"the lab's own",
                ConnectionLog(declared.log),
                deadline,
                listens_on=program.listens_on,
            )
    assert deadline.passed is (limit < 600)


def test_an_application_of_one_s_own_runs_with_consent() -> None:
    """The scenario that the documentation names."""
    path = Path(__file__).parents[2] / "scenarios" / "application" / "own.yaml"
    assert _verdicts(path, Overrides(allow_commands=True)) == [(Status.PASS, "")] * 10
    assert {status for status, _ in _verdicts(path, Overrides())} == {Status.SKIP}


@pytest.mark.parametrize(
    ("command", "title"),
    [
        (
            "['{{python}}', -u, '{{declaration}}/service', '{{address}}', '{{certificate}}', '{{key}}', '{{trust}}']",
            "service",
        ),
        ("[./service, '{{address}}', '{{certificate}}', '{{key}}', '{{trust}}']", "./service"),
    ],
)
def test_a_service_in_place_is_called_by_its_file(tmp_path: Path, command: str, title: str) -> None:
    deep = IN_PLACE.replace("  trust: [ca]", "  trust: [ca]\n  verify_depth: 3")
    path = _service(tmp_path, re.sub(r"command: .*", lambda _: f"command: {command}", deep))
    (verdict,) = verdicts_of(path, Overrides(allow_commands=True))
    assert verdict.status is Status.SKIP
    assert verdict.skip_reason.startswith(f"{title} ")


def test_a_client_is_declared_in_place(tmp_path: Path) -> None:
    """curl itself, as anybody would wrap a client of their own."""
    text = IN_PLACE[: IN_PLACE.index("  backend:")] + (
        "cases:\n"
        "  - name: good\n"
        "    client:\n"
        "      certificate: client\n"
        "      tool:\n"
        "        command: [curl, -s, -i, --cacert, '{{trust}}', --cert, '{{certificate}}', --key, '{{key}}', '{{url}}']\n"
        "        dialect: openssl\n"
        "        response: raw\n"
        "    expect: accepted\n"
    )
    path = _service(tmp_path, text)
    assert _verdicts(path, Overrides(allow_commands=True)) == [(Status.PASS, "")]
    assert {status for status, _ in _verdicts(path, Overrides())} == {Status.SKIP}


@pytest.mark.parametrize(
    ("ready", "before", "after", "processes", "late"),
    [
        ("", "", "", 1, 0),
        ("", "", "exit", 3, 0),
        ("ready: '^up$', ", "wc -l <processes | grep 2 || sleep 2.7; echo up", "", 1, 0),
        (
            "",
            "wc -l <processes | grep 2 || sleep 2.7; echo up",
            "",
            2,
            1,
        ),  # half a second more than its `timeout` is too late
        ("ready: '^up$', ", "echo down; exit 3", "", 3, 3),
    ],
    ids=["as usual", "ends", "starts slowly", "starts slowly, untold", "never ready"],
)
def test_a_client_that_stays_makes_all_exchanges_and_ends_with_the_lab(
    tmp_path: Path, ready: str, before: str, after: str, processes: int, late: int
) -> None:
    """One that ends after each all the same is started again; the time of a start that is told is not an exchange's."""
    path = _tree(tmp_path, STAYING.replace("done:", f"{ready}done:"))
    good = "  - {name: good, client: {certificate: client, tool: tiny, timeout: 2}, expect: accepted}\n"
    none = "  - {name: none, client: {certificate: null, tool: tiny, timeout: 2}, expect: {server-refused: no-certificate}}\n"
    text = SCENARIO.replace("{backend: tiny}", "{}").partition("cases:")[0]
    path.write_text(f"{text}cases:\n{good}{none}{good.replace('good', 'again')}")
    client = tmp_path / "implementations" / "tiny" / "client"
    client.write_text(
        '#!/bin/sh\ncd "$(dirname "$0")"\necho $$ >>processes\n'
        f'{before}\nwhile read -r settings; do\n    curl -q -sSi -K "$settings"\n    echo "exit $?"\n    {after}\ndone\n'
    )
    client.chmod(0o755)
    statuses = [status for status, _ in _verdicts(path, Overrides(allow_commands=True))]
    assert [status is Status.PASS for status in statuses] == [False] * late + [True] * (3 - late)
    ran = [int(line) for line in (client.parent / "processes").read_text().split()]
    assert len(ran) == processes
    for process in ran:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("    dialect: openssl\n", "    dialect: opensl\n", "did you mean 'openssl'"),
        ("    dialect: openssl\n", "", "'dialect' is missing"),
        ("    dialect: openssl\n", "    dialect: openssl\n    commnd: x\n", "did you mean 'command'"),
        ("[./service,", "[python3, service,", "expected: {{declaration}}/service"),
        ("'{{address}}'", "'{{adress}}'", "did you mean 'address'?"),
        (
            "{name: good,",
            "{name: good, server: {backend: {command: [./service, '{{adress}}'], dialect: go}},",
            "'adress'",
        ),
        (
            "client: client,",
            "client: {certificate: client, tool: {command: [c, '{{adress}}'], dialect: go}},",
            "'adress'",
        ),
    ],
)
def test_mistakes_in_place_have_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, wrong: str, message: str
) -> None:
    text = IN_PLACE.replace(line, wrong)
    path = _service(tmp_path, text)
    assert main(["run", str(path)]) == 2
    told = "".join(capsys.readouterr())
    assert message in told
    before, word, _ = text.partition("adress")
    if word:
        assert f"own.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: error" in told
    assert "own.yaml:" in told


def test_mistakes_in_lab_yaml_are_told_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what lies beside it is found, wherever the scenario is."""
    arguments = "'{{address}}', '{{certificate}}', '{{key}}', '{{trust}}'"
    declared = f"defaults: {{server: {{backend: {{command: [./service, {arguments}], dialect: openssl}}}}}}"
    _service(tmp_path, "")
    (tmp_path / "below").mkdir()
    path = tmp_path / "below" / "own.yaml"
    path.write_text(re.sub(r"  backend:\n(    .*\n)+", "", IN_PLACE))
    (tmp_path / "lab.yaml").write_text(declared.replace("address", "adress"))
    assert main(["run", str(path)]) == 2
    assert "lab.yaml:1:" in "".join(capsys.readouterr())
    (tmp_path / "lab.yaml").write_text(declared)
    assert _verdicts(path, Overrides(allow_commands=True)) == [(Status.PASS, "")]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("[./service, '{{1 // 0}}'", "command's command: integer division or modulo by zero"),
        ("[./own.yaml, '{{address}}'", "'./own.yaml' is not executable: chmod +x, or"),
        ("[./servize, '{{address}}'", "there is no program './servize'"),
    ],
)
def test_commands_that_can_not_be_run_say_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str, message: str
) -> None:
    path = _service(tmp_path, IN_PLACE.replace("[./service, '{{address}}'", wrong))
    assert main(["run", str(path), "--allow-commands"]) == 3
    assert message in "".join(capsys.readouterr())


def test_a_schema_that_is_printed_here_knows_what_is_declared_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    for name, side in (("mine", "server"), ("tidy", "client")):
        folder = tmp_path / "implementations" / name
        folder.mkdir(parents=True)
        (folder / "implementation.yaml").write_text(f"name: {name}\n{side}: {{command: [x], dialect: go}}\n")
    schemas = []
    for place in (tmp_path, Path(__file__).parent):
        monkeypatch.chdir(place)
        assert main(["schema", "scenario"]) == 0
        schemas.append(json.loads(capsys.readouterr().out))
    there, elsewhere = (
        (known["ServerDescription"]["properties"]["backend"], known["ClientDescription"]["properties"]["tool"])
        for known in (one["definitions"] for one in schemas)
    )
    assert [("mine" in str(end), "tidy" in str(end)) for end in there] == [(True, False), (False, True)]
    assert [("mine" in str(end), "tidy" in str(end)) for end in elsewhere] == [(False, False)] * 2


def test_list_show_and_new(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    assert main(["implementation", "list"]) == 0
    told = capsys.readouterr().out
    for name, honoured in (("haproxy", "crl_check chain"), ("s_client", "insecure"), ("go", "groups")):
        assert f"\n{name}  " in f"\n{told}"
        assert honoured in told
    assert main(["implementation", "show", "haproxy"]) == 0
    assert "ca_verify=" in capsys.readouterr().out
    assert main(["implementation", "show", "haprxy"]) == 2
    assert "did you mean 'haproxy'" in capsys.readouterr().err
    assert main(["implementation", "new", "mine"]) == 0
    written = (tmp_path / "implementations" / "mine" / "implementation.yaml").read_text()
    capsys.readouterr()
    assert main(["implementation", "show", "mine"]) == 0
    assert "there is no 'mine' on PATH" in capsys.readouterr().out
    path = tmp_path / "implementations" / "mine" / "implementation.yaml"
    path.write_text(written.replace("dialect: openssl", "dialect: opensl"))
    shown = r"^implementations/mine/implementation.yaml:14:12: error: this is not a dialect\n 14 \|.*\n    \| {12}\^"
    for command in ("show", "check"):
        assert main(["implementation", command, "mine"]) == 2
        assert re.search(shown, capsys.readouterr().err, re.MULTILINE)
    path.write_text(written)
    assert main(["implementation", "show", "nginx"]) == 2
    assert "no file declares 'nginx'" in capsys.readouterr().err
    assert main(["implementation", "new", "mine"]) == 2
    assert (tmp_path / "implementations" / "mine" / "implementation.yaml").read_text() == written
    assert main(["implementation", "new", "curl"]) == 2
    assert "is taken" in capsys.readouterr().err


@pytest.mark.timeout(120)
def test_a_check_of_ones_own_proves_what_it_says_and_finds_what_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _tree(tmp_path, name="mine")
    monkeypatch.chdir(path.parent)
    text = (DIRECTORY / "s_client" / "implementation.yaml").read_text()
    text = text[: text.index("  start:\n")] + "  honours: {settings: [insecure]}\n"
    text += "  differs: [{case: by a name that it does not have, outcome: accepted}]\n"
    text += "  refused: [{match: 'verify error:num=(?P<code>[0-9]+)'}]\n"
    text = re.sub(r"\n  honours:\n(    .*\n| {15}.*\n)+", "\n", text)
    declared = tmp_path / "implementations" / "mine" / "implementation.yaml"
    declared.write_text(text)
    assert main(["implementation", "check", "mine"]) == 1
    output, progress = capsys.readouterr()
    told = [line.strip() for line in output.splitlines()]
    assert told[0] == "mine:"
    assert progress == f"1/1  mine, {told[1]}\n"  # no terminal: a line for each that ends
    # No pattern knows what it says of its own key, and it has not connected.
    assert told[3].startswith("client (mine ")
    assert [line for line in told[2:] if " (" not in line] == [
        "broken: the client's key is of another type: nothing that the lab recognises: no outcome fits what was seen",
        "unproved setting: differs: by a name that it does not have",
        "client: 0 unseen patterns, 1 unproved settings, 1 broken cases",
    ]
    declared.write_text(text.replace("- s_client\n", "- s_clint\n", 1))
    assert main(["implementation", "check", "mine"]) == 1
    output, progress = capsys.readouterr()
    told = [line.strip() for line in output.splitlines()]
    assert progress == "1/1  mine, client: 1 case\n"
    assert told[:2] == ["mine:", "client: 1 case: the control does not go well, and nothing after it was run"]
    assert told[2].startswith("broken: good: ")
    assert told[-1] == "both ends: mtls-run FILE --tool mine --allow-commands -v"


HITCH = """\
name: behind hitch
ca: {subject: CN=Root}
leaves:
  server: {}
  new: {subject: CN=new}
  nameless: {san: ["IP:127.0.0.1"]}
  client: {usage: client}
  expired: {like: client, not_before: -9d, not_after: -1d}
servers:
  hitch: {backend: hitch, certificate: server, trust: [ca]}
  nameless: {like: hitch, certificate: nameless}
cases:
  - {name: good, server: hitch, client: client, expect: accepted}
  - {name: none, server: hitch, expect: {server-refused: no-certificate}}
  - {name: expired, server: hitch, client: expired, expect: {server-refused: [expired, crl-expired]}}
  - {name: no DNS name, server: nameless, client: {certificate: client, insecure: true}, expect: {no-connection: closed}}
  - name: reloaded
    server: hitch
    client: client
    steps:
      - {expect: {outcome: accepted, server_subject: CN=server}}
      - {replace: {certificate: new}}
      - reload
      - {expect: {outcome: accepted, server_subject: CN=new}}
"""


def test_the_one_that_the_documentation_shows_whole(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "implementations.md").read_text()
    shown = page.partition("<!-- hitch -->\n```yaml\n")[2].partition("```\n")[0]
    path = _tree(tmp_path, shown, "hitch")
    path.write_text(HITCH)
    verdicts = _verdicts(path, Overrides(allow_commands=True))
    if not os.environ.get("CI") and "hitch is not installed" in verdicts[0][1]:
        pytest.skip(verdicts[0][1])
    assert verdicts == [(Status.PASS, "")] * 5
