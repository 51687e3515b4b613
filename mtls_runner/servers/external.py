"""The ``external`` backend: an endpoint that already runs. Nothing is started, and nothing can be asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView, ServerView
from mtls_runner.model.port import Material, RunningServer, ServerBackend
from mtls_runner.model.traits import BackendTraits, PlainServer

__all__ = ["TRAITS", "ExternalBackend"]


class _Endpoint(RunningServer):
    """An address; its own :class:`~mtls_runner.model.port.Watch`, that sees nothing."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @property
    def address(self) -> Address:
        """As the scenario gives it."""
        return self._address

    @contextlib.contextmanager
    def watch(self) -> Iterator[_Endpoint]:
        """Connections need not be told apart: none is seen."""
        yield self

    def view(self, client: ClientView, deadline: Deadline) -> ServerView | None:  # noqa: ARG002
        """What only the server could say is not observed."""
        return None


class ExternalBackend(ServerBackend):
    """Starts nothing.

    Whether anything listens is for the clients to find out: ``no-connection`` is an outcome, not a broken lab.
    """

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
        yield _Endpoint(server.address)


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
