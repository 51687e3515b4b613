"""The ``external`` backend: an endpoint that already runs. Nothing is started, and only its log may say what it saw."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView, ServerView
from mtls_runner.model.port import Material, RunningServer, ServerBackend
from mtls_runner.model.traits import BackendTraits, PlainServer

__all__ = ["TRAITS", "ExternalBackend"]


Log = Callable[[ClientView], ServerView | None]
"""What a server's log says of the connection that a client has made; ``None``: nothing."""


class _Endpoint(RunningServer):
    """An address; its own :class:`~mtls_runner.model.port.Watch`, since nothing tells connections apart."""

    def __init__(self, address: Address, log: Log | None) -> None:
        self._address = address
        self._log = log

    @property
    def address(self) -> Address:
        """As the scenario gives it."""
        return self._address

    @contextlib.contextmanager
    def watch(self) -> Iterator[_Endpoint]:
        """Any number of connections can be open at a time."""
        yield self

    def view(self, client: ClientView, deadline: Deadline) -> ServerView | None:  # noqa: ARG002
        """What the log says by now; without a log nothing is observed."""
        return self._log(client) if self._log is not None else None


class ExternalBackend(ServerBackend):
    """Starts nothing.

    Whether anything listens is for the clients to find out: ``no-connection`` is an outcome, not a broken lab.

    Args:
        log: reads the server's log, where that is at hand.
    """

    def __init__(self, log: Log | None = None) -> None:
        self._log = log

    def cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        """A server's own expectation, since nothing is started."""
        if server.address is None:
            return "an external server needs an address"
        return "an external server is not started by the lab" if client is None else None

    @contextlib.contextmanager
    def serve(self, server: ServerSpec, material: Material, deadline: Deadline) -> Iterator[_Endpoint]:  # noqa: ARG002
        """The endpoint at the server's address.

        Raises:
            LabError: the description has no address.
        """
        if server.address is None:
            raise LabError(f"server {server.id}: an external server needs an address")
        yield _Endpoint(server.address, self._log)


TRAITS = BackendTraits(
    name="external",
    sentence="already runs at `address`",
    summary="one that already runs; the lab starts nothing",
    make=ExternalBackend,
    runs_already=True,
    unknown_words=True,
    plain=PlainServer.RUNNING,
    in_catalogue=False,
)
