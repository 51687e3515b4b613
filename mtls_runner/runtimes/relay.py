"""A port in front of a server: what comes in goes on to it, byte for byte, and back."""

from __future__ import annotations

import socket
import threading
from contextlib import AbstractContextManager, suppress
from types import TracebackType

from mtls_runner.model.endpoint import Address

__all__ = ["Relay"]

_JOIN_SECONDS = 5.0
_PATIENCE = 0.02


class Relay(AbstractContextManager["Relay"]):
    """A context manager that relays while its block runs.

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
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((host, port))
            self._listener.listen()
        except (OSError, OverflowError):
            self._listener.close()
            raise
        self.address = Address(*self._listener.getsockname())
        self._open: set[socket.socket] = set()
        self._left = False
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="mtls-run-relay", daemon=True)
        self._thread.start()

    def admit(self, host: str) -> None:
        """Let this host's connections in, an IP address, and no others."""
        self._guest = host
        self._admitted.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(_JOIN_SECONDS)
        self._listener.close()
        if not self._admitted.is_set():
            self.admit("")  # who waits for that goes
        with self._lock:
            self._left = True
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                person, (host, _) = self._listener.accept()
            except OSError:  # it has ended, or no file descriptor is free: who comes waits in the kernel's queue
                if self._ended.wait(_PATIENCE):
                    return
                continue
            threading.Thread(target=self._pass_on, args=(person, host), name="mtls-run-relayed", daemon=True).start()

    def _pass_on(self, person: socket.socket, host: str) -> None:
        with person:
            if not self._admitted.wait(_JOIN_SECONDS) or self._guest not in (None, host):
                return
            try:
                server = socket.create_connection((self._behind.host, self._behind.port), _JOIN_SECONDS)
            except OSError:
                return
            with server:
                server.settimeout(None)
                with self._lock:
                    if self._left:
                        return
                    self._open |= {person, server}
                back = threading.Thread(target=_pump, args=(server, person), name="mtls-run-relayed", daemon=True)
                back.start()
                _pump(person, server)
                back.join()
                with self._lock:
                    self._open -= {person, server}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Until one end has no more to say; what was said first still arrives."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
