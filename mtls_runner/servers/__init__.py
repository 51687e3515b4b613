"""What serves; here, what the lab's own server (Python's ssl, embedded) says of itself, as the others do in their packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls_runner.model.traits import BackendTraits, PlainServer, Refusal, Runtime

if TYPE_CHECKING:
    from mtls_runner.model.port import ServerBackend

__all__ = ["TRAITS"]


def _make() -> ServerBackend:
    from mtls_runner.servers.python import PythonBackend

    return PythonBackend()


TRAITS = BackendTraits(
    name="python",
    sentence="embedded",
    summary="embedded in the lab (Python's ssl)",
    make=_make,
    library="openssl",
    completes_chains=True,
    refusal=Refusal.ALERT,
    runtimes=(Runtime.EMBEDDED,),
    rules_by_path=True,
    verify_depth=100,
    plain=PlainServer.S_SERVER,
)
