"""nginx as a process of this machine: the same verdicts without an engine, and nothing is left behind."""

from __future__ import annotations

import os
import select
import signal
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtls_runner import Lab, Overrides, Status, load
from mtls_runner.cli import main
from mtls_runner.runtimes.process import find_program

pytestmark = pytest.mark.usefixtures("nginx_program")

ROOT = Path(__file__).parents[2]
TEXT = """
ca: {}
leaves:
  server: {passphrase: a "quoted" one}
  good: {usage: client}
  expired: {like: good, not_before: -10d, not_after: -1d}
servers:
  strict: {backend: nginx, runtime: process, certificate: server, trust: [ca], response: {body: "a $ and \\u00e9"}}
  closed:
    like: strict
    passphrase: wrong
    expect: {starts: false, reason: wrong-passphrase, where: {when: {backend_version: ">=1000"}, expect: {starts: true}}}
cases:
  - {name: good, server: strict, client: good, expect: {outcome: accepted, body: "a $ and \\u00e9"}}
  - {name: expired, server: strict, client: expired, expect: {server-refused: expired}}
"""


def scenario(directory: Path, text: str = TEXT) -> Path:
    path = directory / "process.yaml"
    path.write_text(text)
    return path


def loopback_only(pid: int) -> Iterator[bool]:
    """Of each socket that listens and belongs to the process."""
    own = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    for family in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                yield fields[1].startswith("0100007F:")


def masters_below(directory: Path) -> dict[int, str]:
    """Processes whose command line names the directory."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(directory) in command and "nginx: master" in command:
            found[int(process.name)] = command
    return found


def test_verdicts_secrets_sockets_and_the_end(tmp_path: Path) -> None:
    """In a directory whose name needs quotes in a configuration."""
    keep = tmp_path / 'a "kept" one'
    plan = load(scenario(tmp_path), Overrides(tool="curl"))
    with Lab(plan, keep) as lab:
        for case in plan.cases:
            verdict = lab.run(case)
            assert verdict.status is Status.PASS, (case.name, verdict.error, verdict.mismatches)
        (master,) = masters_below(keep)
        assert list(loopback_only(master)) == [True]
        assert "quoted" not in Path(f"/proc/{master}/cmdline").read_text() + Path(f"/proc/{master}/environ").read_text()
        assert "docker engine" not in lab.versions()
        assert {"nginx", "openssl (nginx)"} <= set(lab.versions())
    assert masters_below(keep) == {}
    secret = [
        path
        for path in keep.rglob("*")
        if path.is_file() and any(s in path.read_bytes() for s in (b"PRIVATE", b'a "quoted'))
    ]
    assert len(secret) >= 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_without_an_engine_the_message_says_that_this_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    path = str(scenario(tmp_path))
    assert main([path, "--runtime", "container"]) == 3
    assert f"Without an engine: --runtime process runs {find_program('nginx')} instead" in capsys.readouterr().out
    assert main([path]) == 0


def test_no_docker_is_loaded(tmp_path: Path) -> None:
    code = (
        f"import sys\nfrom mtls_runner.cli import main\nassert main([{str(scenario(tmp_path))!r}]) == 0\n"
        "assert not {'docker', 'requests', 'crossplane'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_it_ends_with_a_lab_that_is_killed(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    command = [
        str(Path(sys.executable).with_name("mtls-run")),
        "serve",
        str(scenario(tmp_path)),
        "--runtime",
        "process",
    ]
    environment = os.environ | {"TMPDIR": str(keep)}
    keep.mkdir()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as lab:
        assert lab.stdout is not None
        assert any("https://localhost:" in line for line in lab.stdout)
        (master,) = masters_below(keep)
        pidfd = os.pidfd_open(master)
        lab.send_signal(signal.SIGKILL)
        lab.wait(20)
    try:
        assert select.select([pidfd], [], [], 20)[0], "nginx outlived the lab"
    finally:
        os.close(pidfd)


def test_what_stays_in_a_container_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asking = TEXT.replace("  strict: {backend", "  strict: {ocsp: leaf, backend")
    asking = asking.replace("ca: {}", "ca: {}\nresponders: {one: {}}")
    asking = asking.replace("  good: {usage", "  good: {ocsp: one, usage")
    assert main([str(scenario(tmp_path, asking)), "-k", "good"]) == 5
    assert "has no OCSP responders" in capsys.readouterr().out
    assert main(["explain", str(scenario(tmp_path))]) == 0
    assert "nginx as a process of this machine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("versions", "status"),
    [
        ('{backend_version: ">=1.0"}', Status.PASS),
        ('{backend_version: ">=1000"}', Status.FAIL),
        ('{library_version: ">=1.1.1,<9"}', Status.PASS),
        ('{library_version: ">=1000"}', Status.FAIL),
        (f'{{tool_library_version: "=={ssl.OPENSSL_VERSION.split()[1]}"}}', Status.PASS),
        ('{tool: python, tool_library_version: ">=1000"}', Status.FAIL),
    ],
)
def test_an_expectation_counts_for_some_versions(tmp_path: Path, versions: str, status: Status) -> None:
    """Of nginx, of the OpenSSL that it is linked with, and of Python's."""
    given = f"expect: {{outcome: accepted, status: 404, where: {{when: {versions}, expect: {{status: 200}}}}}}"
    text = TEXT.partition("  closed:")[0]
    text += f"cases:\n  - {{name: good, server: strict, client: good, {given}}}\n"
    plan = load(scenario(tmp_path, text))
    with Lab(plan) as lab:
        assert [lab.run(case).status for case in plan.cases] == [status]


