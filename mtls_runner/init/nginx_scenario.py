"""A scenario that tests an nginx configuration as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from mtls_runner.errors import UsageError
from mtls_runner.init.dh import PARAMETERS
from mtls_runner.init.nginx_cases import CaseDraft, demands
from mtls_runner.init.nginx_material import CLIENT_CA, SERVER_CA, NginxMaterial, material, names_of
from mtls_runner.init.nginx_pages import pages
from mtls_runner.init.nginx_upstreams import upstreams
from mtls_runner.init.text import rendered
from mtls_runner.init.write import Draft
from mtls_runner.servers.nginx.read.configuration import Directive, Reading, ServerBlock, read
from mtls_runner.servers.nginx.read.files import ROOT

__all__ = ["from_nginx"]

_VERSIONS = ("TLSv1.2", "TLSv1.3")
_OLD = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class _Server:
    """One entry of ``servers:``, as the template reads it."""

    id: str
    place: str
    port: int
    name: str
    certificate: str
    client_auth: str
    trust: list[str]
    tls: list[str]
    crl: list[str]
    depth: int
    cases: list[CaseDraft]


def from_nginx(main: Path, directory: Path, image: str | None) -> Draft:
    """Read the configuration and everything that it includes.

    Args:
        main: a whole ``nginx.conf``, or a file for ``conf.d``.
        directory: where the scenario will lie.
        image: of the container; ``None``: lab.yaml's.

    Raises:
        UsageError: it can't be read, or no ``server`` in it speaks TLS.
    """
    reading = read(main)
    notes = list(reading.notes)
    blocks = [(block, port) for block in reading.servers if (port := _port(block, notes)) is not None]
    if not blocks:
        why = "; ".join(notes) or "no `server` with `listen … ssl` and an ssl_certificate"
        raise UsageError(f"{main}: there is nothing to test: {why}")
    made = material(reading, [block for block in reading.servers if block.all("ssl_certificate")])
    behind = upstreams(reading)
    servers: list[_Server] = []
    for block, port in blocks:
        server = _server(block, port, made, notes, [server.id for server in servers])
        servers += [server] if server is not None else []
    if not servers:
        raise UsageError(f"{main}: there is nothing to test: {'; '.join((*notes, *made.notes))}")
    sent = pages(reading, [block for block, _ in blocks])
    own = {path: file for path, file in sent.files.items() if path not in made.files} | made.own
    notes += [*made.notes, *behind.notes, *sent.notes, *_elsewhere(reading)]
    asks = any(server.client_auth != "none" for server in servers)
    if not asks:
        notes.append("no `server` asks for a client certificate (ssl_verify_client): there is no mutual TLS to test")
    depths = sorted({int(name.removeprefix("depth-")) for name in _presented(servers) if name.startswith("depth-")})
    name = _UNSAFE.sub("-", main.stem).strip("-.") or "nginx"
    versions = {tuple(server.tls) for server in servers}
    values = {
        "file": f"{name}.yaml",
        "name": name,
        "config": _relative(main, directory),
        "config_shown": main.name,
        "image": image or "",
        "notes": notes,
        "authorities": list(dict.fromkeys(made.authorities.values())) or [CLIENT_CA] * asks,
        "asks": asks,
        "revoked": any(server.crl for server in servers),
        "deepest": max(depths, default=0),
        "depths": depths,
        "leaves": [
            {
                "id": leaf.id,
                "key": leaf.key,
                "passphrase": leaf.passphrase,
                "usage": leaf.usage,
                "san": _san(leaf.names),
            }
            for leaf in made.leaves.values()
        ],
        "servers": servers,
        "files": made.files,
        "own": {path: str(file) if str(file) == made.dh else _relative(file, directory) for path, file in own.items()},
        "upstreams": behind.names,
        "matrix": list(min(versions)) if len(versions) == 1 and len(min(versions)) > 1 else [],
    }
    beside = ((made.dh, PARAMETERS),) if made.dh else ()
    return Draft(f"{name}.yaml", rendered("nginx.yaml", values), notes, beside)


def _presented(servers: Sequence[_Server]) -> set[str]:
    return {case.certificate for server in servers for case in server.cases}


def _port(block: ServerBlock, notes: list[str]) -> int | None:
    """The port to connect to; ``None``: the block does not speak TLS, or can't be reached from outside its container."""
    everywhere = block.value("ssl", "off") == "on"  # nginx before 1.25
    tls = [d for d in block.all("listen") if "ssl" in d.arguments[1:] or (everywhere and "quic" not in d.arguments)]
    if not tls:
        return None
    if block.value("ssl_reject_handshake") == "on":
        notes.append(f"{block.place}: this server rejects every handshake (ssl_reject_handshake): it is not tested")
        return None
    why = ""
    for directive in tls:
        host, port = _listen(directive)
        if "proxy_protocol" in directive.arguments:
            why = f"{directive.place}: the lab's clients don't speak the PROXY protocol: this `listen` is not tested"
        elif port is None:
            why = f"{directive.place}: the lab can't connect to {directive.arguments[0]}: this `listen` is not tested"
        elif host not in ("", "*", "0.0.0.0", "[::]"):  # noqa: S104 - what a configuration says
            why = f"{directive.place}: {host} can't be reached from outside the container: this `listen` is not tested"
        else:
            return port
    notes.append(why)
    return None


