"""How nginx in its container reaches the lab's stubs: it relays to their Unix sockets itself.

Inside the container each name of an application is an address of its loopback (``/etc/hosts``), and what arrives there goes to
the stub's socket with every header as it came. The URIs of OCSP responders lie on that loopback, too; so a certificate can name
its responder before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from mtls_runner.model.revocation import OcspAnswer, ResponderSpec
from mtls_runner.servers.nginx.read.applications import Stub, is_name, places
from mtls_runner.servers.stubs import APPLICATION_SOCKET, RESPONDER_SOCKET

__all__ = ["RESPONDERS_AT", "UPSTREAM_AT", "relay_hosts", "responder_relay", "stub_at", "upstream_relay"]

UPSTREAM_AT = "/run/mtls-run"
"""Where the upstream stub's directory is mounted."""
RESPONDERS_AT = "/run/mtls-run-ocsp"
"""Where the OCSP responders' directory is mounted."""


def relay_hosts(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each name's loopback address inside the container; its own, so that it can't meet the author's ``listen``."""
    return tuple((host, _address(place)) for host, place in places(names).items() if is_name(host))


def _address(place: int) -> str:
    return f"127.0.66.{place}"


def stub_at(stub: Stub, sockets: str = "") -> str:
    """Where nginx finds a stub: on its container's loopback, or at a Unix socket in the folder ``sockets``."""
    if not sockets:
        return f"{_address(stub.place)}:{stub.port}"
    return f"unix:{sockets}/{stub.number}-{stub.scheme}-{stub.port}.sock"


def upstream_relay(
    made: Iterable[Stub], directory: str, certificate: tuple[str, str, str] | None, sockets: str = ""
) -> str:
    """One line for the ``http`` level: a server for each stub.

    Args:
        made: the stubs.
        directory: where nginx finds the stub's own socket.
        certificate: what those present that speak TLS: paths of certificate and key, and of the key's passphrase or ``""``;
            ``None``: nothing, and nobody answers there.
        sockets: as of :func:`stub_at`.
    """
    return " ".join(filter(None, (_relay(stub, directory, certificate, sockets) for stub in dict.fromkeys(made))))


def _relay(stub: Stub, directory: str, certificate: tuple[str, str, str] | None, sockets: str) -> str:
    speaks_grpc, speaks_tls = stub.scheme.startswith("grpc"), stub.scheme in ("https", "grpcs")
    chain, key, passphrases = certificate or ("", "", "")
    if speaks_tls and not chain:
        return ""
    listen = f"listen {stub_at(stub, sockets)}{' ssl' * speaks_tls}{' http2' * speaks_grpc};"
    tls = f"ssl_certificate {chain}; ssl_certificate_key {key}; ssl_verify_client off; " if speaks_tls else ""
    tls += f"ssl_password_file {passphrases}; " if speaks_tls and passphrases else ""
    trailer = "add_header grpc-status 0; " if speaks_grpc else ""
    return (
        f"server {{ {listen} {tls}access_log off; error_log /dev/null crit; client_max_body_size 0; "
        "underscores_in_headers on; ignore_invalid_headers off; large_client_header_buffers 8 64k; location / { "
        f"{trailer}proxy_pass http://unix:{directory}/{APPLICATION_SOCKET}:; proxy_http_version 1.1; proxy_redirect off; "
        "proxy_set_header Host $http_host; proxy_set_header Connection $http_connection; } }"
    )


def responder_relay(responders: Sequence[ResponderSpec]) -> str:
    """One line for the ``http`` level: a server at every address where somebody answers."""
    somebody = (one for one in responders if one.answers != (OcspAnswer.NOBODY,))
    addresses = sorted({urlsplit(one.uri).netloc for one in somebody})
    if not addresses:
        return ""
    listen = " ".join(f"listen {address};" for address in addresses)
    return (
        f"server {{ {listen} access_log off; error_log /dev/null crit; location / {{ "
        f"proxy_pass http://unix:{RESPONDERS_AT}/{RESPONDER_SOCKET}:; proxy_read_timeout 1h; error_page 502 @closed; }} "
        "location @closed { return 444; } }"  # a responder that hangs up: so does the relay
    )
