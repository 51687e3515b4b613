"""What of a scenario's client a declared one can't honour: its declaration lists what it can, and nothing else is run."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.model.endpoint import ClientSpec, Request
from mtls_runner.model.implementation import DeclaredClient, Honours
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.runtimes.shared_settings import shared_given, shared_missing

__all__ = ["given", "inexpressible"]


def inexpressible(client: ClientSpec, declared: DeclaredClient, title: str) -> str | None:
    """The first thing that it can't honour, for people; ``None``: it can do all of it."""
    return next(_missing(client, declared.honours, title), None)


def _missing(client: ClientSpec, honours: Honours, title: str) -> Iterator[str]:
    yield from shared_missing(client, honours, title)
    if client.crl_check not in (RevocationCheck.NONE, *honours.crl_check):
        yield f"{title} can't look up certificates in CRLs"
    if client.crl_check is not RevocationCheck.NONE and not client.crl:
        yield f"{title} checks for revocation only with a CRL"
    if client.alpn and honours.alpn is not None and client.alpn not in honours.alpn:
        yield f"{title} can't be told to offer {', '.join(client.alpn)} by ALPN"
    if client.post_handshake_auth:
        yield f"{title} can't be told to take a request for its certificate after the handshake"
    if client.proxy_protocol is not None:
        yield f"{title} can't be told to speak the PROXY protocol"
    if client.cert_status:
        yield f"{title} can't be told to insist on a stapled OCSP response"
    for setting, wanted in sorted(given(client)):
        if wanted and setting not in honours.settings:
            yield f"{title} can't be told {setting}"


def given(client: ClientSpec) -> Iterator[tuple[str, bool]]:
    """Settings under their names in a scenario, and whether this client has them at another value than the usual one."""
    yield from shared_given(client)
    yield "insecure", client.insecure
    yield "request", client.request != Request()
    yield "limit_rate", client.request.limit_rate > 0
