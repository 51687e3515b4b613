"""What of an nginx configuration can be tried: ports, hosts, places; and what is not as it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from mtls_runner.servers.nginx.read.configuration import Directive, Reading, ServerBlock
from mtls_runner.servers.nginx.read.examples import examples
from mtls_runner.servers.nginx.read.material import SERVER_CA, NginxMaterial
from mtls_runner.servers.nginx.read.requests import hosts as hosts_of
from mtls_runner.servers.nginx.read.requests import paths, uri
from mtls_runner.servers.nginx.read.rules import Rules

__all__ = ["VERSIONS", "NginxPlace", "NginxServer", "elsewhere", "places", "servers"]

VERSIONS = ("TLSv1.2", "TLSv1.3")
"""That clients here speak."""
_AUTH = {"on": "required", "optional": "optional", "optional_no_ca": "optional_no_ca"}


class NginxPlace(Struct, frozen=True):
    """Something that clients ask for.

    Args:
        server: id of the server.
        host: name that they ask for; ``""``: none.
        method, path: of the request.
        named: a rule is about it.
        proxied: the PROXY protocol is spoken there.
    """

    server: str
    host: str
    method: str
    path: str
    named: bool = False
    proxied: bool = False

    @property
    def shown(self) -> str:
        """As a person would write it."""
        return f"{self.method} {self.path}" if self.method != "GET" else self.path


class NginxServer(Struct):
    """A port of the configuration on which TLS is spoken, as a scenario's server.

    Args:
        id: in the scenario.
        said: addresses of its ``listen`` directives.
        port: in the lab.
        proxied: the PROXY protocol is spoken there.
        hosts: a name for each ``server`` block; the first one answers those that name none, too.
        certificate, client_auth, trust, tls, depth: as a scenario says them; ``tls`` and ``depth`` only where they are written.
        refusal: how it refuses by answers that look like any other, in YAML; ``""``: it does not.
    """

    id: str
    said: str
    port: int
    proxied: bool
    hosts: list[tuple[str, ServerBlock]]
    certificate: str
    client_auth: str
    trust: list[str]
    tls: list[str]
    depth: str
    refusal: str = ""


def servers(
    reading: Reading, ports: Mapping[str, int], made: NginxMaterial, issuers: Sequence[str], notes: list[str]
) -> Iterator[NginxServer]:
    """Each port on which TLS is spoken.

    Args:
        reading: the whole configuration.
        ports: of each ``listen``'s address, in the lab.
        made: the material that it names.
        issuers: ids of authorities that rules name.
        notes: gets what is not tested.
    """
    for port, members in _by_port(reading, ports, notes).items():
        if any("ssl" in d.arguments for _, d in members) or any(b.value("ssl") == "on" for b, _ in members):
            found = _server(port, members, reading, made, issuers, notes)
            if found is not None:
                yield found


_Members = list[tuple[ServerBlock, Directive]]
"""The `server` blocks of a port, each with the `listen` that says so."""


def _by_port(reading: Reading, ports: Mapping[str, int], notes: list[str]) -> dict[int, _Members]:
    found: dict[int, _Members] = {}
    for block in reading.servers:
        everywhere = block.value("ssl", "off") == "on"  # nginx before 1.25
        for directive in block.all("listen"):
            if directive.arguments[:1] and directive.arguments[0] in ports and "quic" not in directive.arguments:
                found.setdefault(ports[directive.arguments[0]], []).append((block, directive))
                if "ssl" not in directive.arguments and not everywhere and block.all("ssl_certificate"):
                    notes.append(f"{directive.place}: plain HTTP is spoken there: nobody is asked for a certificate")
    return found


def _server(
    port: int, members: _Members, reading: Reading, made: NginxMaterial, issuers: Sequence[str], notes: list[str]
) -> NginxServer | None:
    first = next((b for b, d in members if {"default_server", "default"} & set(d.arguments)), members[0][0])
    hosts = list(hosts_of(first, list(dict.fromkeys(block.number for block, _ in members)), reading, notes))
    usable = [block for _, block in hosts if block.all("ssl_certificate")]
    leaf = next((made.leaves[path] for block in usable for path in _leaf_paths(block, made)), None)
    if leaf is None:
        notes.append(f"{first.place}: without an ssl_certificate that the lab can make this server is not tested")
        return None
    versions = _protocols(first, notes)
    if versions is None:
        return None
    auths = {_AUTH.get(block.value("ssl_verify_client", "off"), "none") for _, block in hosts}
    trust = dict.fromkeys(id_ for _, block in hosts for id_ in _trusted(block, made))
    said = dict.fromkeys(directive.arguments[0] for _, directive in members)
    return NginxServer(
        id=f"port-{port}",
        said=", ".join(said),
        port=port,
        proxied=any("proxy_protocol" in d.arguments for _, d in members),
        hosts=hosts,
        certificate=leaf.id,
        client_auth=next(iter(auths)) if len(auths) == 1 else "optional",
        trust=[*trust, *issuers] if trust else ["client-ca" if auths != {"none"} else SERVER_CA],
        tls=versions,
        depth=first.value("ssl_verify_depth"),
    )


def _leaf_paths(block: ServerBlock, made: NginxMaterial) -> Iterator[str]:
    names = [directive.arguments[0] for directive in block.all("ssl_certificate")[:1] if directive.arguments]
    for name in names:
        path = next((path for path in made.leaves if path.endswith(name.lstrip("/"))), None)
        if path is not None or "$" in name:
            yield path or next(iter(made.leaves))


def _trusted(block: ServerBlock, made: NginxMaterial) -> Iterator[str]:
    for name in ("ssl_client_certificate", "ssl_trusted_certificate"):
        for directive in block.all(name)[:1]:
            yield from (
                id_ for path, id_ in made.authorities.items() if path.endswith(directive.arguments[0].lstrip("/"))
            )


def _protocols(block: ServerBlock, notes: list[str]) -> list[str] | None:
    """As written; none: nothing is. ``None``: only what no client here speaks."""
    directive = block.one("ssl_protocols")
    if directive is None:
        return []
    old = [version for version in directive.arguments if version not in VERSIONS]
    if old:
        notes.append(f"{directive.place}: {', '.join(old)}: no client speaks that at OpenSSL 3's usual security level")
    return [version for version in VERSIONS if version in directive.arguments] or None


def places(server: NginxServer, found: Rules) -> Iterator[NginxPlace]:
    """What can be asked for at a server's hosts."""
    known = {name for name, _ in server.hosts}
    for number, (name, block) in enumerate(server.hosts):
        named = [one.text for one in found.of("path", block.number)]
        hosts = [one.text.lower() for one in found.of("host", block.number)]
        own = [*paths(block, found), *((uri(path), True, ("GET",)) for path in named)]
        wanted: dict[tuple[str, str], bool] = {("GET", "/"): block.number in found.blocks}
        for path, is_named, methods in own:
            for method in methods if path else ():
                wanted[method, path] = wanted.get((method, path), False) or is_named
        names = [name, *(host for host in hosts if not number and host not in known)]
        for host in names:
            for (method, path), is_named in wanted.items():
                yield NginxPlace(server.id, host, method, path, is_named, server.proxied)


def elsewhere(reading: Reading, found: Rules) -> Iterator[str]:
    """What is no HTTP, or not as it is there."""
    for directive in reading.directives:
        if directive.path in (("stream",), ("mail",)) and directive.name == "server":
            yield f"{directive.place}: the lab speaks HTTP only: servers of {directive.path[0]} are not tested"
        elif (
            directive.name == "location"
            and directive.arguments[:1] in (("~",), ("~*",))
            and not examples(directive.arguments[-1], ignore_case=True)
        ):
            yield f"{directive.place}: no path can be made for {directive.arguments[-1]}: this location is not tested"
        elif directive.name == "limit_req":
            yield f"{directive.place}: limit_req is left out of the lab's copy: nobody is refused for asking often"
        elif directive.name == "listen" and "quic" in directive.arguments:
            yield f"{directive.place}: the lab speaks no QUIC: this `listen` is not tested"
        elif directive.name.endswith("_pass") and any(
            arg.startswith("$") or "://$" in arg for arg in directive.arguments
        ):
            yield f"{directive.place}: variables say which application: 502, unless one is `set` to a URL or an `upstream`"
    if found.more:
        yield f"{found.more} more literals of rules have no client or path of their own: others of the same value have"
