"""People's own configurations as processes of this machine: with consent, below a directory of their own, on loopback."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtls_runner import Lab, Overrides, Status, load
from mtls_runner.cli import main
from mtls_runner.model.traits import Runtime
from mtls_runner.model.verdict import Verdict
from mtls_runner.reporters.visit import visit
from mtls_runner.runtimes.ports import reserved_port

from ..verdicts import verdicts_of

ROOT = Path(__file__).parents[2]
NAMES = ["apache", "envoy", "haproxy"]
WRONG = """\
  - {name: wrong none, expect: {server-refused: no-certificate}}
  - {name: wrong revoked, client: operator, expect: {server-refused: revoked}}
  - {name: wrong trusted, client: operator, expect: {server-refused: unknown-ca}}
"""
DIRECTIVES = {
    "apache": ("SSLVerifyClient require", "SSLCARevocationFile with SSLCARevocationCheck chain"),
    "envoy": ("require_client_certificate: true", "crl of the validation_context"),
    "haproxy": ("verify required", "crl-file"),
}
HINTS = (
    "The configuration lets in who has no certificate: {0} would refuse.",
    "The configuration looks operator up in no CRL that it is on: {1} would refuse.",
    "operator leads to ca, which the server trusts.",
)


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[int, int]]:
    with reserved_port(tmp_path / "locks") as edge, reserved_port(tmp_path / "locks") as application:
        yield edge, application


def _as_a_process(name: str, directory: Path, ports: tuple[int, int]) -> Path:
    """The scenario of `scenarios/` with relative paths and ports of loopback, as its author would change it."""
    edge, application = (str(port) for port in ports)
    for file in (ROOT / "scenarios" / name).iterdir():
        text = re.sub(rf"/etc/{name}[0-9]?/(tls/)?", "tls/", file.read_text())
        text = text.replace("/run/httpd.pid", "httpd.pid").replace("8080", application)
        if file.name == "own.yaml":
            text = text.replace("  port: 8443\n", "").replace("  config:", f"  port: {edge}\n  config:")
        else:
            text = text.replace("bind :443", f"bind 127.0.0.1:{edge}").replace("*:443", f"127.0.0.1:{edge}")
            text = text.replace("Listen 443", f"Listen 127.0.0.1:{edge}")
            text = text.replace("0.0.0.0, port_value: 8443", f"127.0.0.1, port_value: {edge}")
        (directory / file.name).write_text(text)
    return directory / "own.yaml"


def _verdicts(path: Path, *, consent: bool = True) -> list[Verdict]:
    wanted = Overrides(runtime=Runtime.PROCESS, tool="python", allow_commands=consent)
    return verdicts_of(path, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_with_consent(name: str, tmp_path: Path, ports: tuple[int, int]) -> None:
    """As in its container; and without consent not at all. Whom it lets in where it should not, it is told in its own words."""
    path = _as_a_process(name, tmp_path, ports)
    path.write_text(path.read_text().replace("\ncases:\n", f"\ncases:\n{WRONG}"))
    verdicts = _verdicts(path)
    wrong, found = verdicts[:3], verdicts[3:]
    assert {one.status for one in wrong} == {Status.FAIL}
    told = [one.observation.hint.replace("`", "") for one in wrong if one.observation is not None]
    assert told == [text.format(*DIRECTIVES[name]) for text in HINTS]
    assert [(v.case.name, v.error, v.mismatches, v.skip_reason) for v in found if v.status is not Status.PASS] == []
    assert len(found) > 8
    for verdict in _verdicts(path, consent=False):
        assert (verdict.status, "--allow-commands" in verdict.skip_reason) == (Status.SKIP, True)


@pytest.mark.parametrize(
    ("name", "here", "elsewhere", "why"),
    [
        ("haproxy", "bind 127.0.0.1:", "bind :", "listens beyond loopback (:"),
        ("haproxy", "bind 127.0.0.1:", "bind [::1]:1,ipv4@*:", "listens beyond loopback (ipv4@*:"),
        ("apache", "Listen 127.0.0.1:", "Listen ", "listens beyond loopback ("),
        ("envoy", "address: 127.0.0.1, port", "address: 0.0.0.0, port", "listens beyond loopback (0.0.0.0)"),
        ("haproxy", "  files:\n    tls/", "  files:\n    /srv/", "below its own directory only, not /srv/site.pem"),
    ],
)
def test_what_a_process_must_not_do_is_a_skip(
    name: str, here: str, elsewhere: str, why: str, tmp_path: Path, ports: tuple[int, int]
) -> None:
    path = _as_a_process(name, tmp_path, ports)
    for file in tmp_path.glob("*.*"):
        file.write_text(file.read_text().replace(here, elsewhere))
    found = _verdicts(path)
    assert found
    for verdict in found:
        assert (verdict.status, why in verdict.skip_reason) == (Status.SKIP, True), verdict.skip_reason


def test_a_listener_that_its_text_hides_is_found_out(
    tmp_path: Path, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel says counts, whatever the configuration looked like."""
    path = _as_a_process("haproxy", tmp_path, ports)
    file = tmp_path / "haproxy.cfg"
    file.write_text(file.read_text().replace("bind 127.0.0.1:", 'bind "${WHERE}":', 1))
    monkeypatch.setenv("WHERE", "127.0.0.1")
    assert {verdict.status for verdict in _verdicts(path)} == {Status.PASS}
    monkeypatch.setenv("WHERE", "0.0.0.0")  # noqa: S104 - what must not come of it
    for verdict in _verdicts(path):
        assert verdict.status is Status.ERROR
        assert f"listens beyond loopback, on 0.0.0.0:{ports[0]}, and was ended" in verdict.error


