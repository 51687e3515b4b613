"""Clients that speak no TLS, or no HTTP: against openssl's server that turns lines round, plain sockets, and curl's own exits."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..outcomes.peers import Behaviour, peer
from .conftest import LAB, Run

_SELF_SIGNED = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={0} "
    "-addext subjectAltName=DNS:{0} -keyout {0}.key -out {0}.crt"
)

_REVERSING = """\
authorities: {{localhost: {{certificate: localhost.crt}}}}
leaves: {{client: {{certificate: client.crt, key: client.key, issuer: self}}}}
server: {{backend: external, address: "127.0.0.1:{port}"}}
matrix: {{client.tls: [TLSv1.2, TLSv1.3]}}
cases:
  - name: two lines
    client: {{certificate: client, trust: localhost, protocol: tls}}
    steps:
      - {{name: first, connect: {{send: "one\\n", until: "\\n"}}, expect: {{outcome: accepted, received: "eno\\n"}}}}
      - reuse: first
        connect: {{send: "two\\nthree\\n", until: "\\n"}}
        expect: {{outcome: accepted, received: "owt\\n"}}
      - name: the rest
        reuse: first
        connect: {{send: "4\\n", until: {{hex: 0a}}}}
        expect: {{outcome: accepted, received: "eerht\\n"}}
  - name: a handshake and no more
    client: {{certificate: client, trust: localhost, protocol: tls}}
    expect: {{outcome: accepted, received: {nothing}}}
  - {{name: nobody, client: {{trust: localhost, protocol: tls}}, expect: {{server-refused: no-certificate}}}}
  - name: nobody, and a line
    client: {{trust: localhost, protocol: tls, send: "one\\n", until: "\\n"}}
    expect: {{server-refused: no-certificate}}
"""


@contextmanager
def _reversing(directory: Path) -> Iterator[int]:
    """``openssl s_server -rev``, which demands a certificate."""
    for name in ("localhost", "client"):
        subprocess.run(_SELF_SIGNED.format(name).split(), cwd=directory, check=True, capture_output=True)
    command = (
        "openssl s_server -rev -accept 127.0.0.1:0 -cert localhost.crt -key localhost.key -CAfile client.crt -Verify 1"
    )
    with subprocess.Popen(
        [*command.split(), "-verify_return_error"],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield next(int(found[1]) for line in process.stdout if (found := re.search(r"^ACCEPT .*:(\d+)$", line)))
        finally:
            process.kill()


def test_bytes_within_tls(run: Run, tmp_path: Path) -> None:
    """The refusal of a TLS 1.3 server comes after the client's handshake: who asks for nothing hears it all the same."""
    with _reversing(tmp_path) as port:
        ran = run(_REVERSING.format(port=port, nothing='""'))
        assert ran.code == 0, ran.output
        wrong = run(_REVERSING.format(port=port, nothing="something").replace('"owt\\n"', '"two\\n"'))
    assert wrong.code == 1
    assert [case["mismatches"][0]["path"] for case in wrong.cases if case["verdict"] == "fail"] == ["received"] * 4


