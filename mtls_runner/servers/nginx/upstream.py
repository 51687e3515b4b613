"""Stands in for the applications behind ``proxy_pass``: answers, and records what nginx forwarded.

The stub is the lab's own HTTP server, since only a server that reads the whole head can say what was in it. Inside the
container each name is an address of its loopback (``/etc/hosts``), and nginx relays what arrives there to the stub's socket
with every header as it came.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import h11

from mtls_runner.model.observation import HttpRequest
from mtls_runner.model.server import ServerSpec
from mtls_runner.servers.nginx.unix_server import UnixServer, mountable
from mtls_runner.tls.http import Reply, reply

__all__ = ["MOUNTED_AT", "UpstreamStub", "relay_configuration", "relay_hosts", "upstream_stub"]

MOUNTED_AT = "/run/mtls-run"
_SOCKET = "upstream.sock"


def relay_hosts(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each name's loopback address inside the container; its own, so that it can't meet the author's ``listen``."""
    return tuple((name, f"127.0.66.{number}") for number, name in enumerate(names, 1))


def relay_configuration(names: Sequence[str], texts: Sequence[str]) -> str:
    """One line for the ``http`` level: a server for each name, on port 80 and on every port that the texts name."""
    servers = []
    for name, address in relay_hosts(names):
        ports = {80} | {int(port) for text in texts for port in re.findall(rf"\b{re.escape(name)}:(\d{{1,5}})\b", text)}
        listens = " ".join(f"listen {address}:{port};" for port in sorted(ports) if 0 < port < 65536)
        servers.append(
            f"server {{ {listens} access_log off; error_log /dev/null crit; client_max_body_size 0; "
            "underscores_in_headers on; ignore_invalid_headers off; large_client_header_buffers 8 64k; location / { "
            f"proxy_pass http://unix:{MOUNTED_AT}/{_SOCKET}:; proxy_http_version 1.1; proxy_redirect off; "
            "proxy_set_header Host $http_host; proxy_set_header Connection $http_connection; } }"
        )
    return " ".join(servers)


class UpstreamStub(UnixServer):
    """See :func:`upstream_stub`. ``directory`` is what the container gets as :data:`MOUNTED_AT`."""

    def __init__(self, server: ServerSpec, directory: Path) -> None:
        self._replies = Reply.by_path(server.responses)
        self._last: HttpRequest | None = None
        super().__init__(directory, _SOCKET)

    def take(self) -> HttpRequest | None:
        """The request that came last since somebody asked; ``None``: none came."""
        with self._lock:
            last, self._last = self._last, None
            return last

    def respond(self, sock: socket.socket, connection: h11.Connection, request: HttpRequest) -> bool:
        """The scenario's response for the path."""
        with self._lock:
            self._last = request
        return reply(sock, connection, request, self._replies)


@contextlib.contextmanager
def upstream_stub(server: ServerSpec, private: Path) -> Iterator[UpstreamStub]:
    """A stub that answers with the server's responses; ``private`` is a 0700 directory."""
    with mountable(private) as directory:
        stub = UpstreamStub(server, directory)
        try:
            yield stub
        finally:
            stub.close()
