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
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import h11

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.observation import HttpRequest
from mtls_runner.tls.http import next_request
from mtls_runner.tls.http_response import HttpError

__all__ = ["IDLE_SECONDS", "HttpServer", "UnixHttpServer", "mountable", "unix_socket"]

IDLE_SECONDS = 30.0
"""How long a request may take to come, or an answer to be read."""
_STOP_SECONDS = 2.0
_PATIENCE = 0.02


class HttpServer:
    """Answers requests, each connection in a thread of its own, until :meth:`close`.

    Args:
        listener: bound to where it listens.
        name: for people.
        heard: called at each request, with the port that it came from; of a TCP listener.
    """

    def __init__(self, listener: socket.socket, name: str, heard: Callable[[int], None] | None = None) -> None:
        self._name = name
        self._heard = heard
        self._lock = threading.Condition()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._listener = listener
        self._listener.listen(16)
        self._add_thread(self._accept)

    @abstractmethod
    def respond(self, sock: socket.socket, connection: h11.Connection, request: HttpRequest) -> bool:
        """Answer one request; whether the connection can carry another one.

        Raises:
            OSError: the other end hung up.
        """

    def _add_thread(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=f"mtls-run {self._name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:  # no file descriptor is free: who comes waits in the kernel's queue
                with self._lock:
                    if self._stopping:
                        return
                    self._lock.wait(_PATIENCE)
                continue
            with self._lock:
                if self._stopping:
                    sock.close()
                    return
                self._open.add(sock)
            self._add_thread(self._serve, sock, peer)

    def _serve(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            more = True
            while more:
                request = next_request(sock, connection, Deadline.after(IDLE_SECONDS))
                if request is None:
                    return
                if self._heard is not None:
                    self._heard(peer[1])  # who has hung up can't be asked any more
                more = self.respond(sock, connection, request)
        except (OSError, HttpError):
            return  # the other end hung up, or the run ends
        finally:
            sock.close()
            with self._lock:
                self._open.discard(sock)

    def close(self) -> None:
        """Stop, and wait for every thread."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError), socket.socket(self._listener.family) as waker:
            waker.settimeout(_STOP_SECONDS)
            waker.connect(self._listener.getsockname())  # closing a socket wakes no accept()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)
            if thread.is_alive():
                raise LabError(f"a thread of the server at {self._name} does not end")
        self._listener.close()


def unix_socket(path: Path) -> socket.socket:
    """Bound to that path, which a container may be given, in a directory that nobody else can enter."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)  # a server's workers are nobody in particular
    return listener


class UnixHttpServer(HttpServer):
    """One on a Unix socket.

    Args:
        directory: others can enter it, but not what it lies in.
        name: of the socket in it.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        super().__init__(unix_socket(directory / name), name)


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