def test_without_an_engine_the_message_says_that_this_exists(
    tmp_path: Path, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _as_a_process("haproxy", tmp_path, ports)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for verdict in verdicts_of(path, Overrides(allow_commands=True)):
        assert ". Without an engine: --runtime process runs HAProxy on this machine" in verdict.error
    assert {verdict.status for verdict in _verdicts(path)} == {Status.PASS}


def test_one_that_expects_the_proxy_protocol(tmp_path: Path, ports: tuple[int, int]) -> None:
    """It is found out while HAProxy starts; who comes without it hears nothing, and reads why."""
    path = _as_a_process("haproxy", tmp_path, ports)
    file = tmp_path / "haproxy.cfg"
    file.write_text(file.read_text().replace(f":{ports[0]} ssl", f":{ports[0]} accept-proxy ssl"))
    head = path.read_text().partition("\ncases:")[0].partition("\nmatrix:")[0]
    path.write_text(f"""{head}
cases:
  - {{name: behind a proxy, client: {{certificate: operator, proxy_protocol: v2}}, expect: accepted}}
  - {{name: directly, client: operator, expect: no-connection}}
  - {{name: strange, client: {{certificate: operator, trust: ca, proxy_protocol: v2}}, expect: {{server-refused: unknown-ca}}}}
""")
    path.write_text(
        path.read_text().replace("trust: [ca]", "trust: [foreign]")
    )  # that it trusts somebody else, the file does not say
    proxied, directly, strange = _verdicts(path)
    assert (proxied.status, directly.status) == (Status.PASS, Status.PASS), (proxied.error, directly.error)
    assert directly.observation is not None
    assert directly.observation.summary.endswith("; the server says why")
    assert directly.observation.hint.startswith("The server expects the PROXY protocol")
    assert strange.observation is not None
    assert strange.observation.hint == "The configuration takes `operator`: look at `verify required` and `ca-file`."


def test_a_log_that_does_not_say_why_is_told_how_to(
    tmp_path: Path, ports: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    path = _as_a_process("haproxy", tmp_path, ports)
    command = ["run", str(path), "--runtime", "process", "--allow-commands", "--tool", "python", "-k", "expired"]
    advice = 'undetermined: where haproxy.cfg has its log say why it refuses, that decides: error-log-format "'
    assert main(command) == 0
    assert advice not in capsys.readouterr().out
    file = tmp_path / "haproxy.cfg"
    file.write_text(file.read_text().replace("    error-log-format", "    # error-log-format"))
    assert main(command) == 0
    assert advice in capsys.readouterr().out
    recorded = ["record", str(_with_cases(path, "  - {name: expired, client: expired}\n")), *command[2:5]]
    assert main(recorded) == 0
    told = capsys.readouterr().out
    assert "expired: {server-refused: [crl-expired, expired]}" in told
    assert (
        "several reasons: where haproxy.cfg has its log say why it refuses, and that is recorded, there is one: e"
        in told
    )
    file.write_text(file.read_text().replace("    # error-log-format", "    error-log-format"))
    _with_cases(path, "  - {name: expired, client: expired}\n")
    assert main(recorded) == 0
    told = capsys.readouterr().out
    assert "expired: {server-refused: expired}" in told
    assert "several reasons" not in told


def _with_cases(path: Path, cases: str) -> Path:
    head = path.read_text().partition("\ncases:")[0]
    path.write_text(f"{head}\ncases:\n{cases}")
    return path


def _edited(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)


def _told(verdicts: list[Verdict]) -> list[tuple[str, ...]]:
    """Outcome and reasons of each; of one that the lab could not run, why."""
    return [
        (str(one.observation.outcome), *map(str, one.observation.reasons)) if one.observation else (one.error,)
        for one in verdicts
    ]


EXPIRED = "  - {name: expired, client: expired, expect: {server-refused: expired}}\n"


@pytest.mark.parametrize(
    ("name", "here", "there"),
    [
        ("haproxy", "log stderr format raw local0 info", "log 127.0.0.1:514 len 2048 local0 info"),
        ("haproxy", "log stderr format raw local0 info", "log /dev/log local0 info"),
        ("apache", "ErrorLog /dev/stderr", "ErrorLog /var/log/nowhere/error.log\nCustomLog /var/log/nowhere/a.log x"),
        ("apache", "ErrorLog /dev/stderr", 'ErrorLog "|/usr/bin/rotatelogs /var/log/nowhere/%Y 86400"'),
        ("apache", "ErrorLog /dev/stderr", "ErrorLog syslog:local1"),
    ],
)
def test_its_log_is_read_wherever_it_goes(
    name: str, here: str, there: str, tmp_path: Path, ports: tuple[int, int]
) -> None:
    path = _with_cases(_as_a_process(name, tmp_path, ports), EXPIRED)
    file = next(one for one in tmp_path.iterdir() if one.name != "own.yaml")
    _edited(file, (here, there))
    (found,) = _verdicts(path)
    assert (found.status, found.undetermined) == (Status.PASS, None), found.error
    assert found.observation is not None
    assert found.observation.server_verify_code == 10


def test_its_lines_can_be_expected(tmp_path: Path, ports: tuple[int, int]) -> None:
    """In whatever form they are: they say nothing else of who came, and a person may read them."""
    path = _with_cases(
        _as_a_process("apache", tmp_path, ports),
        """\
  - {name: line, expect: {outcome: accepted, server_log: {contains: '"GET / HTTP/1.1" 200 me'}}}
  - {name: other, expect: {outcome: accepted, server_log: {contains: '"GET /other'}}}
  - {name: unseen, expect: {outcome: accepted, client_verify: null}}
  - {name: broken, client: {certificate: operator, request: {path: /gone}}, expect: {outcome: accepted, status: 404}}
""",
    )
    _edited(
        tmp_path / "edge.conf",
        ("ErrorLog /dev/stderr", 'LogFormat "%h \\"%r\\" %>s me" mine\nCustomLog /var/log/nowhere/a.log mine'),
        ("    ProxyPass /", "    ProxyPass /gone http://127.0.0.1:9/\n    ProxyPass /"),
    )
    line, other, unseen, broken = _verdicts(path)
    told = line.error or line.mismatches
    assert (line.status, other.status, unseen.status) == (Status.PASS, Status.FAIL, Status.FAIL), told
    assert broken.observation is not None
    assert broken.observation.status == 503
    assert broken.observation.evidence[-1].endswith('"GET /gone HTTP/1.1" 503 me')


@pytest.mark.parametrize("name", ["apache", "haproxy"])
def test_whoever_comes_is_shown_as_its_log_has_it(name: str, tmp_path: Path, ports: tuple[int, int]) -> None:
    cases = "  - {name: in, client: operator, expect: accepted}\n" + EXPIRED
    path = _with_cases(_as_a_process(name, tmp_path, ports), cases)
    if name == "apache":
        mine = 'ErrorLog /dev/stderr\nLogFormat "%h \\"%r\\" %>s me" mine\nCustomLog /var/log/nowhere/a.log mine'
        _edited(tmp_path / "edge.conf", ("ErrorLog /dev/stderr", mine))
    with Lab(load(path, Overrides(runtime=Runtime.PROCESS, tool="python", allow_commands=True))) as lab:
        shown = lab.server(lab.plan.cases[0].server).settled()
        assert [lab.run(case).status for case in lab.plan.cases] == [Status.PASS, Status.PASS]
        told = ["".join(text for text, _ in visit(next(shown)))]
        while "expired" not in told[-1]:
            told.append("".join(text for text, _ in visit(next(shown))))
    assert any(line.startswith("log: ") and '"GET / HTTP/1.1"' in line for line in told)
    assert told[-1].startswith("somebody  refused: expired, its certificate has expired")
    assert sum("refused" in line for line in told) == 1


def test_more_connections_than_descriptors(tmp_path: Path, ports: tuple[int, int]) -> None:
    path = _with_cases(_as_a_process("haproxy", tmp_path, ports), EXPIRED)
    _edited(tmp_path / "haproxy.cfg", ("global\n", "global\n    maxconn 10000000\n"))
    assert _told(_verdicts(path)) == [("server-refused", "expired")]


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_an_own_program_stays_one(mode: int, tmp_path: Path, ports: tuple[int, int]) -> None:
    """Apache asks a script for its passphrase; where that can't be run, it is Apache that says so."""
    path = _with_cases(_as_a_process("apache", tmp_path, ports), EXPIRED)
    (tmp_path / "pass.sh").write_text("#!/bin/sh\necho secret\n")
    (tmp_path / "pass.sh").chmod(mode)
    _edited(
        path, ("site: {}", "site: {passphrase: secret}"), ("  files:\n", "  files:\n    tls/pass.sh: {file: pass.sh}\n")
    )
    _edited(tmp_path / "edge.conf", ("ServerName", "SSLPassPhraseDialog exec:tls/pass.sh\nServerName"))
    (found,) = _verdicts(path)
    if mode == 0o755:
        assert (found.status, found.error) == (Status.PASS, "")
    else:
        assert "(wrong-passphrase)" in found.error


RULES = """\
  - {name: staff, client: {certificate: employee, request: {path: /admin}}, expect: {server-refused: not-authorized}}
  - {name: expired, client: {certificate: expired, request: {path: /admin}}, expect: {server-refused: expired}}
"""
LENIENT: dict[str, tuple[tuple[str, str], ...]] = {
    "apache": (
        ("SSLVerifyClient optional", "SSLVerifyClient optional_no_ca"),
        ("SSLCARevocationCheck chain", "SSLCARevocationCheck none"),  # otherwise it refuses whose authority has no list
    ),
    "envoy": (("trusted_ca:", "trust_chain_verification: ACCEPT_UNTRUSTED\n                  trusted_ca:"),),
    "haproxy": (("verify optional", "verify optional crt-ignore-err all"),),
}
DATED: dict[str, tuple[str, str]] = {
    "envoy": ("trusted_ca:", "allow_expired_certificate: true\n                  trusted_ca:"),
    "haproxy": ("verify optional", "verify optional crt-ignore-err 10"),
}


def _by_rules(name: str, directory: Path, ports: tuple[int, int]) -> Path:
    """With an expired certificate of somebody whom the rule refuses, too."""
    who = "service" if name == "envoy" else "employee"
    path = _with_cases(_as_a_process(name, directory, ports), RULES.replace("employee", who))
    _edited(path, ("expired: {like: operator", f"expired: {{like: {who}"))
    return path


def _configuration(directory: Path) -> Path:
    return next(one for one in directory.iterdir() if one.suffix in (".conf", ".cfg"))


@pytest.mark.parametrize("name", NAMES)
def test_whom_a_rule_refuses_it_has_verified(name: str, tmp_path: Path, ports: tuple[int, int]) -> None:
    """Unless it goes on with a stranger's certificate: then nobody can tell what the rule was about."""
    path = _by_rules(name, tmp_path, ports)
    staff, expired = _verdicts(path)
    assert (staff.status, staff.undetermined) == (Status.PASS, None)
    assert _told([staff]) == [("server-refused", "not-authorized")]
    assert _told([expired]) == [("server-refused", "expired")]
    _edited(_configuration(tmp_path), *LENIENT[name])
    staff, _ = _verdicts(path)
    assert staff.undetermined is not None


@pytest.mark.parametrize("name", DATED)
def test_whom_a_rule_refuses_may_have_expired(name: str, tmp_path: Path, ports: tuple[int, int]) -> None:
    """Where it was told to take no notice of dates alone."""
    path = _by_rules(name, tmp_path, ports)
    _edited(_configuration(tmp_path), DATED[name])
    staff, expired = _verdicts(path)
    assert (staff.status, staff.undetermined) == (Status.PASS, None)
    assert _told([expired]) == [("server-refused", "expired", "not-authorized")]
    assert expired.undetermined is not None


def test_a_rule_behind_a_handshake_that_asks_nobody(tmp_path: Path, ports: tuple[int, int]) -> None:
    """Who asks for another host than in the handshake is refused there by its rule, which is not being let in."""
    path = _with_cases(
        _as_a_process("haproxy", tmp_path, ports),
        """\
  - {name: refused, client: {certificate: operator, request: {path: /admin}}, expect: {server-refused: no-certificate}}
  - {name: open, client: operator, expect: accepted}
""",
    )
    _edited(tmp_path / "haproxy.cfg", ("verify optional", "verify none"))
    assert _told(_verdicts(path)) == [("server-refused", "no-certificate"), ("accepted",)]
    _edited(path, ("  refusal: {status: 403}\n", ""))
    refused, let_in = _verdicts(path)
    assert _told([refused, let_in]) == [("answered",), ("accepted",)]
    assert refused.observation is not None
    assert refused.observation.hint.startswith("Nobody is asked for a certificate in a handshake for localhost (SNI).")


def test_a_name_that_it_has_to_be_asked_for(tmp_path: Path, ports: tuple[int, int]) -> None:
    """Without one that the configuration knows, Envoy ends each connection. What Python does not ask for stops no start."""
    path = _with_cases(
        _as_a_process("envoy", tmp_path, ports),
        """\
  - {name: odd, client: {certificate: operator, server_name: a..b, insecure: true}, expect: no-connection}
  - {name: known, client: {certificate: operator, server_name: edge.test, insecure: true}, expect: accepted}
  - {name: unknown, client: {certificate: operator, insecure: true}, expect: no-connection}
""",
    )
    inspector = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    listener = (
        "      listener_filters:\n        - name: envoy.filters.listener.tls_inspector\n"
        f'          typed_config: {{"@type": {inspector}}}\n'
    )
    chains = "      filter_chains:\n        - "
    _edited(
        tmp_path / "edge.conf",
        (
            f"{chains}transport_socket:",
            f"{listener}{chains}filter_chain_match: {{server_names: [edge.test]}}\n          transport_socket:",
        ),
    )
    odd, *others = _verdicts(path)
    assert odd.error.startswith("Python's ssl can't ask for the server name 'a..b'")
    assert [(one.status, one.error) for one in others] == [(Status.PASS, "")] * 2


def test_a_client_that_can_t_be_asked_after_the_handshake(tmp_path: Path, ports: tuple[int, int]) -> None:
    """Apache asks for a certificate when it knows the path: by TLS 1.3 that takes a client that has offered to be asked then."""
    path = _with_cases(
        _as_a_process("apache", tmp_path, ports),
        """\
  - name: offered
    client: {certificate: employee, tls: TLSv1.3, request: {path: /api}, post_handshake_auth: true}
    expect: accepted
  - name: not offered
    client: {certificate: employee, tls: TLSv1.3, request: {path: /api}}
    expect: {server-refused: no-certificate}
""",
    )
    _edited(
        tmp_path / "edge.conf",
        ("SSLVerifyClient optional", "SSLVerifyClient none"),
        ("<Location /api>", "<Location /api>\n        SSLVerifyClient require"),
    )
    offered, not_offered = _verdicts(path)
    assert (offered.status, not_offered.status) == (Status.PASS, Status.PASS), (offered.error, not_offered.mismatches)
    assert not_offered.observation is not None
    assert not_offered.observation.hint.endswith("has not offered to be asked then (post_handshake_auth: true).")


def test_a_configuration_is_for_the_server_that_it_was_written_for() -> None:
    skipped = {
        (name, backend): {one.skip_reason for one in verdicts_of(ROOT / name, Overrides(backend=backend))}
        for name, backend in (("scenarios/haproxy/own.yaml", "apache"), ("scenarios/article/article.yaml", "haproxy"))
    }
    assert list(skipped.values()) == [
        {"the scenario brings haproxy's own configuration"},
        {"the scenario brings nginx's own configuration"},
    ]
