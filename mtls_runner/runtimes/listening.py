"""What takes connections, each in a thread of its own; and a port in front of a server, which passes on what comes in."""

from __future__ import annotations

import socket
import threading
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address

__all__ = ["Listening", "Relay"]

_PATIENCE = 0.02
_CONNECT_SECONDS = 5.0
_STOP_SECONDS = 6.0
"""Longer than a connection to whom a relay leads may take."""
_ADMISSION_SECONDS = 5.0


class Listening:
    """Takes whoever comes, until :meth:`close`, or the end of its block.

    Args:
        listener: that listens already.
        name: for people.
    """

    def __init__(self, listener: socket.socket, name: str) -> None:
        self._name = name
        self._lock = threading.Condition()
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._stopping = False
        self._listener = listener
        self._accepting = self._started(self._accept)

    @abstractmethod
    def serve(self, sock: socket.socket, peer: Any) -> None:
        """A connection, which is closed afterwards; ``peer`` is its other end's address."""

    def _started(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, name=f"mtls-run {self._name}", daemon=True)
        thread.start()
        return thread

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
                self._threads.add(self._started(self._take, sock, peer))

    def _take(self, sock: socket.socket, peer: Any) -> None:
        try:
            self.serve(sock, peer)
        finally:
            sock.close()
            with self._lock:
                self._open.discard(sock)
                self._threads.discard(threading.current_thread())

    def close(self) -> None:
        """Stop, and wait for every thread.

        Raises:
            LabError: one does not end.
        """
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            threads = (self._accepting, *self._threads)
        with suppress(OSError), socket.socket(self._listener.family) as waker:
            waker.settimeout(_STOP_SECONDS)
            waker.connect(self._listener.getsockname())  # closing a socket wakes no accept()
        for thread in threads:
            thread.join(_STOP_SECONDS)
            if thread.is_alive():
                raise LabError(f"a thread of the server at {self._name} does not end")
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Relay(Listening):
    """A port in front of a server: what comes in goes on to it, byte for byte, and back.

    Args:
        host, port: where it listens; port 0: wherever there is room.
        behind: where the server listens.
        guarded: only the host that :meth:`admit` names may connect; until it is known, connections wait.

    Raises:
        OSError, OverflowError: nobody can listen there.
    """

    def __init__(self, host: str, port: int, behind: Address, *, guarded: bool = False) -> None:
        self._behind = behind
        self._guest: str | None = None
        self._admitted = threading.Event()
        if not guarded:
            self._admitted.set()
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen()
        except (OSError, OverflowError):
            listener.close()
            raise
        self.address = Address(*listener.getsockname())
        super().__init__(listener, f"relay {self.address}")

    def admit(self, host: str) -> None:
        """Let this host's connections in, an IP address, and no others."""
        self._guest = host
        self._admitted.set()

    def close(self) -> None:
        """Stop; who still waits to be admitted is sent away."""
        if not self._admitted.is_set():
            self.admit("")
        super().close()

    def serve(self, sock: socket.socket, peer: Any) -> None:
        """Pass on what comes from there, and back."""
        if not self._admitted.wait(_ADMISSION_SECONDS) or self._guest not in (None, peer[0]):
            return
        try:
            server = socket.create_connection((self._behind.host, self._behind.port), _CONNECT_SECONDS)
        except OSError:
            return
        with server:
            server.settimeout(None)
            with self._lock:
                if self._stopping:
                    return
                self._open.add(server)
            back = self._started(_pump, server, sock)
            _pump(sock, server)
            back.join()
            with self._lock:
                self._open.discard(server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Until one end has no more to say; what was said first still arrives."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
