"""A scenario that tests an nginx configuration as it is: facts are read, and what nginx makes of them is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct, field

from mtls_runner.errors import UsageError
from mtls_runner.init.nginx_clients import NginxClients, clients, issuers
from mtls_runner.init.text import relative, rendered
from mtls_runner.servers.nginx.read.applications import Application, applications, own_port
from mtls_runner.servers.nginx.read.configuration import Reading, read
from mtls_runner.servers.nginx.read.listening import lab_ports
from mtls_runner.servers.nginx.read.material import NginxMaterial, material
from mtls_runner.servers.nginx.read.pages import files_of
from mtls_runner.servers.nginx.read.placeholders import refuse_template
from mtls_runner.servers.nginx.read.reachable import VERSIONS, NginxPlace, NginxServer, elsewhere
from mtls_runner.servers.nginx.read.reachable import places as places_of
from mtls_runner.servers.nginx.read.reachable import servers as servers_of
from mtls_runner.servers.nginx.read.rules import Rules, rules

__all__ = ["NginxCase", "NginxScenario", "nginx_scenario"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MOST = 400
"""Cases with every client at every place; beyond that only the most telling ones are everywhere."""


class NginxCase(Struct):
    """One case of the scenario for an nginx configuration.

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


class NginxScenario(Struct):
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
        own: path in nginx's container → the author's file that lies there, or the name of one of ``beside``.
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
        own = {path: file if isinstance(file, str) else relative(file, directory) for path, file in self.own.items()}
        more = {
            "config": relative(self.main, directory),
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
    servers = list(servers_of(reading, ports, made, list(who.issuers), notes))
    if not servers:
        raise _nothing_to_test(reading, [*notes, *made.notes])
    asks = any(server.client_auth != "none" for server in servers)
    if not asks:
        notes.append("no `server` asks for a client certificate (ssl_verify_client): there is no mutual TLS to test")
    behind = applications([(d.path, d) for d in reading.directives])
    notes += [*made.notes, *who.notes, *elsewhere(reading, found)]
    _name_servers(made, behind, reading)
    name = _name(main)
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
        "upstreams": list(dict.fromkeys(one.host for one in behind if own_port(one, ports) is None)),
        "ocsp": any(block.value("ssl_ocsp", "off") != "off" for block in speaking),
    }
    cases = list(_cases(servers, who, found, asks=asks))
    bodies = any(a.startswith("=") for d in reading.directives if d.name == "error_page" for a in d.arguments)
    own, beside = files_of(reading, speaking)
    own = {path: file for path, file in (own | made.own).items() if path not in made.files}
    return NginxScenario(main, name, cases, servers, bodies, beside, list(dict.fromkeys(notes)), values, own)


def _nothing_to_test(reading: Reading, notes: Iterable[str]) -> UsageError:
    """Why: no ``server`` of it can be tried."""
    main = reading.main
    of = {d.path[0] for d in reading.directives if d.name == "server" and d.path in (("stream",), ("mail",))}
    if of and not reading.servers:
        return UsageError(
            f"{main}: {' and '.join(sorted(of))} only: --from-nginx tests servers of http, and there is none"
        )
    if not reading.servers and reading.whole:
        return UsageError(
            f"{main}: there is no `server` in it, nor in what it includes: files of /etc/nginx are looked for beside it, as "
            f"{main.parent / 'conf.d'}"
        )
    if not reading.servers:
        return UsageError(
            f"{main}: there is no `server` in it: it is a part of a configuration. Give the file that includes it"
        )
    why = "; ".join(notes) or "no `server` of it has a `listen … ssl` with an ssl_certificate"
    return UsageError(f"{main}: there is nothing to test: {why}")


def _name(main: Path) -> str:
    """The name of the scenario's file; never ``lab.yaml``, which is another file."""
    name = _UNSAFE.sub("-", main.stem).strip("-.")
    return name if name not in ("", "lab") else "nginx"


def _name_servers(made: NginxMaterial, behind: Iterable[Application], reading: Reading) -> None:
    """Certificates of servers are for the names, too, by which the configuration asks what is behind it over TLS."""
    asked = [one.host for one in behind if one.scheme in ("https", "grpcs") and not one.host.startswith("unix:")]
    asked += [
        d.arguments[0] for d in reading.directives if d.name.endswith("_ssl_name") and "$" not in "".join(d.arguments)
    ]
    for leaf in made.leaves.values():
        if leaf.usage == "server":
            leaf.names = list(dict.fromkeys((*leaf.names, *asked, "localhost", "127.0.0.1")))


def _cases(servers: list[NginxServer], who: NginxClients, found: Rules, *, asks: bool) -> Iterator[NginxCase]:
    several = len(servers) > 1
    everybody = ["", *(client.id for client in who.all)] if asks else [""]
    everywhere = ["", "good", *(client.id for client in who.all if client.named)] if asks else [""]
    places = [place for server in servers for place in places_of(server, found)]
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
                for version in VERSIONS:
                    yield NginxCase(f"{told}: good, by {version}", place, "good", tls=version)
