"""The author's own configuration: who refused whom must come out whatever it does about logs and error pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtls_runner.model.endpoint import ClientSpec, TlsVersion
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.servers.nginx.read.instrument import Changes, instrument
from mtls_runner.servers.nginx.read.listening import lab_ports
from mtls_runner.servers.nginx.read.statements import Unreadable, statements
from mtls_runner.servers.nginx.write.access_log import DIRECTIVES
from tests.named import tool

from ..container_engine import IMAGE
from .conftest import Lab, MakeServer

ARTICLE = Path(__file__).parents[2] / "scenarios" / "article" / "nginx.conf"
GREETING = b"This is an mTLS connection!  \\(^o^)/  "
TLS = """
    ssl_certificate /etc/nginx/certs/tls.crt;
    ssl_certificate_key /etc/nginx/certs/tls.key;
    ssl_password_file /etc/nginx/certs/password;
    ssl_client_certificate /etc/nginx/mtls/ca.crt;
"""


def client(certificate: str | None, **fields: object) -> ClientSpec:
    return ClientSpec(tool("python"), certificate=certificate, trust=("ca",), **fields)  # type: ignore[arg-type]


def test_the_tutorial_as_it_is(lab: Lab, make_server: MakeServer) -> None:
    spec = make_server(ARTICLE)
    with lab.serve(spec) as running:
        without = lab.probe(running, spec, client(None))
        good = lab.probe(running, spec, client("good"))
    assert without.status == 400
    assert b"No required SSL certificate was sent" in without.body
    assert (without.judgement.outcome, without.judgement.reason) == (Outcome.SERVER_REFUSED, Reason.NO_CERTIFICATE)
    assert (good.status, good.body, len(good.body)) == (200, GREETING, 38)
    assert good.judgement.outcome is Outcome.ACCEPTED
    assert good.client.response is not None
    assert dict(good.client.response.headers)["content-type"] == "application/octet-stream"
    assert good.client.tls_version == TlsVersion.V1_2


CONFIGURATIONS = {
    "logs of its own, and silent locations": f"""
server {{
    listen 443 ssl; error_log /tmp/own.log crit; access_log off; {TLS}
    ssl_verify_client on;
    location / {{ access_log off; error_log /tmp/own.log emerg; return 200 "in"; }}
}}""",
    "error pages that show a welcome": f"""
server {{
    listen 443 ssl; {TLS}
    ssl_verify_client on;
    error_page 495 496 =200 /welcome;
    location / {{ return 200 "in"; }}
    location = /welcome {{ access_log /tmp/a; access_log /tmp/b; return 200 "welcome"; }}
}}""",
    "a whole nginx.conf with several servers": f"""
