"""The threads that accept on a listening socket: as few as will do.

Threads that are blocked in ``accept`` take turns, so that each connection would wake another one while the last one is
still at its end: with the client in the same process they fight for the interpreter's lock, which costs more than half of
a handshake. So one thread serves one connection after the other, another one is added when it is away for longer than
:data:`PATIENCE`, or when more clients are announced, and those that are too many end.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mtls_runner.errors import LabError

__all__ = ["PATIENCE", "Acceptors"]

PATIENCE = 0.02
"""Seconds that a connection may wait to be accepted because of one that takes long."""
_QUIET = 1.0
"""Seconds without a connection after which nobody looks for such waits any more."""
_POKE = 0.2


class Acceptors:
    """Threads that call ``serve(socket, port)`` for each connection, until :meth:`close`.

    Args:
        listener: bound and listening; belongs to this object from now on.
        serve: deals with a connection and closes it; ``port`` is the client's. It must not raise.
        name: of the threads.
    """

    def __init__(self, listener: socket.socket, serve: Callable[[socket.socket, int], None], name: str) -> None:
        self._listener = listener
        self._serve = serve
        self._name = name
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._relief: threading.Thread | None = None
        self._accepting = 0
        self._expected = 0
        self._wanted = 1
        self._taken = 0
        self._resting = False
        self._stopping = False
        with self._changed:
            self._add()

    @contextmanager
    def expect(self) -> Iterator[None]:
        """One more client is about to connect: as many threads are kept as clients were ever announced at once."""
        with self._changed:
            self._expected += 1
            self._wanted = max(self._wanted, self._expected)
            if len(self._threads) < self._wanted and not self._stopping:
                self._add()
        try:
            yield
        finally:
            with self._changed:
                self._expected -= 1

    def close(self, seconds: float) -> None:
        """Stop accepting and wait for every thread; what is still being served must have been ended.

        Raises:
            LabError: a thread goes on for longer than ``seconds``.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            threads = [*self._threads, *([self._relief] if self._relief else [])]
        address = self._listener.getsockname()
        for _ in threads:  # a blocked accept() is not woken by closing its socket: give each thread a connection
            try:
                socket.create_connection(address, _POKE).close()
            except OSError:
                break
        self._listener.close()
        for thread in threads:
            thread.join(seconds)
            if thread.is_alive():
                raise LabError(f"thread {thread.name} does not end")

    def _add(self) -> None:
        thread = threading.Thread(target=self._accept, name=self._name, daemon=True)
        thread.start()  # where the system has no more of them it raises, and nothing has changed
        self._threads.add(thread)
        self._accepting += 1

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                with self._changed:
                    if self._stopping or self._listener.fileno() < 0:
                        return
                    self._changed.wait(PATIENCE)  # no file descriptor is free: the client waits in the kernel's queue
                continue
            with self._changed:
                if self._stopping:
                    sock.close()
                    return
                self._accepting -= 1
                self._taken += 1
                if not self._accepting:
                    self._watch_over()
            try:
                self._serve(sock, peer[1])
            finally:
                with self._changed:
                    enough = self._accepting >= self._wanted
                    if enough:
                        self._threads.discard(threading.current_thread())
                        self._changed.notify_all()
                    else:
                        self._accepting += 1
            if enough:
                return

    def _watch_over(self) -> None:
        if self._relief is None:
            relief = threading.Thread(target=self._relieve, name=f"{self._name}-relief", daemon=True)
            relief.start()
            self._relief = relief
        elif self._resting:
            self._resting = False
            self._changed.notify_all()

    def _relieve(self) -> None:
        """Add a thread where none has accepted for a while and those that there are serve the same connections still."""
        quiet = 0.0
        with self._changed:
            while not self._stopping:
                taken, busy = self._taken, not self._accepting
                self._changed.wait(PATIENCE)
                if taken != self._taken:
                    quiet = 0.0
                elif busy and not self._accepting:
                    self._add()
                elif (quiet := quiet + PATIENCE) >= _QUIET and not self._stopping:
                    self._resting, quiet = True, 0.0
                    while self._resting and not self._stopping:
                        self._changed.wait()
