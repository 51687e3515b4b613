"""``listen``: which port of the lab's copy stands for which address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["everywhere", "lab_ports", "parsed", "spoken"]

_EVERYWHERE = ("", "*", "0.0.0.0", "[::]")  # noqa: S104 - what a configuration says
_PROTOCOLS = ("ssl", "http2", "quic", "proxy_protocol", "default_server", "default")
_FIRST_FREE = 20001
_ADDRESS = re.compile(r"(?:(?P<host>\[[^\]]*\]|[^:]*):)?(?P<port>[0-9]{1,5})")


def parsed(address: str) -> tuple[str, int | None]:
    """Host (``""``: all) and port of a ``listen``'s address; no port: a Unix socket, a range, or no address at all."""
    if address.startswith("unix:"):
        return address, None
    match = _ADDRESS.fullmatch(address)
    if match is not None:
        return match["host"] or "", int(match["port"])
    return (address, None) if ":" in address.rpartition("]")[2] or "-" in address else (address, 80)


def everywhere(host: str) -> bool:
    """Whether it stands for every address."""
    return host in _EVERYWHERE


def spoken(arguments: Sequence[str]) -> tuple[str, ...]:
    """What of a ``listen`` says what is spoken there, and whose it is; the rest is about the socket."""
    return tuple(word for word in arguments[1:] if word in _PROTOCOLS)


def lab_ports(addresses: Iterable[str]) -> dict[str, int]:
    """A port for each address: its own, unless another address has that too.

    The lab's nginx can't have the addresses of another machine, nor Unix sockets that anybody could reach. Who listens
    everywhere keeps the port; of several fixed addresses with one port, each gets a free one, so that they stay apart.
    """
    known = {address: parsed(address) for address in addresses}
    by_port: dict[int, set[str]] = {}
    for host, port in known.values():
        if port is not None:
            by_port.setdefault(port, set()).add("" if everywhere(host) else host)
    found: dict[str, int] = {}
    free = (number for number in range(_FIRST_FREE, 65536) if number not in by_port)
    own: dict[tuple[str, int | None], int] = {}
    for address, (host, port) in sorted(known.items()):
        host = "" if everywhere(host) else host
        if port is not None and (not host or len(by_port[port]) == 1):
            found[address] = port
        elif port is not None or host.startswith("unix:"):
            found[address] = own.get((host, port)) or own.setdefault((host, port), next(free))
    return found
