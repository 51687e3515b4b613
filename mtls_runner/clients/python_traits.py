"""What Python's own client says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls_runner.model.traits import ClientTraits, Runtime

if TYPE_CHECKING:
    from mtls_runner.model.port import Client

__all__ = ["TRAITS"]


def _make() -> Client:
    from mtls_runner.clients.python_ssl import PythonClient

    return PythonClient()


TRAITS = ClientTraits(
    name="python",
    sentence="",
    make=_make,
    library="openssl",
    completes_chains=True,
    runtimes=(Runtime.EMBEDDED,),
)
