"""Names of backends and tools → where they live; nothing is imported before it is needed."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import cast

from mtls_runner.errors import UsageError
from mtls_runner.model.port import Client, ServerBackend

__all__ = ["BACKENDS", "TOOLS", "backend", "tool"]

BACKENDS = {
    "python": "mtls_runner.servers.python.backend:PythonBackend",
    "nginx": "mtls_runner.servers.nginx.backend:NginxBackend",
    "external": "mtls_runner.servers.external:ExternalBackend",
}
TOOLS = {
    "python": "mtls_runner.clients.python_ssl:PythonClient",
    "curl": "mtls_runner.clients.curl.client:CurlClient",
}


def _make(kind: str, table: dict[str, str], name: str) -> object:
    try:
        module, _, attribute = table[name].partition(":")
    except KeyError:
        close = difflib.get_close_matches(name, table, 1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"unknown {kind} {name!r}: one of {', '.join(table)}{meant}") from None
    return getattr(import_module(module), attribute)()


def backend(name: str) -> ServerBackend:
    """A new server backend.

    Raises:
        UsageError: no backend has that name.
    """
    return cast("ServerBackend", _make("backend", BACKENDS, name))


def tool(name: str) -> Client:
    """A new client.

    Raises:
        UsageError: no tool has that name.
    """
    return cast("Client", _make("tool", TOOLS, name))
