"""Servers that stay up, and everyone who comes to them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from types import TracebackType

from msgspec import Struct

from mtls_runner.engine.lab import Lab
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.observation import ServerView
from mtls_runner.model.port import RunningServer

__all__ = ["Ended", "OpenServers", "Visit"]

_JOIN_SECONDS = 5.0
_LOOK_UP = 0.2
"""Seconds."""


class Visit(Struct, frozen=True):
    """Somebody came to a server, and it knows what came of it."""

    server: ServerSpec
    view: ServerView


class Ended(Struct, frozen=True):
    """A server ended that nobody stopped."""

    server: ServerSpec


class OpenServers(AbstractContextManager["OpenServers"]):
    """Listens to the servers of a lab; one thread waits for each.

    Leave the lab's context before this one: the threads end when their servers do.

    Args:
        lab: whose servers.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._told: queue.SimpleQueue[Visit | Ended | None] = queue.SimpleQueue()
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
            name = f"mtls-run-visits-{spec.id}"
            thread = threading.Thread(target=self._listen, args=(spec, visits), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return running

    def next(self) -> Visit | Ended | None:
        """What comes next, from whichever server; waits for it as long as it takes. ``None``: :meth:`stop` was called.

        It looks up now and then: a signal that comes just before the thread sleeps, or to another thread, does not wake it, and
        its handler would be called when somebody comes.
        """
        while True:
            with suppress(queue.Empty):
                return self._told.get(timeout=_LOOK_UP)

    def stop(self) -> None:
        """Have :meth:`next` say so, behind all that is known by now; from anywhere, a signal's handler, too.

        An exception instead may come when :meth:`next` has an event already, and nobody would hear of it.
        """
        self._told.put(None)

    def rest(self) -> Iterator[Visit]:
        """Once all is over: who came and was not told of yet."""
        while not self._told.empty():
            event = self._told.get()
            if isinstance(event, Visit):
                yield event

    def _listen(self, spec: ServerSpec, visits: Iterator[ServerView]) -> None:
        try:
            for view in visits:
                self._told.put(Visit(spec, self._lab.discreet(view)))
        finally:
            self._told.put(Ended(spec))
