"""HTTP servers of the lab's own: on a Unix socket that a container can reach, or on loopback, and nobody else.

A Unix socket listens in the run's private directory, which is the one thing that is mounted into the container: a TCP socket
that a container could reach would have to listen beyond loopback.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h11

from mtls_runner.deadlines import Deadline
from mtls_runner.model.observation import HttpRequest
from mtls_runner.runtimes.listening import Listening
from mtls_runner.tls.http import next_request
from mtls_runner.tls.http_response import HttpError

__all__ = ["IDLE_SECONDS", "HttpServer", "mountable", "unix_socket"]

IDLE_SECONDS = 30.0
"""How long a request may take to come, or an answer to be read."""


class HttpServer(Listening):
    """Answers requests.

    Args:
        listener, name: as for what listens.
        heard: called at each request, with the port that it came from; of a TCP listener.
    """

    def __init__(self, listener: socket.socket, name: str, heard: Callable[[int], None] | None = None) -> None:
        self._heard = heard
        super().__init__(listener, name)

    @abstractmethod
    def respond(self, sock: socket.socket, connection: h11.Connection, request: HttpRequest) -> bool:
        """Answer one request; whether the connection can carry another one.

        Raises:
            OSError: the other end hung up.
        """

    def serve(self, sock: socket.socket, peer: Any) -> None:
        """Answer what is asked on a connection."""
        connection = h11.Connection(h11.SERVER)
        with contextlib.suppress(OSError, HttpError):  # the other end hung up, or the run ends
            more = True
            while more:
                request = next_request(sock, connection, Deadline.after(IDLE_SECONDS))
                if request is None:
                    return
                if self._heard is not None:
                    self._heard(peer[1])  # who has hung up can't be asked any more
                more = self.respond(sock, connection, request)


def unix_socket(path: Path) -> socket.socket:
    """Listens at that path, which a container may be given, in a directory that nobody else can enter."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    path.chmod(0o666)  # a server's workers are nobody in particular
    return listener


@contextlib.contextmanager
def mountable(private: Path) -> Iterator[Path]:
    """A directory to mount, in ``private``, a 0700 directory; gone afterwards."""
    private = private.absolute()  # what the engine mounts has no other name
    outer = private
    if len(os.fsencode(private)) > 70:  # sun_path holds 108 bytes
        outer = Path(tempfile.mkdtemp(prefix="mtls-run-"))
    inner = Path(tempfile.mkdtemp(prefix="up-", dir=outer))
    inner.chmod(0o755)
    try:
        yield inner
    finally:
        shutil.rmtree(inner if outer == private else outer, ignore_errors=True)
