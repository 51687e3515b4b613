"""Virtual hosts as an author writes them, and as the embedded server serves them."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest

from mtls_runner import Lab, Overrides, ScenarioError, Status, load
from mtls_runner.pki.keys import KeyPool
from mtls_runner.registry import registry
from mtls_runner.servers.python.virtual_hosts import Hello, read_hello

HOSTS = """\
authorities:
  ca: {subject: CN=Root}
  other: {subject: CN=Other}
leaves:
  server: {issuer: ca, usage: server, san: [localhost, a.example]}
  of-other: {issuer: other, usage: server, san: b.example, passphrase: secret}
  client: {issuer: ca, usage: client}
  stranger: {issuer: other, usage: client}
server:
  certificate: server
  trust: ca
  crl_check: none
  response: {body: default}
  virtual_hosts:
    a: {names: a.example, client_auth: none, response: {body: a}}
    b: {names: [b.example, B2.example], certificate: of-other, trust: other}
cases:
  - name: CASE
    client: CLIENT
    expect: EXPECT
"""
NAMED = """\
ca: {subject: CN=Root}
leaves: {server: {usage: server, san: [localhost, a.example, b.example]}, client: {usage: client}}
server:
  certificate: server
  client_auth: none
  trust: ca
  virtual_hosts: {a: {names: a.example, client_auth: required}, b: {names: b.example, client_auth: none}}
cases:
  - {name: it asks, client: {server_name: a.example}, expect: {server-refused: no-certificate}}
  - {name: he has one, client: {certificate: client, server_name: a.example}, expect: accepted}
  - {name: another does not, client: {server_name: b.example}, expect: accepted}
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "hosts.yaml"
    path.write_text(text)
    return path


def text(client: str = "client", expect: str = "accepted") -> str:
    return HOSTS.replace("CASE", "one").replace("CLIENT", client).replace("EXPECT", expect)


def test_a_host_is_its_server_but_for_what_it_says(tmp_path: Path) -> None:
    (case,) = load(written(tmp_path, text())).cases
    server = case.server
    a, b = (host.server for host in server.hosts)
    assert (a.certificate, a.trust, a.client_auth.value, a.responses[0].body) == ("server", ("ca",), "none", b"a")
    assert (b.certificate, b.trust, b.client_auth.value, b.responses[0].body) == (
        "of-other",
        ("other",),
        "required",
        b"default",
    )
    assert b.passphrase is not None
    assert server.passphrase is None
    assert [host.names for host in server.hosts] == [("a.example",), ("b.example", "b2.example")]
    assert not a.hosts
    assert server.host("B.EXAMPLE.") is b
    assert server.host("c.example") is server
    assert server.host(None) is server


def test_a_client_trusts_the_root_of_the_host_that_it_goes_to(tmp_path: Path) -> None:
    for name, root in (("a.example", "ca"), ("b.example", "other"), ("localhost", "ca")):
        (case,) = load(written(tmp_path, text(f"{{server_name: {name}}}"))).cases
        assert case.client is not None
        assert case.client.trust == (root,)


