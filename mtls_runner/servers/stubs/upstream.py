"""Stands in for the applications behind a server: answers, and records what was forwarded.

It is the lab's own HTTP server, since only a server that reads the whole head can say what was in it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import h11

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.observation import HttpRequest
from mtls_runner.servers.stubs import APPLICATION_SOCKET
from mtls_runner.servers.stubs.http_server import IDLE_SECONDS, HttpServer, mountable, unix_socket
from mtls_runner.tls.http import Reply, reply

__all__ = ["ApplicationStub", "LoopbackStub", "UpstreamStub", "upstream_stub"]


class ApplicationStub(HttpServer):
    """Answers with what the scenario has the server in front of it answer.

    Args:
        server: the one in front of it.
        listener, heard: as for an HTTP server.
    """

    def __init__(self, server: ServerSpec, listener: socket.socket, heard: Callable[[int], None] | None = None) -> None:
        self._replies = Reply.by_path(server.responses)
        self._last: HttpRequest | None = None
        super().__init__(listener, "application", heard)

    def answer_as(self, server: ServerSpec) -> None:
        """From now on with what this description has the server in front of it answer."""
        self._replies = Reply.by_path(server.responses)

    def take(self) -> HttpRequest | None:
        """The request that came last since somebody asked; ``None``: none came."""
        with self._lock:
            last, self._last = self._last, None
            return last

    def respond(self, sock: socket.socket, connection: h11.Connection, request: HttpRequest) -> bool:
        """The scenario's response for the path."""
        with self._lock:
            self._last = request
        return reply(sock, connection, request, self._replies, Deadline.after(IDLE_SECONDS))


class UpstreamStub(ApplicationStub):
    """See :func:`upstream_stub`. ``directory`` is what a container gets to see."""

    def __init__(self, server: ServerSpec, directory: Path) -> None:
        self.directory = directory
        super().__init__(server, unix_socket(directory / APPLICATION_SOCKET))


class LoopbackStub(ApplicationStub):
    """One on loopback, in the clear."""

    def __init__(self, server: ServerSpec, heard: Callable[[int], None] | None = None) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address(*listener.getsockname())
        super().__init__(server, listener, heard)


@contextlib.contextmanager
def upstream_stub(server: ServerSpec, private: Path) -> Iterator[UpstreamStub]:
    """A stub that answers with the server's responses; ``private`` is a 0700 directory."""
    with mountable(private) as directory, UpstreamStub(server, directory) as stub:
        yield stub
