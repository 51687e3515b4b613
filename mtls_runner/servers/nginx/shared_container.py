"""Several servers of one plan in one container, each on a port of its own: starting a container is most of a server's cost."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from mtls_runner.errors import MaterialError, ServerUnusable
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.revocation import RevocationCheck

if TYPE_CHECKING:
    from mtls_runner.servers.nginx.running import RunningNginx

__all__ = ["SharedContainer", "groups", "is_plain"]

_MOST = 8
"""Servers in one container: the engine takes longer to publish many ports than to start a second container."""


def groups(servers: Sequence[ServerSpec], image: Callable[[ServerSpec], str]) -> Iterator[SharedContainer]:
    """Servers that can share a container, at least two each.

    Args:
        servers: all that may be needed.
        image: the image of each.
    """
    alike: dict[object, list[ServerSpec]] = {}
    for server in servers:
        if server.alone:
            continue
        if is_plain(server):
            alike.setdefault(image(server), []).append(server)
        elif _is_one_of_several(server):
            alike.setdefault((image(server), *_made_of(server)), []).append(server)
    for members in alike.values():
        for start in range(0, len(members), _MOST):
            group = members[start : start + _MOST]
            if len(group) > 1:
                yield SharedContainer(group)


def is_plain(server: ServerSpec) -> bool:
    """Whether nothing of it reaches beyond its own ``server`` block, or into the container from outside."""
    own = bool(server.clock) or server.option("config") or server.files or server.upstreams or server.option("port")
    checks = any(one.ocsp is not RevocationCheck.NONE for one in server.every_host)
    asks = server.responders or server.stapling is not None or checks
    return not own and not asks


def _is_one_of_several(server: ServerSpec) -> bool:
    """Whether it is one ``listen`` of an own configuration, and nothing reaches into the container from outside."""
    outside = server.clock or server.upstreams or server.responders or server.stapling is not None
    return bool(server.option("config")) and not outside


def _made_of(server: ServerSpec) -> tuple[object, ...]:
    """All that an nginx is started with, but which of the ports that it listens on is meant."""
    options = tuple(one for one in server.options if one[0] != "port")
    return server.certificate, server.files, server.substitutes, options


class SharedContainer:
    """Runs while one of its members is served.

    If they can't start together, each is to be tried alone: whose fault it is shows then.
    """

    def __init__(self, members: Sequence[ServerSpec]) -> None:
        self.members = tuple(members)
        self._lock = threading.Lock()
        self._served = 0
        self._failed = False
        self._context: AbstractContextManager[Sequence[RunningNginx]] | None = None
        self._running: Sequence[RunningNginx] = ()

    @property
    def runs(self) -> bool:
        """Whether it is there already, or can't be."""
        with self._lock:
            return self._failed or self._context is not None

    @contextlib.contextmanager
    def serve(
        self,
        server: ServerSpec,
        start: Callable[[Sequence[ServerSpec]], AbstractContextManager[Sequence[RunningNginx]]],
    ) -> Iterator[RunningNginx | None]:
        """The running member; ``None``: they can't start together.

        Args:
            server: one of the members.
            start: starts them all; gives the running ones, in the same order.
        """
        running = self._enter(server, start)
        try:
            yield running
        finally:
            if running is not None:
                self._leave()

    def _enter(
        self,
        server: ServerSpec,
        start: Callable[[Sequence[ServerSpec]], AbstractContextManager[Sequence[RunningNginx]]],
    ) -> RunningNginx | None:
        with self._lock:
            if self._failed:
                return None
            if self._context is None:
                context = start(self.members)
                try:
                    self._running = context.__enter__()
                except (MaterialError, ServerUnusable):
                    self._failed = True
                    return None
                self._context = context
            self._served += 1
            return self._running[self.members.index(server)]

    def _leave(self) -> None:
        with self._lock:
            self._served -= 1
            if self._served == 0 and self._context is not None:
                context, self._context = self._context, None
                context.__exit__(None, None, None)
