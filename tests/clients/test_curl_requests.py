"""What curl asks for, where it connects, and what it takes from nobody: environment, settings, terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.clients.curl.client import CurlClient
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import DeadlineExceeded, LabError
from mtls_runner.model.endpoint import Address, ClientSpec, Request, TlsVersion, VerifyFlag
from mtls_runner.model.observation import ClientView, Phase
from mtls_runner.pki import Store
from tests.named import tool

from ..outcomes import peers
from ..pki.describe import PASSPHRASE
from .tls_peer import context, tls_peer

SPEC = ClientSpec(tool=tool("curl"), trust=("ca",))


def probe(curl: CurlClient, spec: ClientSpec, address: Address, store: Store) -> ClientView:
    return curl.probe(spec, address, store, Deadline.after(10))


def asked(curl: CurlClient, spec: ClientSpec, store: Store) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Request line, headers and body as the server read them."""
    with tls_peer(context(store.credential("server"))) as (address, seen):
        assert probe(curl, spec, address, store).exit_code == 0
    head, _, body = seen.request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, {name.lower(): value for name, _, value in (field.partition(b": ") for field in fields)}, body


# --- the request -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/a/../b?x=1&y=%20#", "/[1-3]{a,b}", "/über", "/a b", "/%2e%2e/", "*"], ids=ascii
)
def test_the_path_arrives_as_it_was_written(path: str, curl: CurlClient, store: Store) -> None:
    line, _, _ = asked(curl, replace(SPEC, request=Request(path=path)), store)
    assert line == b"GET " + path.encode() + b" HTTP/1.1"


def test_method_headers_and_body(curl: CurlClient, store: Store) -> None:
    headers = (("X-One", "1"), ("X-Empty", ""), ("Content-Type", "text/plain"))
    request = Request("PUT", "/x", headers, body=b"@not a file\n\0\xff")
    line, seen, body = asked(curl, replace(SPEC, request=request), store)
    assert line == b"PUT /x HTTP/1.1"
    assert (seen[b"x-one"], seen[b"content-type"]) == (b"1", b"text/plain")
    assert b"x-empty:" in seen
    assert body == b"@not a file\n\0\xff"


def test_secret_headers_arrive_and_no_argument_list_has_them(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = shutil.which("curl")
    wrapper = tmp_path / "curl"
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{tmp_path}/arguments\nexec {found} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("MTLS_RUN_CURL", str(wrapper))
    headers = (
        ("Authorization", "Bearer hunter2"),
        ("X-Plain", "plain"),
        ("Cookie", 'a=hunter2; b=\\hunter2"'),
        ("X-Api-Key", "hunter2#3"),
        ("X-Auth-Token", ""),
        ("Proxy-Authorization", "@hunter2"),
    )
    _, seen, _ = asked(CurlClient(), replace(SPEC, request=Request(headers=headers)), store)
    assert {name.lower().encode(): value.encode() for name, value in headers if value}.items() <= seen.items()
    assert b"x-auth-token:" in seen
    arguments = (tmp_path / "arguments").read_text()
    assert "X-Plain: plain" in arguments
    assert "hunter2" not in arguments


def test_curl_adds_nothing_about_the_body(curl: CurlClient, store: Store) -> None:
    _, seen, body = asked(curl, replace(SPEC, request=Request("POST", body=b"x" * 2_000_000)), store)
    assert len(body) == 2_000_000
    assert not {b"content-type", b"expect"} & seen.keys()


def test_head_has_no_body(curl: CurlClient, store: Store) -> None:
    answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"
    with tls_peer(context(store.credential("server")), answer) as (address, seen):
        view = probe(curl, replace(SPEC, request=Request("HEAD")), address, store)
    assert seen.request.startswith(b"HEAD / ")
    assert view.response is not None
    assert (view.exit_code, view.response.status, view.response.body) == (0, 204, b"")


def test_the_last_of_several_responses_counts(curl: CurlClient, store: Store) -> None:
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nX-Early: yes\r\n\r\n"
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nX-Twice: a\r\nX-Twice: b: c\r\n\r\nno\n"
    )
    with tls_peer(context(store.credential("server")), answer) as (address, _):
        response = probe(curl, SPEC, address, store).response
    assert response is not None
    assert (response.status, response.body) == (403, b"no\n")
    assert [field for field in response.headers if field[0] != "content-length"] == [
        ("x-twice", "a"),
        ("x-twice", "b: c"),
    ]


