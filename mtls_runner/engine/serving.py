"""Servers that stay up, and everyone who comes to them."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from types import TracebackType

from mtls_runner.engine.lab import Lab
from mtls_runner.errors import UsageError
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.observation import ServerView
from mtls_runner.model.port import RunningServer

__all__ = ["Attendance", "Ended", "Relay", "Visit"]

_JOIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody came to a server, and it knows what came of it."""

    server: ServerSpec
    view: ServerView


@dataclass(frozen=True, slots=True)
class Ended:
    """A server ended that nobody stopped."""

    server: ServerSpec


class Attendance(AbstractContextManager["Attendance"]):
    """Listens to the servers of a lab; one thread waits for each.

    Leave the lab's context before this one: the threads end when their servers do.

    Args:
        lab: whose servers.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._told: queue.SimpleQueue[Visit | Ended] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def start(self, spec: ServerSpec) -> RunningServer:
        """Start a server and listen to it, as far as it tells anything.

        Raises:
            ServerUnusable: it can't start with what it was given.
            LabError: the lab is broken.
        """
        running = self._lab.server(spec)
        if running.tells_of_everyone:
            visits = running.settled()  # from here on, not from when the thread has its turn
            name = f"mtls-run-attend-{spec.id}"
            thread = threading.Thread(target=self._attend, args=(spec, visits), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return running

    def next(self) -> Visit | Ended:
        """What comes next, from whichever server; waits for it as long as it takes."""
        return self._told.get()

    def rest(self) -> Iterator[Visit]:
        """Once all is over: who came and was not told of yet."""
        while not self._told.empty():
            event = self._told.get()
            if isinstance(event, Visit):
                yield event

    def _attend(self, spec: ServerSpec, visits: Iterator[ServerView]) -> None:
        try:
            for view in visits:
                self._told.put(Visit(spec, view))
        finally:
            self._told.put(Ended(spec))


class Relay(AbstractContextManager["Relay"]):
    """A port that people choose, in front of a server: what comes in goes on to it, byte for byte, and back.

    Args:
        port: on 127.0.0.1.
        behind: where the server listens.

    Raises:
        UsageError: nobody can listen there.
    """

    def __init__(self, port: int, behind: Address) -> None:
        self.address = Address("127.0.0.1", port)
        self._behind = behind
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((self.address.host, port))
            self._listener.listen()
        except (OSError, OverflowError) as error:
            self._listener.close()
            why = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise UsageError(f"--port: nothing can listen at {self.address}: {why}") from error
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="mtls-run-relay", daemon=True)
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(_JOIN_SECONDS)
        self._listener.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                person, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._pass_on, args=(person,), name="mtls-run-relayed", daemon=True).start()

    def _pass_on(self, person: socket.socket) -> None:
        with person:
            try:
                server = socket.create_connection((self._behind.host, self._behind.port), _JOIN_SECONDS)
            except OSError:
                return
            with server:
                server.settimeout(None)
                with self._lock:
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
