"""What nginx says of the lab's copy, in words of the author's: addresses, and places that nginx itself does not name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mtls_runner.servers.nginx.read.listening import everywhere, parsed
from mtls_runner.servers.nginx.read.statements import readable

__all__ = ["addresses", "ignored_names"]

_IGNORED = 'conflicting server name "{}" on {}, ignored'


def addresses(said: Iterable[str], listens: Mapping[str, str]) -> dict[str, str]:
    """What the copy listens on, as nginx prints it → what the author has said.

    Args:
        said: each ``listen``'s address; of several with one port of the lab's, the first one counts.
        listens: see :class:`~mtls_runner.servers.nginx.read.instrument.Changes`.
    """
    found: dict[str, str] = {}
    for address in said:
        found.setdefault(_printed(listens.get(address, address)), _printed(address))
    return found


def _printed(address: str) -> str:
    host, port = parsed(address)
    return address if port is None else f"{'0.0.0.0' if everywhere(host) else host}:{port}"  # noqa: S104 - nginx's word


def ignored_names(
    files: Iterable[tuple[str, tuple[str, ...], str]], ports: Mapping[str, int], listens: Mapping[str, str]
) -> dict[str, str]:
    """What nginx says of a ``server_name`` that a ``server`` before it has at the same address → the same, with its places.

    Args:
        files: of each, what it is called, the blocks that it is included in, and its text.
        ports: of the lab's, for each ``listen``'s address.
        listens: as for :func:`addresses`.
    """
    known: set[tuple[str, int]] = set()
    found: dict[str, str] = {}
    places: dict[str, list[str]] = {}
    for file, around, text in files:
        read = readable(text)
        for block in (one for one in read if one.name == "server" and one.opens and (*around, *one.path) == ("http",)):
            inside = [one for one in read if one.block == block.end and one.arguments]
            at = [one.arguments[0] for one in inside if one.name == "listen" and one.arguments[0] in ports]
            named = [(name.lower(), one) for one in inside if one.name == "server_name" for name in one.arguments]
            for name, one in named or [("", block)]:
                place = f"{file}:{text.count(chr(10), 0, one.start) + 1}"
                for address in at:
                    if (name, ports[address]) in known:
                        said = _IGNORED.format(name, _printed(listens.get(address, address)))
                        places.setdefault(said, []).append(place)
                        found.setdefault(said, _IGNORED.format(name, _printed(address)))
            known |= {(name, ports[address]) for name, _ in named or [("", block)] for address in at}
    return {said: f"{text} in {' and '.join(dict.fromkeys(places[said]))}" for said, text in found.items()}
