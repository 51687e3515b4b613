"""An address as people type it: ``https://host:port/path``, or less of it."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from mtls_runner.errors import UsageError
from mtls_runner.model.endpoint import Address
from mtls_runner.model.names import is_address

__all__ = ["Endpoint", "endpoint"]

_DEFAULT_PORT = 443


class Endpoint(Struct, frozen=True):
    """Where to connect and what to ask for.

    Args:
        host: name or IP address, as typed, without brackets.
        address: where the connection goes.
        path: of the request, with its query.
    """

    host: str
    address: Address
    path: str = "/"

    @property
    def name(self) -> str | None:
        """The name for SNI and for the check of the certificate; ``None``: the host is an address (RFC 6066 §3)."""
        return None if is_address(self.host) else self.host

    @property
    def port(self) -> int:
        """TCP."""
        return self.address.port

    def __str__(self) -> str:
        return f"https://{Address(self.host, self.port)}{self.path}"


def endpoint(text: str, resolve: str | None = None) -> Endpoint:
    """The endpoint that was typed.

    Args:
        text: a URL; ``https://`` may be left out.
        resolve: curl's ``--resolve``, ``HOST:PORT:ADDRESS``.

    Raises:
        UsageError: it is none, or one of another scheme.
    """
    shown = text if text.isprintable() and "@" not in text else "this"
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
    except ValueError as error:
        raise UsageError(f"{shown} is no address to connect to: {error}") from None
    if parts.username is not None:
        raise UsageError(
            "an address with a user or password in it is shown to everybody on this machine (ps): leave them out"
        )
    if parts.scheme != "https":
        raise UsageError(f"{shown}: {parts.scheme}:// has no TLS; an address to try begins with https://")
    if not host or any(character.isspace() for character in host):
        raise UsageError(f"{shown} is no address to connect to: https://host:port/path")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise UsageError("a path has no blanks and no letters beyond ASCII: write them as %20 and the like")
    return Endpoint(host, Address(_resolved(resolve, host, port) if resolve else host, port), path)


def _resolved(resolve: str, host: str, port: int) -> str:
    name, _, rest = resolve.partition(":")
    number, _, address = rest.partition(":")
    address = address.partition(",")[0].strip("[]")
    if not is_address(address) or not number.isdigit():
        raise UsageError(f"--resolve {resolve}: HOST:PORT:ADDRESS is wanted, as curl takes it")
    if name.lower() != host.lower() or int(number) != port:
        raise UsageError(f"--resolve {resolve}: it is for another host or port than {host}:{port}")
    return address
