"""The applications that a configuration passes requests to, and the stubs that answer in their place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from mtls_runner.model.names import is_address

__all__ = ["Application", "Stated", "Stub", "applications", "is_name", "own_port", "places", "stubs"]

_PASS = re.compile("(proxy|grpc|fastcgi|uwsgi|scgi|memcached)_pass")
_WHERE = re.compile(r"(?:([a-z]+)://)?(unix:[^:;]+|\[[0-9A-Fa-f:.]+\]|[^/:$\[]+)(?::([0-9]{1,5}))?:?((?:/|$).*)")
_URL = re.compile(r"(https?|grpcs?)://")
_TLS = ("https", "grpcs")
_WITH_PORT = re.compile(r"(\[.*\]|[^:]+):\d+")


class Stated(Protocol):
    """A statement, of one file or of a whole configuration."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def arguments(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def opens(self) -> int: ...  # noqa: D102


class Application(Struct, frozen=True):
    """Where one directive passes requests to.

    Args:
        directive, argument: as written.
        scheme: what is spoken: ``http``, ``https``, ``grpc``, ``grpcs``; for all else ``http``, which the stub speaks.
        host: a name, an address or ``unix:`` with a path.
        port: the scheme's own where there is none.
        path: the URI behind it.
        group: the ``upstream`` that it is a server of.
    """

    directive: str
    argument: str
    scheme: str
    host: str
    port: int
    path: str
    group: str = ""

    def at(self, address: str) -> str:
        """The argument with another address, ``host:port`` or ``unix:`` with a path."""
        if self.directive == "server":
            return address
        if self.directive == "set" and address.startswith("unix:"):
            return f"{self.scheme}://{address}:{self.path}"
        more = ":" if self.path and address.startswith("unix:") else ""
        return f"{self.scheme}://{address}{more}{self.path}"


def applications(found: Iterable[tuple[tuple[str, ...], Stated]]) -> list[Application]:
    """Those of a whole configuration, of each statement with the names of the blocks around it.

    What a variable is ``set`` to counts where it is a URL. Left out are other variables, and names of ``upstream`` groups, whose
    servers count.
    """
    found = list(found)
    groups = {one.arguments[0] for _, one in found if one.name == "upstream" and one.opens and one.arguments}
    passes = [one for _, one in found if _PASS.fullmatch(one.name) and one.arguments]
    spoken = {parts[1]: parts[0] for one in passes if (parts := _parts(one.name, one.arguments[0])) is not None}
    made: dict[tuple[str, str], Application] = {}
    group = ""
    for path, one in found:
        if one.name == "upstream" and one.opens and one.arguments:
            group = one.arguments[0]
        in_group = one.name == "server" and path[-1:] == ("upstream",)
        is_set = one.name == "set" and len(one.arguments) == 2 and _URL.match(one.arguments[1]) is not None
        if not one.arguments or not (in_group or is_set or _PASS.fullmatch(one.name)):
            continue
        where = one.arguments[is_set]
        parts = _parts("proxy_pass" if is_set else one.name, where)
        if parts is None or (not in_group and parts[1] in groups):
            continue
        scheme, host, port, uri = parts
        if in_group:
            scheme = spoken.get(group, "http")
        own = 443 if scheme in _TLS else 80
        made[one.name, where] = Application(one.name, where, scheme, host, port or own, uri, group if in_group else "")
    return list(made.values())


def _parts(directive: str, argument: str) -> tuple[str, str, int, str] | None:
    match = _WHERE.fullmatch(argument)
    if match is None:
        return None
    plain = {"grpc_pass": "grpc"}.get(directive, "http")
    scheme = match[1] if directive in ("proxy_pass", "grpc_pass") and match[1] else plain
    return scheme, match[2], int(match[3] or 0), match[4] if directive == "proxy_pass" else ""


def is_name(host: str) -> bool:
    """Whether it has to be resolved."""
    return not host.startswith("unix:") and host != "localhost" and not is_address(host.strip("[]"))


def own_port(one: Application, ports: Mapping[str, int]) -> int | None:
    """The configuration's own port, where it passes requests to itself; ``ports``: of each of its ``listen`` addresses."""
    if one.host in ("localhost", "127.0.0.1", "[::1]"):
        return one.port if one.port in ports.values() else None
    return ports.get(one.host)


class Stub(Struct, frozen=True):
    """What answers in the place of an application.

    Args:
        number: of its upstream, from 1.
        place: of the first upstream with its host, see :func:`places`.
        scheme: what it speaks.
        port: that it listens on.
    """

    number: int
    place: int
    scheme: str
    port: int


def stubs(found: Sequence[Application], upstreams: Sequence[str]) -> Mapping[Application, Stub]:
    """A stub for each application that the upstreams name: by host and port, or else by host."""
    hosts = places(upstreams)
    return {one: stub for one in found for stub in _stubs(one, upstreams, hosts)}


def places(upstreams: Sequence[str]) -> Mapping[str, int]:
    """Each host with the number of the first upstream that has it, from 1: several with other ports are at one address."""
    found: dict[str, int] = {}
    for number, upstream in enumerate(upstreams, 1):
        found.setdefault(_host(upstream), number)
    return found


def _host(upstream: str) -> str:
    with_port = _WITH_PORT.fullmatch(upstream)
    return with_port[1] if with_port is not None else upstream


def _stubs(one: Application, upstreams: Sequence[str], hosts: Mapping[str, int]) -> Iterator[Stub]:
    for named in (one.argument, f"{one.host}:{one.port}", one.host):
        if named in upstreams:
            yield Stub(upstreams.index(named) + 1, hosts[_host(named)], one.scheme, one.port)
            return