OWN = """
ca: {}
leaves: {server: {}, good: {usage: client}}
server:
  backend: nginx
  runtime: process
  config: own.conf
  port: 443
  certificate: server
  upstreams: [app, 10.0.0.9, "unix:/run/php.sock", "unix:///run/uwsgi.sock", grpc-app]
  files: {/etc/nginx/c.pem: server.chain, /etc/nginx/k.pem: server.key, /etc/nginx/ca.pem: ca.certificate}
matrix: {client.request.path: [/, /group, /php, /grpc, /tls, /own/, /self, /socket, /variable, /uwsgi]}
cases:
  - {name: good, client: good, expect: {outcome: accepted, status: 200}}
  - {name: none, expect: {server-refused: no-certificate}}
"""
OWN_CONFIGURATION = """
user nobody-here; pid /nowhere/pid; daemon on;
events { use epoll; }
stream { server { listen 443; proxy_pass app:443; } }
http {
  upstream django { server unix:///run/uwsgi.sock; }
  upstream group { server 10.0.0.9:8000; keepalive 4; }
  server { return 204; }
  server { listen 127.0.0.1:81; listen unix:/run/self.sock; resolver 10.0.0.53; return 200 self; }
  server {
    listen 10.1.1.1:443 ssl; listen 10.1.1.2:443 ssl; listen 80;
    ssl_certificate c.pem; ssl_certificate_key /etc/nginx/k.pem; ssl_client_certificate ca.pem; ssl_verify_client on;
    error_log /nowhere/error.log; access_log syslog:server=10.0.0.1; ssl_dhparam gone.pem;
    include mime.types;
    location / { proxy_pass http://app:8080/x/; }
    location /group { proxy_pass http://group; }
    location /php { include fastcgi_params; fastcgi_pass unix:/run/php.sock; }
    location /grpc { grpc_pass grpc://grpc-app:50051; }
    location /tls { proxy_pass https://app; proxy_ssl_verify on; proxy_ssl_trusted_certificate ca.pem; proxy_ssl_name localhost; }
    location /uwsgi { uwsgi_pass django; }
    location /self { proxy_pass http://127.0.0.1:81; }
    location /socket { proxy_pass http://unix:/run/self.sock:/; }
    location /variable { set $where http://app:8080; proxy_pass $where; }
    location /own { access_log off; alias /srv/www; index own.html; }
  }
}
"""


