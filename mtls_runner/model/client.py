"""A client as a scenario describes it, once defaults and short forms are resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mtls_runner.model.credential import Secret
from mtls_runner.model.endpoint import Address, ChainSpec, TlsVersion, VerifyFlag
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.traits import ClientTraits

__all__ = [
    "DEFAULT_BODY_LIMIT",
    "ClientSpec",
    "KeySource",
    "Request",
]

DEFAULT_BODY_LIMIT = 1 << 20
"""Bytes of a response's body that are kept."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """A private key other than the presented certificate's own: another certificate's by id, or a file."""

    id: str | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request (RFC 9110). ``Host`` is added when absent."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """One client.

    Args:
        tool: what connects.
        certificate: id of the leaf to present; ``None``: none.
        key: another key than the certificate's own; ``None``: its own.
        passphrase: what the client is given to open the key with; ``None``: nothing.
        chain: what it is configured to send.
        trust: ids of certificates that the server's chain is checked against.
        insecure: as ``curl --insecure``: neither chain nor name is checked.
        server_name: SNI and the name that is checked (RFC 6066 §3); ``None``: none sent, the address is checked.
        connect: where to connect; ``None``: the server's own address.
        tls: protocol versions that it offers, ascending.
        ciphers, ciphersuites, groups, signature_algorithms, security_level, alpn, verify_flags: as for a server.
        request: what it asks for.
        timeout: seconds for the whole exchange.
        body_limit: bytes of a response's body that are kept; what comes after them is read and dropped.
        repeat: connections, one after the other; all must end alike.
        crl, crl_check: as for a server, about the server's chain.
        cert_status: as ``curl --cert-status``: asks for a stapled OCSP response, and takes none for a refusal.
    """

    tool: ClientTraits
    certificate: str | None = None
    key: KeySource | None = None
    passphrase: Secret | None = None
    chain: ChainSpec = ChainSpec()
    trust: tuple[str, ...] = ()
    insecure: bool = False
    server_name: str | None = "localhost"
    connect: Address | None = None
    tls: tuple[TlsVersion, ...] = (TlsVersion.V1_2, TlsVersion.V1_3)
    ciphers: str | None = None
    ciphersuites: str | None = None
    groups: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()
    security_level: int = 2
    alpn: tuple[str, ...] = ()
    verify_flags: frozenset[VerifyFlag] = frozenset()
    request: Request = Request()
    timeout: float = 10.0
    body_limit: int = DEFAULT_BODY_LIMIT
    repeat: int = 1
    crl: tuple[str, ...] = ()
    crl_check: RevocationCheck = RevocationCheck.NONE
    cert_status: bool = False
