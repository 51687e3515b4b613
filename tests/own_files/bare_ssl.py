"""What Python's own ``ssl`` makes of files, in a process without a line of the lab: a JSON list of jobs in, results out."""

import json
import socket
import ssl
import sys
from typing import Any


def context(side: str, job: dict[str, Any]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if side == "server" else ssl.PROTOCOL_TLS_CLIENT)
    certificate, trust = job.get(f"{side}_certificate"), job.get(f"{side}_trust")
    if certificate:
        secret = (job.get("passphrase") or "").encode()
        made.load_cert_chain(certificate[0], certificate[1], lambda: secret)
    if trust:
        made.load_verify_locations(trust)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def shaken(client: ssl.SSLContext, server: ssl.SSLContext) -> str:
    """A handshake in memory, and a byte each way, as an HTTP exchange would be."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    done = [False, False]
    for _ in range(10):
        for number, end in enumerate(ends):
            try:
                if not done[number]:
                    end.do_handshake()
                    done[number] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return "refused"
    return "accepted" if all(done) else "refused"


def asked(client: ssl.SSLContext, path: str) -> str:
    """A request over a Unix socket: its answer's status."""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(20)
        plain.connect(path)
        try:
            with client.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return "accepted" if b" 200 " in tls.recv(4096) else "refused"
        except ssl.SSLError:
            return "refused"


def result(job: dict[str, Any]) -> str:
    try:
        client = context("client", job)
        if "unix" in job:
            return asked(client, job["unix"])
        return shaken(client, context("server", job))
    except (ssl.SSLError, OSError):
        return "unusable"


if __name__ == "__main__":
    json.dump([result(job) for job in json.load(sys.stdin)], sys.stdout)
