"""Hostile servers, each on a loopback port of its own, for as many connections as come."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .wire import Wire

__all__ = ["MakeContext", "hostile_servers"]

MakeContext = Callable[[Path], ssl.SSLContext]
_PATIENCE = 20.0


class _Server:
    """One of them, with a thread for each connection."""

    def __init__(self, behave: Callable[[Wire], None], make: MakeContext, directory: Path) -> None:
        self._behave = behave
        self._keys = directory / "keys"
        self._context = make(self._keys)
        self._context.num_tickets = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._stopping = False
        self._start(self._accept)

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name=f"hostile-{self.port}")
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            with self._lock:
                if self._stopping:
                    sock.close()
                    return
                self._open.add(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(_PATIENCE)
        try:
            self._behave(Wire(sock, self._context, self._keys))
        except OSError:
            pass  # the client is gone, which is what many behaviours wait for
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()

    def close(self) -> None:
        """End what is open and wait for every thread."""
        with self._lock:
            self._stopping = True
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # gone already
        socket.create_connection(("127.0.0.1", self.port), 5).close()  # what wakes accept()
        for thread in self._threads:
            thread.join(_PATIENCE + 5)
            assert not thread.is_alive(), thread.name
        self._listener.close()


@contextmanager
def hostile_servers(
    behaviours: Mapping[str, Callable[[Wire], None]], make: MakeContext, directory: Path
) -> Iterator[Mapping[str, int]]:
    """Serve each behaviour; yields their ports.

    Args:
        behaviours: by name.
        make: a server's context that logs its secrets to the file that it is given.
        directory: for such files.
    """
    with ExitStack() as stack:
        ports = {}
        for number, (name, behave) in enumerate(behaviours.items()):
            own = directory / str(number)
            own.mkdir()
            server = _Server(behave, make, own)
            stack.callback(server.close)
            ports[name] = server.port
        yield ports
