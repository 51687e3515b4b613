"""Everybody who is told what happens: the console and the report files."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from mtls_runner.cli.barrier import Barrier
from mtls_runner.cli.stop import Stop
from mtls_runner.model.event import Event, RunFinished
from mtls_runner.model.port import Reporter

if TYPE_CHECKING:
    from mtls_runner.atomic_file import AtomicFile

__all__ = ["Audience", "Outlet"]


@dataclass(slots=True)
class Outlet:
    """One reporter.

    Args:
        name: for people, when it breaks.
        reporter: who is told.
        stream: what the reporter writes to.
        file: what has to be put in place at the end; ``None`` for the console.
    """

    name: str
    reporter: Reporter
    stream: TextIO
    file: AtomicFile | None = None


class Audience:
    """Tells all outlets of all events; one that breaks is dropped, and the others never notice.

    Args:
        outlets: who is told.
        stop: what keeps a signal from tearing a line apart.
    """

    def __init__(self, outlets: Sequence[Outlet], stop: Stop) -> None:
        self._outlets = list(outlets)
        self._stop = stop
        self.broken = False
        """A reporter raised."""
        self.gone = False
        """Nobody reads any more: all output went into closed pipes."""

    def follow(self, events: Iterator[Event]) -> RunFinished | None:
        """Tell everything until the end, which is returned; ``None`` when all outlets are gone before it.

        Raises:
            KeyboardInterrupt: the person insists, and whatever still runs is left as it is.
        """
        end: RunFinished | None = None
        delivered = False
        with self._stop.gently():
            while True:
                event: Event | None
                if self._stop.requested and not delivered and end is None:
                    delivered = True
                    self._stop.patience()
                    event = _thrown_into(events)
                else:
                    event = next(events, None)
                if event is None:
                    return end
                if isinstance(event, RunFinished):
                    end = event
                try:
                    self._tell(event)
                except KeyboardInterrupt:  # while somebody who should read does not
                    if delivered:
                        raise
                if not self._outlets and not self.broken:
                    self.gone = True
                    _closed(events)
                    return end

    def tell(self, event: Event) -> None:
        """Tell something at once, from within what the next event is waited for."""
        self._tell(event)

    def close(self) -> None:
        """Finish every report that saw the end, and put it in place."""
        with self._stop.gently():
            for outlet in self._outlets:
                with Barrier(outlet.name) as barrier:
                    outlet.reporter.close()
                    if outlet.file is not None:
                        outlet.file.keep()
                self.broken |= barrier.broken
        self._outlets = []

    def _tell(self, event: Event) -> None:
        for outlet in list(self._outlets):
            with Barrier(outlet.name) as barrier:
                try:
                    outlet.reporter.handle(event)
                except BrokenPipeError:
                    self._outlets.remove(outlet)
                    _to_nowhere(outlet.stream)
            if barrier.broken:
                self.broken = True
                self._outlets.remove(outlet)
                with Barrier(outlet.name):
                    outlet.reporter.close()


def _thrown_into(events: Iterator[Event]) -> Event | None:
    """The interrupt reached us between two events: the engine has to know. Its next event."""
    if not isinstance(events, Generator):
        raise KeyboardInterrupt
    try:
        event: Event = events.throw(KeyboardInterrupt())
    except StopIteration:
        return None
    return event


def _closed(events: Iterator[Event]) -> None:
    if isinstance(events, Generator):
        events.close()


def _to_nowhere(stream: TextIO) -> None:
    """What is still buffered must not complain again when the interpreter flushes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
