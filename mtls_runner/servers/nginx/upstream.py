"""Stands in for the applications behind ``proxy_pass``: answers, and records what nginx forwarded.

The stub is the lab's own HTTP server, since only a server that reads the whole head can say what was in it. It listens on
a Unix socket in the run's private directory, which is the one thing that is mounted into the container: a TCP socket that
a container could reach would have to listen beyond loopback. Inside, each name is an address of the container's loopback
(``/etc/hosts``), and nginx relays what arrives there to the socket with every header as it came.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import h11

from mtls_runner.deadline import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.observation import HttpRequest
from mtls_runner.model.spec import ServerSpec
from mtls_runner.tls.http import HttpError, Reply, next_request, reply

__all__ = ["MOUNTED_AT", "UpstreamStub", "relay_configuration", "relay_hosts", "upstream_stub"]

MOUNTED_AT = "/run/mtls-run"
_SOCKET = "upstream.sock"
_IDLE_SECONDS = 30.0
_STOP_SECONDS = 2.0


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


class UpstreamStub:
    """See :func:`upstream_stub`. ``directory`` is what the container gets as :data:`MOUNTED_AT`."""

    def __init__(self, server: ServerSpec, directory: Path) -> None:
        self.directory = directory
        self._replies = Reply.by_path(server.responses)
        self._lock = threading.Lock()
        self._last: HttpRequest | None = None
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._listener = socket.socket(socket.AF_UNIX)
        path = directory / _SOCKET
        self._listener.bind(str(path))
        # nginx's workers are nobody in particular; whoever else is on this machine can't enter the directory above.
        path.chmod(0o666)
        self._listener.listen(16)
        self._add_thread(self._accept)

    def take(self) -> HttpRequest | None:
        """The request that came last since somebody asked; ``None``: none came."""
        with self._lock:
            last, self._last = self._last, None
            return last

    def _add_thread(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="mtls-run upstream", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with self._lock:
                if self._stopping:
                    sock.close()
                    return
                self._open.add(sock)
            self._add_thread(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        http = h11.Connection(h11.SERVER)
        try:
            more = True
            while more:
                request = next_request(sock, http, Deadline.after(_IDLE_SECONDS))
                if request is None:
                    return
                with self._lock:
                    self._last = request
                more = reply(sock, http, request, self._replies)
        except (OSError, HttpError):
            return  # nginx hung up, or the run ends
        finally:
            sock.close()
            with self._lock:
                self._open.discard(sock)

    def close(self) -> None:
        """Stop, and wait for every thread."""
        with self._lock:
            self._stopping = True
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as waker:
            waker.connect(str(self.directory / _SOCKET))  # closing a socket wakes no accept()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
            if thread.is_alive():
                raise LabError("a thread of the upstream stub does not end")
        self._listener.close()


@contextlib.contextmanager
def upstream_stub(server: ServerSpec, private: Path) -> Iterator[UpstreamStub]:
    """A stub that answers with the server's responses; ``private`` is a 0700 directory."""
    directory = private
    if len(os.fsencode(private)) > 70:  # sun_path holds 108 bytes
        directory = Path(tempfile.mkdtemp(prefix="mtls-run-"))
    inner = Path(tempfile.mkdtemp(prefix="up-", dir=directory))
    inner.chmod(0o755)
    try:
        stub = UpstreamStub(server, inner)
        try:
            yield stub
        finally:
            stub.close()
    finally:
        shutil.rmtree(inner if directory == private else directory, ignore_errors=True)
