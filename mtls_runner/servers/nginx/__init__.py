"""What nginx says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.model.traits import BackendTraits, Directives, PlainServer, Refusal, Runtime

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mtls_runner.model.port import ServerBackend

__all__ = ["TRAITS", "WITH_CONSENT"]


def _make() -> ServerBackend:
    from mtls_runner.servers.nginx.backend import NginxBackend

    return NginxBackend()


def _make_with_consent() -> ServerBackend:
    from mtls_runner.servers.nginx.backend import NginxBackend

    return NginxBackend(consent=True)


def _clock(container: bool) -> str | None:
    from mtls_runner.runtimes.clock import stands

    return stands(None if container else "nginx")


def _ahead(image: str) -> AbstractContextManager[None]:
    from mtls_runner.servers.nginx.ahead import begun

    return begun(image)


# nginx switches OpenSSL's completing of chains off (SSL_MODE_NO_AUTO_CHAIN, in ngx_ssl_create).
TRAITS = BackendTraits(
    name="nginx",
    sentence="a container, or a process",
    summary="nginx in a container",
    make=_make,
    library="openssl",
    refusal=Refusal.STATUS,
    refusal_status=400,
    runtimes=(Runtime.CONTAINER, Runtime.PROCESS),
    image="nginx:1.27",
    verify_depth=1,
    directives=Directives(
        certificate="ssl_verify_client on",
        crl="ssl_crl",
        trust="ssl_client_certificate",
        log="error_log with the level info",
    ),
    plain=PlainServer.NGINX,
    image_variable="MTLS_RUN_IMAGE",
    clock=_clock,
    ahead=_ahead,
)
WITH_CONSENT = replace(TRAITS, make=_make_with_consent)
"""Where an own configuration may have a process do anything."""
