"""What of a scenario's server a declared one can't honour: its declaration lists what it can, and nothing else is run."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.model.endpoint import ClientAuth, Response, ServerSpec
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.runtimes.shared_settings import shared_given, shared_missing

__all__ = ["given", "inexpressible"]

_PLAIN_RESPONSE = Response()


def inexpressible(server: ServerSpec, declared: DeclaredServer, title: str) -> str | None:
    """The first thing that it can't honour, for people; ``None``: it can do all of it."""
    if server.option("config") and declared.config is None:
        return f"{title} takes no configuration of the scenario's own"
    if server.option("config") and server.upstreams and not declared.connects:
        return f"nothing says where {title}'s configurations name what they connect to (connects), so that it meets no upstreams"
    if server.option("config"):
        return None  # it says everything itself
    return next(_missing(server, declared, title), None)


def _missing(server: ServerSpec, declared: DeclaredServer, title: str) -> Iterator[str]:
    honours = declared.honours
    # It has the depth that it can't be told; a key that it does not open, it is given decrypted.
    needless = {"passphrase", "verify_depth" if server.verify_depth == declared.verify_depth else ""}
    if server.client_auth not in honours.client_auth:
        yield f"{title} has no client_auth {server.client_auth}"
    yield from shared_missing(server, honours, title)
    asks = server.client_auth is not ClientAuth.NONE
    if asks and server.crl_check not in (RevocationCheck.NONE, *honours.crl_check):
        yield f"{title} can't look up {_PARTS[server.crl_check]} in CRLs"
    if asks and server.crl_check is not RevocationCheck.NONE and not server.crl:
        yield f"{title} checks for revocation only with a CRL"
    if server.alpn and honours.alpn is not None and server.alpn not in honours.alpn:
        yield f"{title} can't be told to choose {', '.join(server.alpn)} by ALPN"
    for setting, wanted in sorted(given(server)):
        if wanted and setting not in honours.settings and setting not in needless:
            yield f"{title} can't be told {setting}"
    if server.upstreams or server.files:
        yield f"{title} has upstreams and files only in a configuration of its own"
    for kind, wanted in (
        ("ask OCSP responders", server.ocsp is not RevocationCheck.NONE),
        ("staple OCSP responses", server.stapling is not None),
        ("be given a session cache", server.session_cache is not None),
        ("be given a key of session tickets", server.session_ticket_key is not None),
    ):
        if wanted:
            yield f"{title} can't {kind}"
    for response in server.responses:
        if honours.statuses is not None and response.status not in honours.statuses:
            yield f"{title} can't answer with status {response.status}"
    for host in server.hosts:
        yield from _missing(host.server, declared, title)
        if host.server.responses != server.responses:
            yield f"the lab has {title} answer alike for all its names"


_PARTS = {RevocationCheck.LEAF: "the leaf alone", RevocationCheck.CHAIN: "the whole chain", RevocationCheck.NONE: ""}


def given(server: ServerSpec) -> Iterator[tuple[str, bool]]:
    """Settings under their names in a scenario, and whether this server has them at another value than the usual one."""
    asks = server.client_auth is not ClientAuth.NONE
    default = next((response for response in server.responses if response.path is None), _PLAIN_RESPONSE)
    yield "advertise", asks and server.advertise is not None and server.advertise != server.trust
    yield "other_certificates", bool(server.other_certificates)
    yield "reject_handshake", server.reject_handshake
    yield "response", default != _PLAIN_RESPONSE
    yield "responses", any(response.path is not None for response in server.responses)
    yield "session_tickets", not server.session_tickets
    yield "verify_depth", asks and server.verify_depth is not None
    yield "virtual_hosts", bool(server.hosts)
    yield from shared_given(server)