def test_a_large_body_and_what_comes_after_it(curl: CurlClient, store: Store) -> None:
    body = bytes(range(256)) * 1024
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with tls_peer(context(store.credential("server")), answer) as (address, _):
        view = probe(curl, SPEC, address, store)
    assert view.response is not None
    assert view.response.body == body
    assert (view.exit_code, view.cipher) == (0, "TLS_AES_256_GCM_SHA384")


# --- names and addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "name", "sni", "exit_code"),
    [
        ("server", "localhost", "localhost", 0),
        ("server", None, None, 0),
        ("server", "127.0.0.1", None, 0),
        ("server", "127.0.0.2", None, 60),
        ("server", "elsewhere.test", "elsewhere.test", 60),
        ("server_elsewhere", "elsewhere.test", "elsewhere.test", 0),
        ("server_elsewhere", None, None, 60),
    ],
)
def test_the_name_says_nothing_about_the_address(
    server: str, name: str | None, sni: str | None, exit_code: int, curl: CurlClient, store: Store
) -> None:
    with tls_peer(context(store.credential(server))) as (address, seen):
        view = probe(curl, replace(SPEC, server_name=name), address, store)
    assert (seen.server_name, view.exit_code) == (sni, exit_code)


def test_connect_overrides_the_servers_address(curl: CurlClient, store: Store) -> None:
    with tls_peer(context(store.credential("server"))) as (address, _), peers.closed_port() as closed:
        spec = replace(SPEC, connect=Address("localhost", address.port), server_name=None)
        elsewhere = Address("127.0.0.1", closed.getsockname()[1])
        assert probe(curl, spec, elsewhere, store).exit_code == 0
        assert probe(curl, replace(spec, connect=elsewhere), address, store).exit_code == 7


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python knows no IPv6")
def test_an_ipv6_address(curl: CurlClient, store: Store) -> None:
    with socket.socket(socket.AF_INET6) as taken:
        try:
            taken.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"no IPv6 loopback here: {error}")
        for name in (None, "localhost"):
            view = probe(curl, replace(SPEC, server_name=name), Address("::1", taken.getsockname()[1]), store)
            assert (view.exit_code, view.phase, view.error_symbol) == (7, Phase.CONNECT, "ECONNREFUSED")