def test_an_own_configuration_with_consent(tmp_path: Path) -> None:
    """What it is tied to is not here: addresses, users, folders, applications. Its own files lie below the run's directory."""
    files = "/srv/www/own.html: {file: own.conf}, /etc/nginx/ca.pem: ca"
    text = OWN.replace("port: 443", "port: 20001").replace("/etc/nginx/ca.pem: ca", files)
    (tmp_path / "own.conf").write_text(OWN_CONFIGURATION)
    path = scenario(tmp_path, text)
    plan = load(path, Overrides(allow_commands=True))
    with Lab(plan) as lab:
        verdicts = [lab.run(case) for case in plan.cases]
        pids = [int(file.read_text()) for file in lab.material.directory.glob("nginx/*/nginx.pid")]
        assert [all(loopback_only(pid)) for pid in pids] == [True]
    assert [(v.case.name, v.mismatches, v.error) for v in verdicts if v.status is not Status.PASS] == []


def test_an_own_configuration_stays_in_a_container_without_consent(tmp_path: Path) -> None:
    """It could have nginx do anything: an image that can't be there shows where it would run."""
    (tmp_path / "own.conf").write_text(OWN_CONFIGURATION)
    path = scenario(tmp_path, OWN.replace("port: 443", "port: 20001"))
    verdicts = []
    for consent in (False, True):
        plan = load(path, Overrides(allow_commands=consent, image="127.0.0.1:1/no/such:image"))
        with Lab(plan) as lab:
            verdicts.append(lab.run(plan.cases[0]))
    assert "no/such:image" in verdicts[0].error or "engine" in verdicts[0].error
    assert verdicts[1].status is Status.PASS, verdicts[1].error


PROXIED = """
ca: {}
leaves: {server: {}}
server:
  backend: nginx
  runtime: process
  config: own.conf
  port: 443
  client_auth: none
  files: {/etc/nginx/c.pem: server.chain, /etc/nginx/k.pem: server.key}
matrix: {client.tool: [python, curl]}
cases:
  - {name: v1, client: {proxy_protocol: v1}, expect: {outcome: accepted, body: "from 127.0.0.1"}}
  - {name: v2, client: {proxy_protocol: v2}, expect: {outcome: accepted, body: "from 127.0.0.1"}}
  - {name: without, expect: {outcome: no-connection, where: {when: {tool: curl}, expect: {curl_exit: 35}}}}
  - {name: in vain, server: {like: server, config: plain.conf}, client: {proxy_protocol: v1}, expect: {no-connection: not-tls}}
"""


def test_clients_that_speak_the_proxy_protocol(tmp_path: Path) -> None:
    """nginx says whom the header tells of; without one it hangs up. curl has version 1 only."""
    (
        tmp_path / "own.conf"
    ).write_text("""server { listen 443 ssl proxy_protocol; ssl_certificate c.pem; ssl_certificate_key k.pem;
        location / { return 200 "from $proxy_protocol_addr"; } }""")
    (tmp_path / "plain.conf").write_text((tmp_path / "own.conf").read_text().replace(" proxy_protocol;", ";"))
    plan = load(scenario(tmp_path, PROXIED), Overrides(allow_commands=True))
    with Lab(plan) as lab:
        verdicts = {case.name: lab.run(case) for case in plan.cases}
    assert [
        (name, v.mismatches, v.error) for name, v in verdicts.items() if v.status not in (Status.PASS, Status.SKIP)
    ] == []
    assert [name for name, v in verdicts.items() if v.status is Status.SKIP] == ["v2[client.tool=curl]"]
    for tool in ("python", "curl"):
        without, in_vain = (verdicts[f"{name}[client.tool={tool}]"].observation for name in ("without", "in vain"))
        assert without is not None
        assert in_vain is not None
        assert without.hint.startswith("The server expects the PROXY protocol")
        assert without.evidence[1] == "server (nginx log): broken header: what came is not the PROXY protocol"
        assert without.summary.endswith("; the server says why")
        assert (
            in_vain.evidence[1] == "server (nginx log): client sent invalid request while reading client request line"
        )
        assert in_vain.hint.startswith("The client begins with the PROXY protocol (proxy_protocol: v1)")


