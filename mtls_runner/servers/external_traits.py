"""What a server that already runs says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls_runner.model.traits import BackendTraits, PlainServer

if TYPE_CHECKING:
    from mtls_runner.model.port import ServerBackend

__all__ = ["TRAITS"]


def _make() -> ServerBackend:
    from mtls_runner.servers.external import ExternalBackend

    return ExternalBackend()


TRAITS = BackendTraits(
    name="external",
    sentence="already runs at `address`",
    summary="one that already runs; the lab starts nothing",
    make=_make,
    runs_already=True,
    plain=PlainServer.RUNNING,
    in_catalogue=False,
)
