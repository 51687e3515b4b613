"""How nginx keeps the sessions of its clients: ``ssl_session_cache``, ``ssl_session_tickets``, ``ssl_session_ticket_key``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from mtls_runner.model.port import Material
from mtls_runner.model.server import ServerSpec
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.write.syntax import Lines, literal

__all__ = ["sessions_of"]

_TICKET_KEY = 80
"""Octets: an AES-256 key, an HMAC key and a name (``ngx_ssl_session_ticket_keys``)."""


def sessions_of(server: ServerSpec, material: Material, out: Lines, port: int) -> Iterator[ContainerFile]:
    """Nothing where the description says nothing: tickets, and no cache, are nginx's defaults.

    A zone's name is the description's with the port: servers of one container that have nothing else in common share none,
    and virtual hosts of one port do as their author says.
    """
    if server.session_cache is not None:
        kind, colon, rest = server.session_cache.partition(":")
        cache = f"shared:{port}_{rest}" if kind == "shared" and colon else server.session_cache
        out.add("ssl_session_cache", literal(cache))
    if not server.session_tickets:
        out.add("ssl_session_tickets", "off")
    if server.session_ticket_key is not None:
        path = f"{out.directory}/ticket.key"
        yield ContainerFile(path, _ticket_key(material.directory / "ticket-keys", server.session_ticket_key), 0o600)
        out.add("ssl_session_ticket_key", path)


def _ticket_key(directory: Path, name: str) -> bytes:
    """The run's own key of that name, the same at every reload."""
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{name}.key"
    temporary = directory / f".{name}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_TICKET_KEY))
        os.link(temporary, path)  # whoever is first makes it
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
    return path.read_bytes()
