"""A declared server that runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from mtls_runner.deadline import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address
from mtls_runner.model.implementation import DeclaredServer, Implementation
from mtls_runner.model.observation import ClientView, Phase, ServerView
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.view import is_over, server_view

__all__ = ["Instance", "RunningDeclared"]

_VIEW_SECONDS = 3.0
"""A line that is not there by then never comes."""
_LAST_WORDS = 5


class Instance(Protocol):
    """A program that runs, as a process or in a container."""

    @property
    def log(self) -> LogStream:
        """What it writes."""
        ...

    def exit_code(self) -> int | None:
        """``None`` while it runs."""
        ...

    def signal(self, name: str) -> None:
        """Send it a signal."""
        ...


class RunningDeclared:
    """Implements :class:`mtls_runner.model.port.RunningServer`."""

    def __init__(
        self,
        implementation: Implementation,
        declared: DeclaredServer,
        address: Address,
        instance: Instance,
        log: ConnectionLog,
    ) -> None:
        self._implementation = implementation
        self._declared = declared
        self._address = address
        self._instance = instance
        self._log = log
        self._one_at_a_time = threading.Lock()

    @property
    def address(self) -> Address:
        """On loopback."""
        return self._address

    @contextlib.contextmanager
    def watch(self) -> Iterator[_Watch]:
        """Where the log doesn't tell connections apart, waits for the connection before to be done with.

        Raises:
            LabError: the program has ended.
        """
        if self._instance.exit_code() is not None:
            last = "".join(f"\n  {line}" for line in self._instance.log.tail()[-_LAST_WORDS:])
            raise LabError(f"{self._implementation.title} ended; its last words:{last}")
        with contextlib.nullcontext() if self._log.by_port else self._one_at_a_time:
            yield _Watch(self, self._log.count)

    def view(self, client: ClientView, after: int, deadline: Deadline) -> ServerView | None:
        """What it logged of the connection that came after so many lines."""
        if client.phase in (Phase.PREPARE, Phase.CONNECT):
            return None
        limit = deadline.within(_VIEW_SECONDS)
        port = client.local_port if self._log.by_port else None
        lines = self._log.wait(port, after, self._is_over, limit)
        return server_view(self._implementation, self._declared, lines) if lines else None

    def _is_over(self, lines: Sequence[str]) -> bool:
        return is_over(self._declared, lines)


class _Watch:
    """Implements :class:`mtls_runner.model.port.Watch`."""

    def __init__(self, server: RunningDeclared, after: int) -> None:
        self._server = server
        self._after = after

    def view(self, client: ClientView, deadline: Deadline) -> ServerView | None:
        """What the server logged, some seconds after the client is done at most."""
        return self._server.view(client, self._after, deadline)
