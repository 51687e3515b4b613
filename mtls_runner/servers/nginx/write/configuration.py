"""The configuration that is generated when the scenario brings none of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.port import Material
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.surroundings import IN_CONTAINER, Surroundings
from mtls_runner.servers.nginx.write.access_log import DIRECTIVES, FORMAT_DEFINITION
from mtls_runner.servers.nginx.write.files import Copies
from mtls_runner.servers.nginx.write.locations import locations_of
from mtls_runner.servers.nginx.write.relays import responder_relay
from mtls_runner.servers.nginx.write.syntax import DOLLAR_DEFINITION, literal, rendered
from mtls_runner.servers.nginx.write.tls import listen, tls_directives

__all__ = ["Generated", "generate", "port_inside"]


class Generated(Struct, frozen=True):
    """A configuration and everything that it refers to."""

    text: str
    files: tuple[ContainerFile, ...]


def port_inside(server: ServerSpec) -> int:
    """The port that nginx listens on in its container."""
    return int(server.option("port", "443"))


def generate(
    servers: Mapping[int, ServerSpec], material: Material, surroundings: Surroundings = IN_CONTAINER
) -> Generated:
    """One configuration for all of them, and its files.

    Args:
        servers: by port.
        material: the plan's.
        surroundings: where it will run.

    Raises:
        MaterialError: something can't be made.
    """
    blocks: list[list[str]] = []
    files: list[ContainerFile] = []
    for number, (port, server) in enumerate(servers.items()):
        own = f"/{number}" if len(servers) > 1 else ""
        copies = Copies(material, f"{surroundings.directory}{own}")
        blocks.append(list(_block(server, server.names, copies, surroundings.host, port)))
        files += copies.files
        for host in server.hosts:
            copies = Copies(material, f"{surroundings.directory}{own}/hosts/{host.id}")
            blocks.append(list(_block(host.server, host.names, copies, surroundings.host, port)))
            files += copies.files
    relay = responder_relay([responder for server in servers.values() for responder in server.responders])
    text = _text(blocks, relay, surroundings)
    return Generated(text, (*files, ContainerFile(surroundings.main_file, text.encode())))


def _block(server: ServerSpec, names: Sequence[str], files: Copies, host: str, port: int) -> Iterator[str]:
    yield rendered(listen(server, f"{host}{port}"))
    yield DIRECTIVES
    yield ""
    if names:
        yield rendered(("server_name", *map(literal, names)))
    yield from map(rendered, tls_directives(server, files, f"{port}_"))
    yield from locations_of(server, files)


def _text(blocks: Sequence[Sequence[str]], relay: str, surroundings: Surroundings) -> str:
    needs_dollar = any("$" in line for block in blocks for line in block if line != DIRECTIVES)
    return "\n".join(
        (
            f"# Generated from the scenario's server{'s' if len(blocks) > 1 else ''}.",
            "worker_processes 1;",
            "error_log stderr notice;",
            *surroundings.main,
            "",
            "events {",
            "    worker_connections 512;",
            "}",
            "",
            "http {",
            f"    {FORMAT_DEFINITION}",
            *([f"    {DOLLAR_DEFINITION}"] if needs_dollar else []),
            "    server_tokens on;",
            *(f"    {line}" for line in surroundings.http),
            *([f"    {relay}"] if relay else []),
            *(
                line
                for block in blocks
                for line in ("", "    server {", *(f"        {line}" if line else "" for line in block), "    }")
            ),
            "}",
            "",
        )
    )
