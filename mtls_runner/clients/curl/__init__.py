"""What curl says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls_runner.model.certificate import FileForm
from mtls_runner.model.traits import ClientProtocol, ClientTraits, Runtime

if TYPE_CHECKING:
    from mtls_runner.clients.curl.client import CurlClient

__all__ = ["TRAITS"]


def _make() -> CurlClient:
    from mtls_runner.clients.curl.client import CurlClient

    return CurlClient()


def _clock(container: bool) -> str | None:
    import os

    from mtls_runner.runtimes.clock import stands

    return stands(None if container else os.environ.get("MTLS_RUN_CURL") or "curl")


TRAITS = ClientTraits(
    name="curl",
    sentence="",
    make=_make,
    library="openssl",
    completes_chains=True,
    partial_chain=True,
    runtimes=(Runtime.PROCESS,),
    loads=frozenset(FileForm),  # --cert-type, --key-type
    protocols=frozenset((ClientProtocol.HTTPS, ClientProtocol.HTTP)),
    own_exit_code=True,
    like_curl=True,
    typed=_make,
    clock=_clock,
)