AROUND = """
ca: {}
leaves: {server: {}}
server:
  backend: nginx
  config: site.conf
  client_auth: none
  files: {/etc/nginx/c.pem: server.chain, /etc/nginx/k.pem: server.key}
matrix: {server.runtime: [process, container]}
cases: [{name: a, expect: {outcome: accepted, tls_version: TLS}}]
"""
SITE = "server { listen 443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem; return 204; %s}"


@pytest.mark.parametrize(
    ("site", "version"),
    [
        (SITE % "", "TLSv1.3"),
        (SITE % "ssl_protocols TLSv1.2; ", "TLSv1.2"),
        ("ssl_protocols TLSv1.2;" + SITE % "", "TLSv1.3"),  # nginx adds them up
    ],
)
def test_a_file_for_conf_d_is_served_as_the_nginx_conf_has_it(
    tmp_path: Path, nginx_engine: None, site: str, version: str
) -> None:
    """The image is made of this machine's package: of TLS both say the same."""
    del nginx_engine  # only that there is one
    (tmp_path / "site.conf").write_text(site)
    plan = load(scenario(tmp_path, AROUND.replace("TLS}", f"{version}}}")), Overrides(allow_commands=True))
    with Lab(plan) as lab:
        verdicts = [lab.run(case) for case in plan.cases]
    assert [(v.status, v.mismatches, v.error) for v in verdicts] == [(Status.PASS, (), "")] * 2


WHOLE = """events {}
http {
  include /etc/nginx/more.conf;
  server { listen 8443 ssl default_server; ssl_certificate /etc/nginx/c.pem; ssl_certificate_key /etc/nginx/k.pem; }
  server { listen 10.0.0.1:443; listen 10.0.0.2:443; }
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", 'unexpected end of file, expecting "}" in FILE:6'),
        ("}}", 'unexpected "}" in FILE:6'),
        ('  add_header X "a;\n}', 'unexpected end of file, expecting ";" or "}" in FILE:7'),
        ("  server { listen 8443 default_server; } }", "a duplicate default server for 0.0.0.0:8443 in FILE:6"),
        (
            f"  {'server { listen 10.0.0.2:443 default_server; } ' * 2}}}",
            "a duplicate default server for 10.0.0.2:443 in FILE:6",
        ),
        ("}", None),
    ],
)
def test_what_is_wrong_is_said_of_the_authors_file(tmp_path: Path, more: str, said: str | None) -> None:
    """Its line and its ports, whatever the lab has in its copy; nothing else is missing there before."""
    file = tmp_path / "site.conf"
    file.write_text(WHOLE + more)
    text = AROUND.partition("matrix:")[0].replace("config:", "runtime: process\n  port: 8443\n  config:")
    text = text.replace("files: {", "files: {/etc/nginx/more.conf: {file: more.conf}, ")
    (tmp_path / "more.conf").write_text("")
    text += "cases: [{name: a, expect: accepted}]\n"
    plan = load(scenario(tmp_path, text), Overrides(allow_commands=True))
    with Lab(plan) as lab:
        verdict = lab.run(plan.cases[0])
    assert (verdict.status is Status.PASS) == (said is None)
    if said is not None:
        assert verdict.error.startswith(f"the server did not start (bad-config): {said.replace('FILE', str(file))}\n")
        assert verdict.span is not None
        assert text.splitlines()[verdict.span.line - 1].strip() == "config: site.conf"