user www-data;
error_log /dev/null;
events {{ }}
http {{
    access_log off;
    server {{ listen 443 ssl; server_name elsewhere; {TLS} ssl_verify_client off; return 404; }}
    server {{
        # a comment with a brace }} and a "quote
        listen 443 ssl; server_name localhost; {TLS}
        ssl_verify_client on;
        location / {{ return 200 'in{{'; }}
    }}
}}""",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_refusals_are_seen_whatever_the_configuration_does(
    lab: Lab, make_server: MakeServer, tmp_path: Path, name: str
) -> None:
    config = tmp_path / "site.conf"
    config.write_text(CONFIGURATIONS[name])
    spec = make_server(config)
    with lab.serve(spec) as running:
        seen = {c: lab.probe(running, spec, client(c)) for c in (None, "good", "expired")}
    assert config.read_text() == CONFIGURATIONS[name]
    assert seen["good"].judgement.outcome is Outcome.ACCEPTED
    assert seen["good"].body.startswith(b"in")
    refused = {c: (s.judgement.outcome, s.judgement.reason) for c, s in seen.items() if c != "good"}
    assert refused == {
        None: (Outcome.SERVER_REFUSED, Reason.NO_CERTIFICATE),
        "expired": (Outcome.SERVER_REFUSED, Reason.EXPIRED),
    }


def test_a_server_that_judges_by_itself(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text(f"""server {{
        listen 443 ssl; {TLS}
        ssl_verify_client optional;
        if ($ssl_client_verify != SUCCESS) {{ return 403; }}
        if ($ssl_client_s_dn != "CN=good") {{ return 401; }}
        location / {{ return 200 "in"; }}
    }}""")
    spec = make_server(config)
    with lab.serve(spec) as running:
        control = lab.probe(running, spec, client("good")).client.response
        seen = {c: lab.probe(running, spec, client(c), control) for c in (None, "good", "email", "expired")}
        alone = [lab.probe(running, spec, client(c)).judgement.outcome for c in (None, "email")]
    assert {c: s.status for c, s in seen.items()} == {None: 403, "good": 200, "email": 401, "expired": 400}
    assert {c: s.judgement.reason for c, s in seen.items()} == {
        None: Reason.NO_CERTIFICATE,
        "good": None,
        "email": Reason.NOT_AUTHORIZED,
        "expired": Reason.EXPIRED,
    }
    assert alone == [Outcome.ANSWERED, Outcome.ANSWERED]  # without one that gets in, that may be what everybody gets


def test_files_beside_the_configuration_come_along(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    (tmp_path / "snippets").mkdir()
    (tmp_path / "sites").mkdir()
    (tmp_path / "nginx.conf").write_text("events {}\nhttp {\n  include sites/*.conf;\n  include mime.types;\n}\n")
    (tmp_path / "sites" / "a.conf").write_text("server { listen 443 ssl;\n include /etc/nginx/snippets/tls.conf;\n}\n")
    (tmp_path / "snippets" / "tls.conf").write_text(f"{TLS} ssl_verify_client on; access_log off;\n")
    spec = make_server(tmp_path / "nginx.conf")
    with lab.serve(spec) as running:
        seen = lab.probe(running, spec, client("expired"))
    assert seen.judgement.reason is Reason.EXPIRED
    shown = lab.backend.configuration(spec, lab.store)
    assert all(str(tmp_path / name) in shown for name in ("nginx.conf", "sites/a.conf", "snippets/tls.conf"))


def test_a_server_without_tls_is_no_mystery(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text("server { listen 443; return 200; }")
    spec = make_server(config)
    with lab.serve(spec) as running:
        seen = lab.probe(running, spec, client("good"))
    assert (seen.judgement.outcome, seen.judgement.reason) == (Outcome.NO_CONNECTION, Reason.NOT_TLS)


def test_what_the_lab_changes_is_shown(lab: Lab, make_server: MakeServer) -> None:
    shown = lab.backend.configuration(make_server(ARTICLE), lab.store)
    changed = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["-server {", f"+server {{ {DIRECTIVES}"]
    assert "listen 443 ssl;" in lab.backend.configuration(make_server(), lab.store)


def test_the_image_option_is_what_runs(lab: Lab, make_server: MakeServer) -> None:
    from mtls_runner.errors import EngineError

    absent = make_server(runtime=None, options=(("image", "127.0.0.1:1/no/such:image"),))
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1/no/such:image is not here.*docker pull"), lab.serve(absent):
        pass
    assert dict(make_server().options)["image"] == IMAGE


# --- the copy, without a container ---


def test_only_servers_of_http_are_touched() -> None:
    text = "http { upstream u { server a:1; server b:2; } server { listen 2; } }"
    assert instrument(text, ()) == text.replace("server { listen 2", f"server {{ {DIRECTIVES} listen 2")


@pytest.mark.parametrize(
    ("text", "copy"),
    [
        ("server{location /{access_log a;error_log c;}access_log off;}", f"server{{ {DIRECTIVES}location /{{}}}}"),
        ("server{listen 10.0.0.1:443 ssl reuseport;}", f"server{{ {DIRECTIVES}listen 443 ssl;}}"),
        ("server{listen 443 ssl;listen [::]:443 ssl;}", f"server{{ {DIRECTIVES}listen 443 ssl;}}"),
        ("server{listen 443 quic;listen 443 ssl;http2 on;}", f"server{{ {DIRECTIVES}listen 443 ssl http2;}}"),
        ("map $a $b {user 1; pid 2; access_log 3;}", "map $a $b {user 1; pid 2; access_log 3;}"),
        ("proxy_cache_path /var/c keys_zone=a:1m;", "proxy_cache_path /tmp-var-c keys_zone=a:1m;"),
        ("server{ssl_dhparam gone.pem;root /x;}", f"server{{ {DIRECTIVES}root /x;}}"),
    ],
)
def test_what_ties_it_to_its_machine_is_left_out(text: str, copy: str) -> None:
    listens = {"10.0.0.1:443": "443", "[::]:443": "443"}
    assert instrument(text, ("http",), Changes(listens=listens, here=lambda _: False)) == copy


def test_other_protocols_leave_their_lines() -> None:
    text = "user me;\nstream {\n  server { listen 1; }\n}\nhttp { server { listen 2; } }"
    assert instrument(text, ()) == f"\n\n\n\nhttp {{ server {{ {DIRECTIVES} listen 2; }} }}"
    unended = "load_module m_stream_m.so; stream { server { listen 1; }"
    assert instrument(unended, ()) == unended


def test_fixed_addresses_stay_apart() -> None:
    ports = lab_ports(["443", "[::]:443", "10.0.0.1:8443", "10.0.0.1:443", "unix:/a.sock", "10.0.0.1", "8000-8010"])
    own = {"443": 443, "[::]:443": 443, "10.0.0.1:8443": 8443, "10.0.0.1": 80}
    assert ports == own | {"10.0.0.1:443": 20001, "unix:/a.sock": 20002}


@pytest.mark.parametrize("text", ["server {", "server { } }", 'return "x', "location / { content_by_lua_block { x "])
def test_what_can_not_be_read_is_said_and_what_is_before_it_is_changed_all_the_same(text: str) -> None:
    with pytest.raises(Unreadable):
        statements(text)
    assert instrument(f"pid /a; {text}", ("http",)).removeprefix(" ").replace(f" {DIRECTIVES}", "") == text


def test_lua_is_passed_over() -> None:
    text = 'server { location / { content_by_lua_block { ngx.say("}") -- }\n } } access_log off; } server { }'
    copy = instrument(text, ("http",))
    assert copy.count(DIRECTIVES) == 2
    assert copy.replace(f" {DIRECTIVES}", "") == text.replace("access_log off;", "")


@pytest.mark.parametrize("comment", ["# ends in a backslash \\\n", "#\\\n", '# \\"quoted\\" \\\n'])
def test_a_comment_ends_with_its_line(comment: str) -> None:
    text = f'{comment}server {{\n  set $x "# no comment \\\\";\n}}\n'
    assert [statement.name for statement in statements(text)] == ["server", "set"]
    assert instrument(text, ("http",)).replace(f" {DIRECTIVES}", "", 1) == text


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@st.composite
def a_configuration(draw: st.DrawFn) -> tuple[str, int]:
    """A configuration with odd texts in it, and how many statements it has."""

    def quoted(word: str) -> str:
        return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'

    comment = draw(WORD).replace("\n", "").replace("\r", "")
    words = draw(st.lists(WORD, min_size=1, max_size=5))
    lines = [f"  set $x {quoted(word)};\r\n" for word in words]
    return f"# {comment}\nserver {{\n{''.join(lines)}}}\n", len(words) + 1


@given(a_configuration())
def test_the_copy_differs_in_nothing_but_what_is_added(made: tuple[str, int]) -> None:
    text, count = made
    assert len(statements(text)) == count
    copy = instrument(text, ("http",))
    assert copy.count("\n") == text.count("\n")
    assert copy.replace(f" {DIRECTIVES}", "", 1) == text
    assert copy != text
