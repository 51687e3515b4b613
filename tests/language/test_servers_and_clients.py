"""Descriptions of servers and clients, short and long, and the defaults that decide outcomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.errors import UsageError
from mtls_runner.language import Overrides
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import (
    Address,
    ChainKind,
    ChainSpec,
    ClientAuth,
    ClientSpec,
    KeySource,
    MappedFile,
    MappedPart,
    Request,
    Response,
    ServerSpec,
    TlsVersion,
    VerifyFlag,
)
from tests.language.conftest import MINIMAL, Broken, Load, summary
from tests.named import backend, tool

IMAGE = ("image", "nginx:1.27")
V2, V3 = TlsVersion.V1_2, TlsVersion.V1_3


def server(load_text: Load, typed: str, overrides: Overrides | None = None) -> ServerSpec:
    text = MINIMAL.replace("{certificate: server}", f"{{{typed}}}")
    return load_text(text, overrides or Overrides()).cases[0].server


def client(load_text: Load, typed: str, more: str = "") -> ClientSpec:
    text = MINIMAL.replace("client: client\n", f"client: {typed}\n").replace("ca: {", f"{more}ca: {{")
    spec = load_text(text).cases[0].client
    assert spec is not None
    return spec


def test_the_defaults_of_a_server(load_text: Load) -> None:
    assert server(load_text, "") == ServerSpec(
        id="server",
        backend=backend("python"),
        certificate="server",
        passphrase=None,
        client_auth=ClientAuth.REQUIRED,
        trust=("ca",),
        tls=(V2, V3),
    )


def test_the_defaults_of_a_client(load_text: Load) -> None:
    assert client(load_text, "null") == ClientSpec(tool("python"), trust=("ca",), tls=(V2, V3))
    assert client(load_text, "client") == ClientSpec(tool("python"), certificate="client", trust=("ca",), tls=(V2, V3))
    assert client(load_text, "client") == client(load_text, "{certificate: client}")


def test_every_key_of_a_server(load_text: Load) -> None:
    spec = server(
        load_text,
        "backend: nginx, certificate: client, chain: leaf, client_auth: optional_no_ca, trust: ca, advertise: [], "
        "verify_depth: 3, tls: [TLSv1.3, TLSv1], ciphers: [A, B], ciphersuites: 'C:D', groups: 'X25519:P-256', "
        "signature_algorithms: [ed25519], security_level: 0, alpn: [h2, http/1.1], partial_chain: true, "
        "x509_strict: true, response: {status: 403, headers: {X: [a, b]}, body: 1.10}, "
        "responses: {/ok: {body: fine}}, options: {memory: 64m, pids: 32}, upstreams: app",
    )
    assert spec == ServerSpec(
        id="server",
        backend=backend("nginx"),
        certificate="client",
        passphrase=None,
        chain=ChainSpec(ChainKind.LEAF),
        client_auth=ClientAuth.OPTIONAL_NO_CA,
        trust=("ca",),
        advertise=(),
        verify_depth=3,
        verify_flags=frozenset(VerifyFlag),
        tls=(TlsVersion.V1_0, V3),
        ciphers="A:B",
        ciphersuites="C:D",
        groups=("X25519", "P-256"),
        signature_algorithms=("ed25519",),
        security_level=0,
        alpn=("h2", "http/1.1"),
        responses=(Response(200, (), b"fine", "/ok"), Response(403, (("X", "a"), ("X", "b")), b"1.10")),
        options=(IMAGE, ("memory", str(64 << 20)), ("pids", "32")),
        upstreams=("app",),
    )


def test_every_key_of_a_client(load_text: Load, tmp_path: Path) -> None:
    spec = client(
        load_text,
        "{tool: curl, certificate: client, key: {file: a.key}, passphrase: x, chain: [ca], trust: [ca, server], "
        "insecure: true, server_name: null, connect: '[::1]:8443', tls: TLSv1.2, ciphers: A, ciphersuites: B, groups: C, "
        "signature_algorithms: D, security_level: 1, alpn: h2, partial_chain: true, timeout: 0.5, repeat: 3, "
        "request: {method: POST, path: /a?b, headers: {H: 0777}, body: hello}}",
    )
    assert spec == ClientSpec(
        tool("curl"),
        certificate="client",
        key=KeySource(file=tmp_path / "a.key"),
        passphrase=Secret("x"),
        chain=ChainSpec(ChainKind.IDS, ("ca",)),
        trust=("ca", "server"),
        insecure=True,
        server_name=None,
        connect=Address("::1", 8443),
        tls=(V2,),
        ciphers="A",
        ciphersuites="B",
        groups=("C",),
        signature_algorithms=("D",),
        security_level=1,
        alpn=("h2",),
        verify_flags=frozenset({VerifyFlag.PARTIAL_CHAIN}),
        request=Request("POST", "/a?b", (("H", "0777"),), b"hello"),
        timeout=0.5,
        repeat=3,
    )


def test_a_client_offers_what_the_server_does(load_text: Load) -> None:
    text = MINIMAL.replace("{certificate: server}", "{tls: TLSv1.3}")
    case = load_text(text).cases[0]
    assert case.client is not None
    assert case.client.tls == (V3,)
    assert case.tls is V3


PASSPHRASES = MINIMAL.replace("server: {}\n", "server: {passphrase: of the server}\n", 1).replace(
    "{usage: client}", "{passphrase: of the client}"
)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("client", "of the client"),
        ("{certificate: client, passphrase: another}", "another"),
        ("{certificate: client, passphrase: null}", None),
        ("{certificate: client, key: server}", "of the server"),
        ("{certificate: client, key: {file: x}}", None),
        ("null", None),
    ],
)
def test_the_passphrase_that_a_client_is_given(load_text: Load, typed: str, expected: str | None) -> None:
    spec = load_text(PASSPHRASES.replace("client: client\n", f"client: {typed}\n")).cases[0].client
    assert spec is not None
    assert spec.passphrase == (Secret(expected) if expected is not None else None)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", "of the server"),
        ("passphrase: null", None),
        ("passphrase: x", "x"),
        ("certificate: client", "of the client"),
    ],
)
def test_the_passphrase_that_a_server_is_given(load_text: Load, typed: str, expected: str | None) -> None:
    spec = load_text(PASSPHRASES.replace("server: {certificate: server}", f"server: {{{typed}}}")).cases[0].server
    assert spec.passphrase == (Secret(expected) if expected is not None else None)


def test_equal_servers_are_one_object_and_variants_have_ids_of_their_own(load_text: Load) -> None:
    text = MINIMAL + "  - {name: b, client: client, expect: accepted, server: {client_auth: optional}}\n"
    text += "  - {name: c, client: client, expect: accepted, server: {like: server, client_auth: optional}}\n"
    text += "  - {name: d, client: client, expect: accepted, server: server}\n"
    first, second, third, fourth = (case.server for case in load_text(text).cases)
    assert first is fourth
    assert second is third
    assert [first.id, second.id] == ["server", "server.2"]
    assert (first.client_auth, second.client_auth) == (ClientAuth.REQUIRED, ClientAuth.OPTIONAL)


def test_several_servers(load_text: Load, broken: Broken) -> None:
    text = MINIMAL.replace(
        "server: {certificate: server}", "servers:\n  a: {client_auth: none}\n  b: {like: a, tls: TLSv1.2}"
    )
    assert summary(broken(text)) == ["9:5 'server' is missing: there are 2 servers"]
    spec = load_text(text.replace("expect: accepted", "server: b\n    expect: accepted")).cases[0].server
    assert (spec.id, spec.client_auth, spec.tls, spec.trust) == ("b", ClientAuth.NONE, (V2,), ())


def test_an_own_configuration(load_text: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nginx.conf").write_text("")
    (tmp_path / "error.html").write_text("")
    text = "backend: nginx, config: nginx.conf, port: 443, image: my/nginx, files: {/a.crt: ca.certificate, "
    text += "/b.key: leaves.server.key, /c: {file: error.html}}"
    spec = server(load_text, text)
    assert spec.backend.name == "nginx"
    assert spec.options == (("image", "my/nginx"), ("config", str(tmp_path / "nginx.conf")), ("port", "443"))
    assert spec.files == (
        MappedFile("/a.crt", certificate="ca"),
        MappedFile("/b.key", certificate="server", part=MappedPart.KEY),
        MappedFile("/c", own=tmp_path / "error.html"),
    )
    assert spec.certificate == "server"  # the leaf whose key it is given
    monkeypatch.setenv("MTLS_RUN_IMAGE", "from/environment")
    assert server(load_text, text).option("image") == "from/environment"
    assert server(load_text, text, Overrides(image="from/command-line")).option("image") == "from/command-line"


def test_an_external_server(load_text: Load, broken: Broken) -> None:
    spec = server(load_text, "backend: external, address: 'lab.test:443'")
    assert (spec.backend.name, spec.address, spec.certificate) == ("external", Address("lab.test", 443), None)
    text = MINIMAL.replace("{certificate: server}", "{backend: external}")
    assert "'address' is missing: an external server listens somewhere" in summary(broken(text))[0]
    text = MINIMAL.replace("{certificate: server}", "{address: 'lab.test:443'}")
    assert summary(broken(text)) == ["5:10 'address' is for an external server"]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("certificate: gone", "there is no authority or leaf 'gone'"),
        ("trust: [ca, gone]", "there is no authority or leaf 'gone'"),
        ("chain: [gone]", "there is no authority or leaf 'gone'"),
        ("advertise: gone", "there is no authority or leaf 'gone'"),
        ("config: gone.conf", "there is no such file"),
        ("files: {/a: {file: gone}}", "there is no such file"),
        ("files: {/a: leaves.gone.key}", "there is no authority or leaf 'gone'"),
        ("files: {/a: leaves.server.kez}", "this is not a piece of the lab's material"),
        ("files: {/a: leaves.server.passphrase}", "'server' has no passphrase"),
        ("substitutes: {d2c8: leaves.nobody.fingerprint}", "there is no authority or leaf 'nobody'"),
        ('substitutes: {"": leaves.server.fingerprint}', "an empty text stands everywhere"),
        ("substitutes: {d2c8: leaves.server.certificate}", "this is no fingerprint of the lab's material"),
        ("files: {../a: ca.certificate}", "this is not the path of a file for the server"),
        ("port: 8443", "'port' says where an own configuration listens in its container: there is no 'config'"),
        (
            "backend: nginx, port: 8443",
            "'port' says where an own configuration listens in its container: there is no 'config'",
        ),
        (
            "backend: external, address: 'lab.test:443', port: 8443",
            "'port' says where an own configuration listens in its container: there is no 'config'",
        ),
        ("port: 0", "this number is out of range"),
        ("port: 65536", "this number is out of range"),
        ("security_level: 6", "this number is out of range"),
        ("response: {status: 99}", "this number is out of range"),
        ("response: {headers: {'a b': c}}", "this is not a name as HTTP has them"),
        ('response: {headers: {a: "x\\r\\ny"}}', "a header can't hold control characters"),
        ('responses: {"/a?b": {}}', "a server answers by the path alone"),
        ("responses: {/100%: {}}", "this is not a path"),
        ("responses: {/%FF: {}}", "this is not a path"),
        ("responses: {/~a: {}, /%7Ea: {}}", "two of these are one path"),
        ("options: {memory: 1m}", "this is not an amount of memory"),
        ("options: {pids: 1}", "this number is out of range"),
        ("options: {pids: many}", "a whole number is expected here, not text"),
        ("options: {worker_processes: 1}", "there is no key 'worker_processes' here"),
        ("alpn: {}", "text is expected here, not a mapping"),
        ("partial_chain: yes", "true or false is expected here, not text"),
        ("like: gone", "there is no server 'gone'"),
        ("like: server", "these descriptions take over each other in a circle"),
        ("expect: {reason: expired}", "'starts' is missing"),
        ("expect: {starts: true, reason: expired}", "a server that starts has no reason not to"),
        ("expect: {starts: false}", "the server 'server' must not start, so that nobody can connect to it"),
    ],
)
def test_what_a_server_can_not_be(broken: Broken, typed: str, message: str) -> None:
    found = broken(MINIMAL.replace("{certificate: server}", f"{{{typed}}}"))
    assert message in [one.message for one in found]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("{certificate: gone}", "there is no authority or leaf 'gone'"),
        ("{certificate: client, key: gone}", "there is no authority or leaf 'gone'"),
        ("{trust: gone}", "there is no authority or leaf 'gone'"),
        ("{connect: localhost}", "this is not an address"),
        ("{connect: 'localhost:99999'}", "this is not an address"),
        ("{timeout: 0}", "a number of seconds is expected here"),
        ("{timeout: '5'}", "a number of seconds is expected here"),
        ("{repeat: 0}", "this number is out of range"),
        ("{request: {path: x}}", "this is not a path"),
        ("{request: {method: 'A B'}}", "this is not a method as HTTP has them"),
        ("{server_name: ''}", "this is not a name"),
        ('{server_name: "a\\0b"}', "this is not a name"),
        ("{server_name: 'user:word@localhost'}", "this is not a name"),
        ("{server_name: localhost/x}", "this is not a name"),
        (f"{{server_name: {'a' * 64}.test}}", "this is too long for a name"),
        (f"{{server_name: {'a.' * 127}test}}", "this is too long for a name"),
        ("{alpn: ['']}", "this is not a protocol's name"),
        ("{alpn: [ä]}", "this is not a protocol's name"),
        (f"{{alpn: {'a' * 256}}}", "this is not a protocol's name"),
        ('{ciphers: "AES\\0"}', "OpenSSL has no such name"),
        ("{groups: [ä]}", "OpenSSL has no such name"),
        ('{connect: "a\\0:443"}', "this is not an address"),
        ("{tool: wget}", "this is not a tool"),
        ("{tls: TLS1.2}", "this is not a TLS version"),
        ("[client]", "a list can't stand here"),
    ],
)
def test_what_a_client_can_not_be(broken: Broken, typed: str, message: str) -> None:
    (diagnostic,) = broken(MINIMAL.replace("client: client\n", f"client: {typed}\n"))
    assert diagnostic.message == message


def test_overrides_of_names_that_there_are_not(load_text: Load) -> None:
    with pytest.raises(UsageError, match=r"there is no backend 'ngnix'.*did you mean 'nginx'"):
        load_text(MINIMAL, Overrides(backend="ngnix"))
    with pytest.raises(UsageError, match="there is no tool 'wget'"):
        load_text(MINIMAL, Overrides(tool="wget"))
