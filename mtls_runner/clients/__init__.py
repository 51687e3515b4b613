"""What clients are made of; here, what the lab's own one (Python's ssl) says of itself, as the others do in their packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls_runner.model.traits import ClientProtocol, ClientTraits, Runtime

if TYPE_CHECKING:
    from mtls_runner.model.port import Client, TypedCommand

__all__ = ["TRAITS"]


def _make() -> Client:
    from mtls_runner.clients.python_ssl import PythonClient

    return PythonClient()


def _typed() -> TypedCommand:
    from mtls_runner.clients import s_client

    return s_client


TRAITS = ClientTraits(
    name="python",
    sentence="",
    make=_make,
    library="openssl",
    completes_chains=True,
    runtimes=(Runtime.EMBEDDED,),
    protocols=frozenset(ClientProtocol),
    like_curl=True,
    typed=_typed,
)
