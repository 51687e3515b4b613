"""The generated configuration: no text of a scenario's can become a directive, and answers arrive byte for byte."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import crossplane  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, Request, Response, TlsVersion, VerifyFlag
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.pki import Store
from mtls_runner.servers.nginx.surroundings import FIRST_PORT, Surroundings
from mtls_runner.servers.nginx.write.configuration import generate
from mtls_runner.servers.nginx.write.inexpressible import inexpressible
from mtls_runner.servers.nginx.write.syntax import DOLLAR, expanding, literal
from tests.named import tool

from ..container_engine import not_here
from ..pki.describe import PASSPHRASE
from .conftest import Lab, MakeServer

NASTY = (
    "",
    " ",
    "plain",
    'quote " and \\" more',
    "back\\slash \\\\ \\n \\(^o^)/  ",
    "'; } server { listen 1; } #",
    '"; } } http { } #',
    "$host ${host} $$ $",
    "${mtls_run_dollar}",
    "new\nline\r\n\ttab",
    "# no comment",
    "grüße ☃ \u0085 \u00a0",
    "{};",
    "x" * 5000,
)
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
HEADER = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=40)


def unescaped(token: str) -> str:
    """What nginx makes of a double-quoted argument (``ngx_conf_read_token``), written down a second time."""
    result, at = "", 0
    while at < len(token):
        if token[at] == "\\" and token[at + 1 : at + 2] in ('"', "'", "\\", "t", "r", "n"):
            result += {"t": "\t", "r": "\r", "n": "\n"}.get(token[at + 1], token[at + 1])
            at += 2
        else:
            result += token[at]
            at += 1
    return result


@given(TEXT)
def test_a_quoted_text_is_one_argument_and_itself(text: str) -> None:
    quoted = literal(text)
    tokens = list(crossplane.lex_string(f"name {quoted};"))
    assert [token for token, _, _ in tokens[:1] + tokens[2:]] == ["name", ";"]
    assert tokens[1][2] is True
    assert unescaped(quoted[1:-1]) == text
    assert expanding(text).replace(f"${{{DOLLAR}}}", "$") == quoted


def test_a_nul_byte_can_not_be_written() -> None:
    with pytest.raises(ValueError, match="NUL"):
        literal("a\0b")


RESPONSES = st.builds(
    Response,
    status=st.sampled_from((200, 204, 302, 404, 444, 499, 503)),
    headers=st.lists(st.tuples(st.sampled_from(("X-A", "Content-Type")), HEADER), max_size=2).map(tuple),
    body=TEXT.map(str.encode),
    path=st.one_of(st.none(), TEXT.map(lambda text: f"/{text}")),
)
ALLOWED = {
    "error_page", "return", "internal", "alias", "etag", "if_modified_since", "max_ranges", "add_header", "default_type",
}  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(RESPONSES, max_size=4, unique_by=lambda response: response.path), TEXT, TEXT)
def test_no_text_becomes_a_directive(
    store: Store, make_server: MakeServer, responses: list[Response], ciphers: str, group: str
) -> None:
    spec = make_server(responses=tuple(responses), ciphers=ciphers, ciphersuites=ciphers, groups=(group,))
    parsed = crossplane.parse_string(generate({FIRST_PORT: spec}, store).text, check_ctx=False, check_args=False)
    assert parsed["status"] == "ok", parsed["errors"]
    (tree,) = parsed["config"]
    (http,) = (d for d in tree["parsed"] if d["directive"] == "http")
    (server,) = (d for d in http["block"] if d["directive"] == "server")
    assert {d["directive"] for d in tree["parsed"]} == {"worker_processes", "error_log", "pid", "events", "http"}
    assert [d["args"] for d in server["block"] if d["directive"] == "listen"] == [["443", "ssl"]]
    assert [d["args"] for d in server["block"] if d["directive"] == "ssl_verify_client"] == [["on"]]
    for location in (d for d in server["block"] if d["directive"] == "location"):
        assert {d["directive"] for d in location["block"]} <= ALLOWED


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=30
)
@given(st.lists(RESPONSES, max_size=4, unique_by=lambda response: response.path))
def test_nginx_itself_takes_every_configuration(
    store: Store, make_server: MakeServer, tmp_path: Path, responses: list[Response]
) -> None:
    if NGINX is None:
        not_here("no nginx on this machine to check configurations with")
    here = Surroundings(
        str(tmp_path / 'in "quotes"'), "127.0.0.1:", (f"pid {tmp_path}/pid;", f"error_log {tmp_path}/log;")
    )
    for file in generate({FIRST_PORT: make_server(responses=tuple(responses))}, store, here).files:
        path = Path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    command = [NGINX, "-t", "-e", "stderr", "-p", str(tmp_path), "-c", here.main_file]
    run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, errors="replace")
    assert run.returncode == 0, run.stderr


def test_every_answer_arrives_as_it_was_written(lab: Lab, make_server: MakeServer) -> None:
    short = [text for text in NASTY if len(text) < 1000]
    responses = [Response(body=text.encode(), path=f"/body/{number}") for number, text in enumerate(NASTY)]
    responses += [
        Response(headers=(("X-Text", text),), path=f"/header/{number}")
        for number, text in enumerate(short)
        if text.isprintable() and text.strip() == text and text.isascii()
    ]
    responses += [
        Response(status=status, body=b"x", path=f"/status/{status}") for status in (201, 302, 403, 444, 497, 599)
    ]
    responses += [Response(body=bytes(range(256)), path="/binary"), Response(status=404, path="/empty")]
    responses += [Response(body=b"html", headers=(("Content-Type", "text/html"),), path='/a "path" {$x};\\')]
    spec = make_server(responses=(*responses, Response(status=410, body=b"elsewhere")))
    assert inexpressible(spec, None) is None
    with lab.serve(spec) as running:
        for response in responses:
            path = (response.path or "").replace("%", "%25").replace(" ", "%20").replace('"', "%22")
            for method in ("GET", "POST"):
                client = ClientSpec(
                    tool("python"), certificate="good", trust=("ca",), request=Request(method=method, path=path)
                )
                seen = lab.probe(running, spec, client)
                assert (seen.status, seen.body) == (response.status, response.body), (path, method)
                assert seen.client.response is not None
                headers = seen.client.response.headers
                for name, value in response.headers:
                    assert [v for n, v in headers if n == name.lower()] == [value] * bool(value), (path, method)
        other = lab.probe(
            running, spec, ClientSpec(tool("python"), certificate="good", trust=("ca",), request=Request(path="/other"))
        )
        assert (other.status, other.body) == (410, b"elsewhere")


def test_secrets_and_settings_go_where_they_belong(store: Store, make_server: MakeServer) -> None:
    spec = make_server(
        certificate="locked",
        passphrase=PASSPHRASE,
        ciphersuites="TLS_AES_128_GCM_SHA256",
        signature_algorithms=("ECDSA+SHA256", "RSA+SHA256"),
        groups=("X25519", "prime256v1"),
        security_level=1,
        verify_depth=2,
        tls=(TlsVersion.V1_3,),
    )
    generated = generate({FIRST_PORT: spec}, store)
    assert PASSPHRASE.reveal() not in generated.text
    assert "PRIVATE" not in generated.text + repr(generated)
    modes = {file.path.rpartition(".")[2]: file.mode for file in generated.files}
    assert (modes["key"], modes["pass"], modes["crt"]) == (0o600, 0o600, 0o644)
    for line in (
        "ssl_protocols TLSv1.3;",
        'ssl_ciphers "HIGH:!aNULL:!MD5:@SECLEVEL=1";',
        'ssl_ecdh_curve "X25519:prime256v1";',
        'ssl_conf_command Ciphersuites "TLS_AES_128_GCM_SHA256";',
        'ssl_conf_command SignatureAlgorithms "ECDSA+SHA256:RSA+SHA256";',
        "ssl_verify_depth 2;",
    ):
        assert line in generated.text
    # what the description leaves open is nginx's own affair
    assert "ssl_verify_depth" not in generate({443: make_server()}, store).text


def test_what_nginx_can_not_do_is_declared(make_server: MakeServer) -> None:
    usual = ClientSpec(tool("python"))
    for fields, client, text in (
        ({"verify_flags": frozenset((VerifyFlag.PARTIAL_CHAIN,))}, usual, "PARTIAL_CHAIN"),
        ({"verify_flags": frozenset((VerifyFlag.STRICT,))}, usual, "STRICT"),
        ({"trust": ()}, usual, "ssl_client_certificate"),
        ({"advertise": ()}, usual, "at least one"),
        ({"advertise": ("other",)}, usual, "advertises"),
        ({"passphrase": Secret("a\nb")}, usual, "line break"),
        ({"crl": ("ca",), "crl_check": RevocationCheck.LEAF}, usual, "ssl_crl"),
        ({"crl_check": RevocationCheck.CHAIN}, usual, "ssl_crl"),
        ({"alpn": ("h2",)}, usual, "ALPN"),
        ({}, ClientSpec(tool("python"), alpn=("acme",)), "ALPN"),
        ({"responses": (Response(headers=(("X\r\nY", "a"),)),)}, usual, "response field"),
        ({"responses": (Response(headers=(("X", "a\nY: b"),)),)}, usual, "response field"),
        ({"responses": (Response(headers=(("Server", "a"),)),)}, usual, "Server"),
    ):
        assert text in (inexpressible(make_server(**fields), client) or "")
    assert inexpressible(make_server(), usual) is None
    assert inexpressible(make_server(crl=("ca",), crl_check=RevocationCheck.CHAIN), usual) is None
    assert inexpressible(make_server(trust=(), client_auth=ClientAuth.OPTIONAL_NO_CA), usual) is None
    assert inexpressible(make_server(trust=(), client_auth=ClientAuth.NONE), usual) is None