# --- what it takes from nobody ---------------------------------------------------------------------------------------


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real curl, started by a script that first writes down its arguments and environment."""
    real = CurlClient()._binary.path
    record = tmp_path / "record"
    script = tmp_path / "curl"
    script.write_text(
        f'#!/bin/sh\n{{ printf "%s\\n" "$@"; env; readlink /proc/self/fd/0; }} >>{record}\nexec {real} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("MTLS_RUN_CURL", str(script))
    return record


def test_no_secret_in_arguments_or_environment(watched: Path, store: Store) -> None:
    with tls_peer(context(store.credential("server"))) as (address, _):
        view = probe(CurlClient(), replace(SPEC, certificate="locked", passphrase=PASSPHRASE), address, store)
    assert view.exit_code == 0
    seen = watched.read_text()
    assert "--config" in seen
    assert "passphrase" not in seen
    config = next(Path(line) for line in seen.splitlines() if line.endswith(".curlrc"))
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.parent.stat().st_mode & 0o777 == 0o700


def test_a_clean_environment_and_no_terminal(
    watched: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(store.bundle(["other"]))
    (tmp_path / ".curlrc").write_text("fail\nuser-agent = leaked\n")
    leaks = {
        "HOME": str(tmp_path),
        "CURL_HOME": str(tmp_path),
        "CURL_CA_BUNDLE": other,
        "SSL_CERT_FILE": other,
        "SSL_CERT_DIR": str(tmp_path),
        "OPENSSL_CONF": str(tmp_path / "no.cnf"),
        "SSLKEYLOGFILE": str(tmp_path / "keys.log"),
        "https_proxy": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
        "LC_ALL": "de_DE.UTF-8",
    }
    for name, value in leaks.items():
        monkeypatch.setenv(name, value)
    with tls_peer(context(store.credential("server"))) as (address, seen):
        assert probe(CurlClient(), SPEC, address, store).exit_code == 0
    assert b"leaked" not in seen.request
    assert not (tmp_path / "keys.log").exists()
    record = watched.read_text().splitlines()
    for name, value in leaks.items():
        assert f"{name}={value}" not in record
    assert "/dev/null" in record
    first = record.index("--disable", record.index("--version"))  # the exchange, after the question for the version
    assert record[first + 1] == "--silent"


def test_the_command_can_be_typed(curl: CurlClient, store: Store) -> None:
    spec = replace(SPEC, certificate="locked", passphrase=PASSPHRASE, security_level=1)
    with tls_peer(context(store.credential("server")), connections=2) as (address, _):
        view = probe(curl, spec, address, store)
        assert "passphrase" not in view.command
        words = shlex.split(view.command)
        assert words[0].startswith("OPENSSL_CONF=")
        assert words[-1] == f"https://localhost:{address.port}/"
        typed = subprocess.run(["/bin/sh", "-c", view.command], capture_output=True, timeout=20, check=False)
    assert (view.exit_code, typed.returncode, typed.stdout) == (0, 0, b"hello")


def test_nothing_is_left_but_what_the_command_needs(curl: CurlClient, store: Store) -> None:
    with tls_peer(context(store.credential("server"))) as (address, _):
        probe(curl, SPEC, address, store)
    left = {path.name for path in (store.directory / "curl").iterdir()}
    assert not {name for name in left if name.startswith("probe-")}


# --- what it can't do ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (replace(SPEC, verify_flags=frozenset({VerifyFlag.STRICT})), "x509_strict"),
        (replace(SPEC, tls=(TlsVersion.V1_1, TlsVersion.V1_3)), "leave out"),
        (replace(SPEC, alpn=("h2",)), "ALPN"),
        (replace(SPEC, request=Request("HEAD", body=b"x")), "HEAD"),
    ],
)
def test_what_curl_cannot_do_is_said(spec: ClientSpec, word: str, curl: CurlClient) -> None:
    assert word in (curl.cannot(spec) or "")


def test_what_curl_can_do(curl: CurlClient) -> None:
    assert curl.cannot(SPEC) is None
    assert curl.cannot(replace(SPEC, tls=(TlsVersion.V1_1, TlsVersion.V1_2), alpn=("h2", "http/1.1"))) is None
    assert curl.cannot(replace(SPEC, verify_flags=frozenset({VerifyFlag.PARTIAL_CHAIN}))) is None


def test_a_missing_curl_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLS_RUN_CURL", "/nonexistent/curl")
    with pytest.raises(LabError, match=r"MTLS_RUN_CURL=/nonexistent/curl names no program.*apt install curl"):
        CurlClient().version()
    monkeypatch.delenv("MTLS_RUN_CURL")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LabError, match="no curl on PATH"):
        CurlClient().version()


@pytest.mark.parametrize(
    ("libraries", "reason"),
    [
        ("(SecureTransport) LibreSSL/3.3.6 zlib/1.2.12", "LibreSSL/3.3.6"),
        ("GnuTLS/3.8.3 (OpenSSL/3.0.13) zlib/1.3", "GnuTLS/3.8.3"),
        ("OpenSSL/3.5.1 (GnuTLS/3.8.3) zlib/1.3", None),
    ],
)
def test_another_tls_library_is_a_reason_to_skip(
    libraries: str, reason: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "curl"
    script.write_text(
        f"#!/bin/sh\necho 'curl 8.7.1 (some-system) libcurl/8.7.1 {libraries}'\necho 'Features: HTTP2 SSL'\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("MTLS_RUN_CURL", str(script))
    client = CurlClient()
    assert client.version() == "8.7.1"
    told = client.cannot(SPEC)
    assert told == (None if reason is None else f"this curl is built on {reason}, not on OpenSSL")


def test_a_program_that_is_no_curl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLS_RUN_CURL", "/bin/false")
    with pytest.raises(LabError, match="gives no version of curl"):
        CurlClient().version()


def test_unknown_signature_algorithms_do_not_pass_silently(curl: CurlClient, store: Store) -> None:
    spec = replace(SPEC, signature_algorithms=("NO-SUCH+SHA256",))
    with (
        tls_peer(context(store.credential("server"))) as (address, _),
        pytest.raises(LabError, match="did not take the signature algorithms"),
    ):
        probe(curl, spec, address, store)


def test_a_curl_that_does_not_stop_is_stopped(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "curl"
    real = CurlClient()._binary.path
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) exec {real} --version;; esac\necho $$ >{tmp_path}/pid\nexec sleep 300\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("MTLS_RUN_CURL", str(script))
    with pytest.raises(DeadlineExceeded):
        CurlClient().probe(replace(SPEC, timeout=0.1), Address("127.0.0.1", 9), store, Deadline.after(3))
    process = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
