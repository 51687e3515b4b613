"""The applications behind nginx, by the names under which it looks for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address

from mtls_runner.servers.nginx.read.configuration import Directive, Reading

__all__ = ["Upstreams", "upstreams"]

_PASSES = frozenset(("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass"))
_URL = re.compile(r"(?:([a-z]+)://)?(\[[0-9A-Fa-f:.]+\]|[^/:$]+)(?::[0-9]+)?(?:/.*)?")


@dataclass(slots=True)
class Upstreams:
    """Names that a stub can stand for, and notes on those that it can't."""

    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def upstreams(reading: Reading) -> Upstreams:
    """Those of the whole configuration: nginx looks all names up when it starts."""
    found = Upstreams()
    groups = {d.arguments[0] for d in reading.directives if d.name == "upstream" and d.arguments}
    for directive in reading.directives:
        in_group = directive.name == "server" and directive.path[-1:] == ("upstream",)
        if in_group or directive.name in _PASSES:
            _add(directive, groups, found)
    return found


def _add(directive: Directive, groups: set[str], found: Upstreams) -> None:
    where = directive.arguments[0] if directive.arguments else ""
    if "unix:" in where or where.startswith("$") or "://$" in where:
        found.notes.append(
            f"{directive.place}: nothing answers at {where} in the lab; nginx will say 502 there, or 500"
        )
        return
    parts = _URL.fullmatch(where)
    if parts is None:
        found.notes.append(f"{directive.place}: {directive.name} {where} is not understood: no stub answers there")
        return
    scheme, host = parts[1] or "", parts[2]
    if host in groups:
        return
    if _is_address(host):
        found.notes.append(f"{directive.place}: nothing answers at {where} in the lab: nginx will say 502 there")
        return
    if host not in found.names:
        found.names.append(host)
    if directive.name not in ("proxy_pass", "server") or scheme == "https":
        found.notes.append(f"{directive.place}: the stub at {host} speaks plain HTTP only: nginx will say 502 there")


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    return True