def _listen(directive: Directive) -> tuple[str, int | None]:
    """``listen``'s address and port; the port is ``None`` for a Unix socket."""
    where = directive.arguments[0]
    if where.startswith("unix:"):
        return where, None
    if where.isdigit():
        return "", int(where)
    host, colon, port = where.rpartition(":")
    if colon and port.isdigit():
        return host, int(port)
    return where, 80


def _server(
    block: ServerBlock, port: int, made: NginxMaterial, notes: list[str], taken: Sequence[str]
) -> _Server | None:
    leaf = made.leaves.get(str(ROOT / block.value("ssl_certificate"))) if block.all("ssl_certificate") else None
    if leaf is None:
        notes.append(f"{block.place}: without an ssl_certificate that the lab can make this server is not tested")
        return None
    versions = _protocols(block, notes)
    if not versions:
        notes.append(f"{block.place}: it speaks neither TLS 1.2 nor 1.3, and is not tested")
        return None
    paths = [
        str(ROOT / block.value(name))
        for name in ("ssl_client_certificate", "ssl_trusted_certificate")
        if block.all(name)
    ]
    trust = list(dict.fromkeys(made.authorities[path] for path in paths if path in made.authorities))
    crl = made.crls.get(str(ROOT / block.value("ssl_crl"))) if block.all("ssl_crl") else None
    found = demands(block, has_crl=crl is not None)
    notes += found.notes
    names = names_of(block)[0]
    name = names[0].replace("*.", "www.", 1) if names else ""
    if found.client_auth in ("required", "optional") and not trust:
        notes.append(f"{block.place}: ssl_verify_client without a usable ssl_client_certificate: nginx will not start")
    return _Server(
        id=_id(name, port, taken),
        place=f"{block.place}, port {port}",
        port=port,
        name="" if name in ("", "localhost") else name,
        certificate=leaf.id,
        client_auth=found.client_auth,
        trust=trust or [CLIENT_CA if found.client_auth != "none" else SERVER_CA],
        tls=versions,
        crl=[crl] if crl is not None else [],
        depth=found.depth,
        cases=found.cases,
    )


def _id(name: str, port: int, taken: Sequence[str]) -> str:
    base = _UNSAFE.sub("-", name.replace(".", "-")).strip("-").lower() or f"port-{port}"
    tries = (base, f"{base}-{port}", *(f"{base}-{port}-{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in tries if one not in taken)


def _protocols(block: ServerBlock, notes: list[str]) -> list[str]:
    directive = block.one("ssl_protocols")
    if directive is None:
        return list(_VERSIONS)
    old = [version for version in directive.arguments if version in _OLD]
    if old:
        notes.append(f"{directive.place}: {', '.join(old)}: no client speaks that at OpenSSL 3's usual security level")
    return [version for version in _VERSIONS if version in directive.arguments]


def _san(names: Sequence[str]) -> list[str]:
    """Of what a server presents: its own names, and those by which anyone on this machine reaches it."""
    return [*dict.fromkeys((*names, "localhost", "127.0.0.1"))] if names else []


def _elsewhere(reading: Reading) -> list[str]:
    """What is no HTTP, and modules that the image may lack."""
    found = []
    for directive in reading.directives:
        if directive.path == ("stream",) and directive.name == "server":
            found.append(f"{directive.place}: the lab speaks HTTP only: servers of `stream` are not tested")
        elif directive.name == "load_module":
            found.append(f"{directive.place}: load_module: nginx will not start unless the image has that module")
        elif directive.name == "resolver" and directive.arguments and not _local(directive.arguments[0]):
            found.append(
                f"{directive.place}: a container of the lab reaches no other machine: the resolver will not answer"
            )
    return found


def _local(address: str) -> bool:
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _relative(file: Path, directory: Path) -> str:
    """From the scenario's folder, as an author would write it."""
    return Path(os.path.relpath(file.resolve(), directory.resolve())).as_posix()
