"""The peer: ``ssl`` and nothing else, in a loop without time limits; prints the loop's seconds.

``good`` makes every connection a whole exchange (mutual handshake, request, response), ``mix`` is the benchmark's mix, in
which two thirds are refused and thus shorter. Contexts are made once for each kind and version; refusals are checked by
the client's error alone.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Sequence

import trustme

from bench.mix import KINDS, VERSIONS, mix

_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
_TLS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def serve(listener: socket.socket, context: ssl.SSLContext, count: int) -> None:
    for _ in range(count):
        sock, _ = listener.accept()
        with context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as tls:
            try:
                tls.do_handshake()
                tls.recv(65536)
                tls.sendall(_RESPONSE)
            except ssl.SSLError:
                socket.socket.shutdown(tls, socket.SHUT_WR)
                while socket.socket.recv(tls, 65536):
                    pass


def exchange(address: tuple[str, int], context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(address) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        response = b""
        while data := tls.recv(65536):
            response += data
        return response


def main(count: int, kinds: Sequence[str]) -> None:
    ca, foreign = trustme.CA(), trustme.CA()
    clients = {"good": ca.issue_cert("client@lab.test"), "foreign": foreign.issue_cert("client@lab.test")}
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    ca.issue_cert("localhost").configure_cert(server)
    ca.configure_trust(server)
    contexts = {}
    for kind in KINDS:
        for version in VERSIONS:
            context = contexts[kind, version] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = context.maximum_version = _TLS[version]
            ca.configure_trust(context)
            if kind in clients:
                clients[kind].configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, server, count))
        thread.start()
        address = listener.getsockname()
        began = time.perf_counter()
        for case in mix(count, kinds):
            try:
                accepted = exchange(address, contexts[case]) == _RESPONSE
            except ssl.SSLError:
                accepted = False
            if accepted != (case[0] == "good"):
                raise SystemExit(f"{case} ended otherwise")
        seconds = time.perf_counter() - began
        thread.join()
    print(seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]), KINDS if sys.argv[2] == "mix" else [sys.argv[2]])