def test_a_matrix_reaches_into_a_host(tmp_path: Path) -> None:
    plan = load(
        written(
            tmp_path,
            text("{server_name: a.example}") + "matrix: {server.virtual_hosts.a.client_auth: [none, optional]}\n",
        )
    )
    modes = [case.server.hosts[0].server.client_auth.value for case in plan.cases]
    assert modes == ["none", "optional"]
    assert all(case.server.hosts[0].names == ("a.example",) for case in plan.cases)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("names: a.example", "names: b.example", "'a' has this name already"),
        ("  trust: ca\n", "  trust: ca\n  names: A.example\n", "the server itself has this name already"),
        ("trust: other}", "trust: othre}", "there is no authority or leaf 'othre'"),
        ("certificate: of-other", "certificate: of-othre", "there is no authority or leaf 'of-othre'"),
        ("certificate: of-other", "other_certificates: of-othre", "there is no authority or leaf 'of-othre'"),
        ("client_auth: none, response", "backend: nginx, response", "there is no key 'backend' here"),
        ("names: a.example", "session_cache: shared", "this is not a cache of sessions"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in text()
    with pytest.raises(ScenarioError, match=message):
        load(written(tmp_path, text().replace(old, new)))


def test_names_without_hosts(tmp_path: Path) -> None:
    without = text().replace("  trust: ca\n", "  trust: ca\n  names: a.example\n")
    without = "\n".join(
        line
        for line in without.splitlines()
        if "virtual_hosts" not in line and not line.startswith("    a:") and not line.startswith("    b:")
    )
    with pytest.raises(ScenarioError, match="there are none"):
        load(written(tmp_path, without + "\n"))


# --- the name in a ClientHello ---


def hello(name: str | None, *, most: int = 1 << 14) -> bytes:
    """What OpenSSL would send first, in records of at most so many bytes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = name is not None
    context.verify_mode = ssl.CERT_REQUIRED if name is not None else ssl.CERT_NONE
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    record = out.read()
    body = record[5:]
    pieces = [body[at : at + most] for at in range(0, len(body), most)]
    return b"".join(record[:3] + len(piece).to_bytes(2, "big") + piece for piece in pieces)


@pytest.mark.parametrize("most", [1 << 14, 100, 7, 1])
def test_the_name_is_read_however_it_is_cut(most: int) -> None:
    assert read_hello(hello("Www.Example.com", most=most)) == Hello(whole=True, server_name="www.example.com")
    assert read_hello(hello(None, most=most)) == Hello(whole=True, server_name=None)


def test_less_than_all_of_it_is_not_whole() -> None:
    whole = hello("www.example.com")
    for size in range(len(whole)):
        assert read_hello(whole[:size]) == Hello(whole=False), size


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"]
)
def test_what_is_no_client_hello_needs_no_more(data: bytes) -> None:
    assert read_hello(data) == Hello(whole=True)


def test_lies_about_lengths_read_as_no_name() -> None:
    whole = bytearray(hello("www.example.com"))
    for at in range(5, len(whole)):
        changed = bytearray(whole)
        changed[at] = 0xFF
        read_hello(bytes(changed))  # whatever it says, it says something
    assert read_hello(bytes(whole)).server_name == "www.example.com"


def test_a_host_is_found_however_slowly_its_name_comes(tmp_path: Path) -> None:
    plan = load(written(tmp_path, text()))
    with Lab(plan, pool=KeyPool()) as lab:
        address = lab.server(plan.cases[0].server).address
        first = hello("b.example")
        with socket.create_connection((address.host, address.port), 20) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(lab.material.bundle(["other"]))
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname="b.example")
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            first = outgoing.read()
            for at in range(0, len(first), 97):
                sock.sendall(first[at : at + 97])
                time.sleep(0.002)  # the peer's own pace, not the test's: nothing waits for it
            while True:
                incoming.write(sock.recv(65536))
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                break
        assert tls.getpeercert(binary_form=True) == lab.material.credential("of-other").der


@pytest.mark.parametrize(
    ("client", "status"),
    [
        ("{certificate: client, server_name: localhost}", Status.PASS),
        ("{certificate: stranger, server_name: localhost}", Status.FAIL),
        ("{certificate: stranger, server_name: b.example}", Status.PASS),
        ("{certificate: client, server_name: b2.example, insecure: true}", Status.FAIL),
        ("{server_name: a.example}", Status.PASS),
        ("{server_name: b.example}", Status.FAIL),
    ],
)
def test_each_host_has_its_own_authorities(tmp_path: Path, client: str, status: Status) -> None:
    plan = load(written(tmp_path, text(client)))
    with Lab(plan, pool=KeyPool()) as lab:
        verdict = lab.run(plan.cases[0])
    assert verdict.status is status, verdict


@pytest.mark.parametrize("backend", ["python", "haproxy", "apache"])
def test_a_host_counts_though_the_certificate_of_the_default_names_it(tmp_path: Path, backend: str) -> None:
    """HAProxy takes its first certificate for every name in it, unless it is told not to."""
    why = registry().backends[backend].missing()
    if why is not None:
        pytest.skip(why)
    plan = load(written(tmp_path, NAMED), Overrides(backend=backend))
    with Lab(plan, pool=KeyPool()) as lab:
        verdicts = [lab.run(case) for case in plan.cases]
    assert [verdict.status for verdict in verdicts] == [Status.PASS] * 3, [verdict.mismatches for verdict in verdicts]