def _greeting(sock: socket.socket) -> None:
    """As a mail server: it speaks first, and answers each line. The end of a line comes in two pieces."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"220 ready\r")
    sock.sendall(b"\n")
    while line := sock.recv(100):
        sock.sendall(b"250 " + line)


def _reset(sock: socket.socket) -> None:
    sock.recv(100)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _says(text: bytes) -> Behaviour:
    def behave(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(text)

    return behave


def _silent(sock: socket.socket) -> None:
    sock.recv(1000)
    sock.recv(1000)


_PLAIN: dict[str, tuple[Behaviour, str, str]] = {
    "a greeting": (_greeting, r'protocol: tcp, until: "\r\n"', r'{outcome: accepted, received: "220 ready\r\n"}'),
    "until it closes": (
        _says(b"+PONG\r\n+"),
        r'protocol: tcp, send: "PING\r\n"',
        r'{outcome: accepted, received: "+PONG\r\n+"}',
    ),
    "cut short": (
        _says(b"+PON"),
        r'protocol: tcp, send: "PING\r\n", until: "\r\n"',
        "{outcome: no-connection, reason: closed, received: +PON}",
    ),
    "closed": (_says(b""), "protocol: tcp, send: PING", "{no-connection: closed}"),
    "reset": (_reset, "protocol: tcp, send: PING", "{no-connection: reset}"),
    "silent": (_silent, r"protocol: tcp, send: PING, timeout: 0.3", "{timed-out: response}"),
    "TLS at a port without": (_says(b"HTTP/1.1 400 Bad\r\n\r\n"), "protocol: tls", "{no-connection: not-tls}"),
}
_GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
_HTTP: dict[str, tuple[Behaviour, str]] = {
    "answered": (
        _says(_GOOD),
        "{outcome: accepted, status: 200, body: hi, curl_exit: 0, tls_version: null, client_chain: null}",
    ),
    "no HTTP": (_says(b"+PONG\r\n"), "{outcome: protocol-error, reason: http}"),
    "closed": (_says(b""), "{outcome: no-connection, reason: closed, curl_exit: 52}"),
    "reset": (_reset, "{outcome: no-connection, reason: reset, curl_exit: 56}"),
    "cut short": (_says(_GOOD[:-1]), "{outcome: no-connection, reason: closed, curl_exit: 18}"),
    "silent": (_silent, "{outcome: timed-out, reason: response, curl_exit: 28}"),
}


def test_plain_sockets(run: Run) -> None:
    cases, servers = ["matrix: {}", "cases:"], []
    with ExitStack() as stack:
        for number, (name, (behave, client, expect)) in enumerate(_PLAIN.items()):
            servers.append(f"  tcp{number}: {{backend: external, address: '{stack.enter_context(peer(behave))}'}}")
            cases.append(f"  - {{name: '{name}', server: tcp{number}, client: {{{client}}}, expect: {expect}}}")
        for number, (name, (behave, expect)) in enumerate(_HTTP.items()):
            servers.append(f"  http{number}: {{backend: external, address: '{stack.enter_context(peer(behave, 2))}'}}")
            both = "matrix: {client.tool: [python, curl]}"
            client = "client: {protocol: http, timeout: 2}"
            cases.append(f"  - {{name: 'http {name}', server: http{number}, {client}, {both}, expect: {expect}}}")
        ran = run("\n".join(["ca: {}", "servers:", *servers, *cases, ""]))
    assert ran.code == 0, ran.output
    assert len(ran.cases) == len(_PLAIN) + 2 * len(_HTTP)


def test_what_a_protocol_has_no_use_for(run: Run) -> None:
    said = {
        "{certificate: client, protocol: tcp}": "a client that speaks tcp has no use for 'certificate'",
        "{send: x}": "a client that speaks https has no use for 'send'",
        "{protocol: tls, request: {path: /x}}": "a client that speaks tls has no use for 'request'",
        "{request: {body: {size: big}}}": "this is no size of a body",
        "{protocol: tpc}": "did you mean 'tcp'?",
        "{protocol: tcp, send: {hex: 1}}": "these are no bytes in hexadecimal digits",
        "{protocol: tcp, send: ''}": "there are no bytes here",
    }
    for client, message in said.items():
        ran = run(f"{LAB}cases:\n  - {{name: one, client: {client}, expect: accepted}}\n")
        assert ran.code == 2
        assert message in ran.output
        assert f"steps.yaml:{len(LAB.splitlines()) + 2}:" in ran.output
    ran = run(f"{LAB}cases:\n  - {{name: one, client: {{protocol: tpc, send: x}}, expect: accepted}}\n")
    assert "did you mean 'tcp'?" in ran.output
    assert "1 mistake; nothing was run" in ran.output  # what follows from it is none of its own
    ran = run(f"{LAB}cases:\n  - {{name: one, client: {{protocol: tcp, tool: curl}}, expect: accepted}}\n")
    assert "curl does not speak tcp (http, https only)" in ran.output
