"""A scenario that tests an nginx configuration as it is: facts are read, and what nginx makes of them is recorded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mtls_runner.init.nginx_clients import NginxClients, clients, issuers
from mtls_runner.init.nginx_refusals import nothing_to_test
from mtls_runner.init.text import rendered
from mtls_runner.servers.nginx.read.applications import applications, own_port
from mtls_runner.servers.nginx.read.configuration import Directive, Reading, ServerBlock, read
from mtls_runner.servers.nginx.read.examples import examples
from mtls_runner.servers.nginx.read.listening import lab_ports
from mtls_runner.servers.nginx.read.material import SERVER_CA, NginxMaterial, material
from mtls_runner.servers.nginx.read.pages import files_of
from mtls_runner.servers.nginx.read.placeholders import refuse_template
from mtls_runner.servers.nginx.read.requests import hosts as hosts_of
from mtls_runner.servers.nginx.read.requests import paths, uri
from mtls_runner.servers.nginx.read.rules import Rules, rules

__all__ = ["NginxCase", "NginxScenario", "NginxPlace", "nginx_scenario"]

_VERSIONS = ("TLSv1.2", "TLSv1.3")
_AUTH = {"on": "required", "optional": "optional", "optional_no_ca": "optional_no_ca"}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MOST = 400
"""Cases with every client at every place; beyond that only the most telling ones are everywhere."""


@dataclass(frozen=True, slots=True)
class NginxPlace:
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


@dataclass(slots=True)
class NginxCase:
    """One of the scenario's.

    Args:
        name: of the case.
        place: what is asked for.
        client: id of a certificate, or ``""``.
        headers: of the request.
        tls: the one version that it speaks; ``""``: as usual.
        expect: what was recorded, in YAML; ``""``: nothing.
        look: why a person should look at that.
        why: nothing was recorded.
    """

    name: str
    place: NginxPlace
    client: str
    headers: dict[str, str] = field(default_factory=dict)
    tls: str = ""
    expect: str = ""
    look: str = ""
    why: str = ""


@dataclass(slots=True)
class NginxServer:
    """One entry of ``servers:``, as the template reads it: a port of the configuration."""

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


@dataclass(slots=True)
class NginxScenario:
    """A scenario before it is written.

    Args:
        main: the configuration.
        name: of the scenario.
        cases: as many as it has.
        servers: by what they listen on.
        compares_bodies: whether refusals may look like any other answer (``error_page 403 =200 …``).
        beside: name → text of what lies beside it.
        notes: what a person should know.
        values: for the template.
    """

    main: Path
    name: str
    cases: list[NginxCase]
    servers: list[NginxServer]
    compares_bodies: bool
    beside: dict[str, str]
    notes: list[str]
    values: dict[str, object]
    own: dict[str, Path | str]

    def text(self, directory: Path, recorded: str = "") -> str:
        """The YAML text.

        Args:
            directory: where it will lie.
            recorded: by what; ``""``: it is not.
        """
        own = {path: file if isinstance(file, str) else _relative(file, directory) for path, file in self.own.items()}
        more = {
            "config": _relative(self.main, directory),
            "own": own,
            "cases": self.cases,
            "servers": self.servers,
            "notes": self.notes,
            "recorded": recorded,
        }
        return rendered("nginx.yaml", self.values | more)


def nginx_scenario(main: Path, image: str | None) -> NginxScenario:
    """Read the configuration and everything that it includes.

    Args:
        main: a whole ``nginx.conf``, or a file for ``conf.d``.
        image: of the container; ``None``: lab.yaml's.

    Raises:
        UsageError: it can't be read, is a template, or no ``server`` in it can be tried.
    """
    refuse_template([main])
    reading = read(main)
    refuse_template({Path(d.place.rpartition(":")[0]): None for d in reading.directives})
    notes = list(reading.notes)
    found = rules(reading)
    listens = [d for block in reading.servers for d in block.all("listen") if d.arguments and "quic" not in d.arguments]
    ports = lab_ports(directive.arguments[0] for directive in listens)
    speaking = [block for block in reading.servers if block.all("ssl_certificate")]
    made = material(reading, speaking, list(issuers(found)))
    who = clients(found, speaking, len(set(made.authorities.values())))
    servers = list(_servers(reading, ports, made, who, notes))
    if not servers:
        raise nothing_to_test(reading, [*notes, *made.notes])
    asks = any(server.client_auth != "none" for server in servers)
    if not asks:
        notes.append("no `server` asks for a client certificate (ssl_verify_client): there is no mutual TLS to test")
    own, beside = files_of(reading, speaking)
    behind = applications([(d.path, d) for d in reading.directives])
    upstreams = dict.fromkeys(one.host for one in behind if own_port(one, ports) is None)
    notes += [*made.notes, *who.notes, *_elsewhere(reading, found)]
    name = _UNSAFE.sub("-", main.stem).strip("-.") or "nginx"
    name = "nginx" if name == "lab" else name  # lab.yaml is another file
    asked = [one.host for one in behind if one.scheme in ("https", "grpcs") and not one.host.startswith("unix:")]
    asked += [
        d.arguments[0] for d in reading.directives if d.name.endswith("_ssl_name") and "$" not in "".join(d.arguments)
    ]
    for leaf in made.leaves.values():
        if leaf.usage == "server":
            leaf.names = list(dict.fromkeys((*leaf.names, *asked, "localhost", "127.0.0.1")))
    values: dict[str, object] = {
        "file": f"{name}.yaml",
        "name": name,
        "config_shown": main.name,
        "image": image or "",
        "authorities": list(dict.fromkeys(made.authorities.values())) or ["client-ca"] * asks,
        "asks": asks,
        "who": who,
        "leaves": list(made.leaves.values()),
        "files": made.files,
        "fingerprints": who.fingerprints,
        "upstreams": list(upstreams),
        "ocsp": any(block.value("ssl_ocsp", "off") != "off" for block in speaking),
    }
    cases = list(_cases(servers, who, found, asks=asks))
    bodies = any(a.startswith("=") for d in reading.directives if d.name == "error_page" for a in d.arguments)
    own = {path: file for path, file in (own | made.own).items() if path not in made.files}
    return NginxScenario(main, name, cases, servers, bodies, beside, list(dict.fromkeys(notes)), values, own)


def _servers(
    reading: Reading, ports: dict[str, int], made: NginxMaterial, who: NginxClients, notes: list[str]
) -> Iterator[NginxServer]:
    """Each port on which TLS is spoken, with its hosts; the first one is who answers those that name none."""
    blocks: dict[int, list[tuple[ServerBlock, Directive]]] = {}
    for block in reading.servers:
        everywhere = block.value("ssl", "off") == "on"  # nginx before 1.25
        for directive in block.all("listen"):
            if directive.arguments[:1] and directive.arguments[0] in ports and "quic" not in directive.arguments:
                blocks.setdefault(ports[directive.arguments[0]], []).append((block, directive))
                if "ssl" not in directive.arguments and not everywhere and block.all("ssl_certificate"):
                    notes.append(f"{directive.place}: plain HTTP is spoken there: nobody is asked for a certificate")
    for port, members in blocks.items():
        tls = any("ssl" in d.arguments for _, d in members) or any(b.value("ssl") == "on" for b, _ in members)
        if not tls:
            continue
        first = next((b for b, d in members if {"default_server", "default"} & set(d.arguments)), members[0][0])
        hosts = list(hosts_of(first, list(dict.fromkeys(block.number for block, _ in members)), reading, notes))
        usable = [block for _, block in hosts if block.all("ssl_certificate")]
        leaf = next((made.leaves[path] for block in usable for path in _leaf_paths(block, made)), None)
        if leaf is None:
            notes.append(f"{first.place}: without an ssl_certificate that the lab can make this server is not tested")
            continue
        versions = _protocols(first, notes)
        if versions is None:
            continue
        auths = {_AUTH.get(block.value("ssl_verify_client", "off"), "none") for _, block in hosts}
        trust = dict.fromkeys(id_ for _, block in hosts for id_ in _trusted(block, made))
        said = dict.fromkeys(directive.arguments[0] for _, directive in members)
        yield NginxServer(
            id=f"port-{port}",
            said=", ".join(said),
            port=port,
            proxied=any("proxy_protocol" in d.arguments for _, d in members),
            hosts=hosts,
            certificate=leaf.id,
            client_auth=next(iter(auths)) if len(auths) == 1 else "optional",
            trust=[*trust, *who.issuers] if trust else ["client-ca" if auths != {"none"} else SERVER_CA],
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
    old = [version for version in directive.arguments if version not in _VERSIONS]
    if old:
        notes.append(f"{directive.place}: {', '.join(old)}: no client speaks that at OpenSSL 3's usual security level")
    return [version for version in _VERSIONS if version in directive.arguments] or None


def _places(server: NginxServer, found: Rules) -> Iterator[NginxPlace]:
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


def _cases(servers: list[NginxServer], who: NginxClients, found: Rules, *, asks: bool) -> Iterator[NginxCase]:
    several = len(servers) > 1
    everybody = ["", *(client.id for client in who.all)] if asks else [""]
    everywhere = ["", "good", *(client.id for client in who.all if client.named)] if asks else [""]
    places = [place for server in servers for place in _places(server, found)]
    few = len(everybody) * len(places) > _MOST
    for server in servers:
        own = [place for place in places if place.server == server.id]
        hosts = {place.host for place in own}
        for number, place in enumerate(own):
            where = [f":{server.port}"] * several + [place.host or "no name"] * (len(hosts) > 1) + [place.shown]
            told = " ".join(where)
            for id_ in everywhere if few and number else everybody:
                yield NginxCase(f"{told}: {id_ or 'no certificate'}", place, id_)
            for header in who.headers if asks else ():
                key, _, value = header.partition(": ")
                yield NginxCase(f"{told}: good, with {key}", place, "good", {key: value})
            if not number and asks and server.tls:
                for version in _VERSIONS:
                    yield NginxCase(f"{told}: good, by {version}", place, "good", tls=version)


def _elsewhere(reading: Reading, found: Rules) -> Iterator[str]:
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


def _relative(file: Path, directory: Path) -> str:
    """From the scenario's folder, as an author would write it."""
    return Path(os.path.relpath(file.resolve(), directory.resolve())).as_posix()
