"""What a container or a process needs to be the scenario's nginx, whoever wrote its configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.port import Material
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.surroundings import FOREGROUND, IN_CONTAINER, ROOT, Surroundings
from mtls_runner.servers.nginx.write.configuration import generate, port_inside
from mtls_runner.servers.nginx.write.relays import UPSTREAM_AT, responder_relay, upstream_relay

if TYPE_CHECKING:
    from mtls_runner.servers.container.image import Image
    from mtls_runner.servers.nginx.read.copy import OwnConfiguration, UserConfiguration

__all__ = ["Prepared", "prepare", "prepare_generated", "prepare_own"]


class Prepared(Struct, frozen=True):
    """What an nginx is started with: everything but the image.

    Args:
        files: for the container.
        entrypoint, command: ``None``: the image's own.
        generated: where the generated configuration is; ``""``: it is the author's.
        shown: for people: the generated configuration, or what the lab changes in its copy of the author's.
        names: path in the container → the author's file.
        said: what else nginx's messages say → in the author's words.
        listens: what the author's ``listen`` directives say, for messages.
        log_is_whole: whether the log tells of every connection; an author's configuration may leave some out.
        proxy_ports: of the author's, where the PROXY protocol is spoken.
        old_forms: whether the lab wrote directives in the form that every nginx takes, of which newer ones warn.
    """

    files: tuple[ContainerFile, ...]
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    shown: str
    generated: str = ""
    names: tuple[tuple[str, str], ...] = ()
    said: Mapping[str, str] = {}
    listens: tuple[str, ...] = ()
    log_is_whole: bool = False
    proxy_ports: frozenset[int] = frozenset()
    old_forms: bool = False

    def renamed(self, text: str) -> str:
        """A message with what the author's configuration says in place of what the lab's copy says."""
        for inside, outside in self.names:
            if inside.endswith("/"):  # a folder in which all of them are
                text = text.replace(inside, outside)
            text = text.replace(f" in {inside}:", f" in {outside}:")
        if self.said:
            words = "|".join(map(re.escape, self.said))
            text = re.sub(rf"(?<![^ ])(?:{words})(?!\d)", lambda found: self.said[found[0]], text)
        return text

    def keep(self, directory: Path) -> None:
        """Write the configuration files where people may look at them or use them by hand; no keys, no passphrases."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        configurations = {self.generated, *(inside for inside, _ in self.names)}
        for file in self.files:
            if file.path in configurations:
                (directory / Path(file.path).name).write_bytes(file.content)


def prepare_generated(
    servers: Mapping[int, ServerSpec], material: Material, surroundings: Surroundings = IN_CONTAINER
) -> Prepared:
    """For servers that bring no configuration of their own.

    Args:
        servers: by port.
        material: the plan's.
        surroundings: where it will run.

    Raises:
        MaterialError: something can't be made.
    """
    made = generate(servers, material, surroundings)
    command = ("-c", surroundings.main_file, *FOREGROUND)
    return Prepared(
        made.files, ("nginx",), command, made.text, surroundings.main_file, log_is_whole=True, old_forms=True
    )


def prepare(server: ServerSpec, material: Material, image: Image | None = None) -> Prepared:
    """What a container of its own needs: generate or read the configuration.

    Args:
        server: what to run.
        material: the plan's.
        image: what it runs in; ``None``: nothing does.

    Raises:
        MaterialError: something can't be made or read.
    """
    if not server.option("config"):
        return prepare_generated({port_inside(server): server}, material)
    # crossplane is only needed here.
    from mtls_runner.servers.nginx.read.copy import read_user_configuration

    own = read_user_configuration(server)
    listens = {address: str(port) for address, port in own.ports.items() if address.removeprefix("*:") != str(port)}
    relay = upstream_relay(own.answered, UPSTREAM_AT, own.certificate)
    made = own.copies(material, f"{relay} {responder_relay(server.responders)}".strip(), listens=listens)
    return _own(own, made, *_noticing(image))


def prepare_own(
    own: OwnConfiguration, material: Material, place: Surroundings, ports: Mapping[int, int], stub: str
) -> Prepared:
    """What a process needs for the author's own configuration.

    Args:
        own: the configuration, as it was read.
        material: the plan's.
        place: where it will run: its files lie below ``place.directory``.
        ports: the configuration's, and those that were bound for them.
        stub: the directory of the stub's socket; ``""``: there is none.

    Raises:
        MaterialError: something can't be made or read.
    """
    relay = upstream_relay(own.answered, stub, _below(own.certificate, place.directory), stub)
    made = own.copies(
        material,
        " ".join((relay, *place.http)),
        listens={address: f"{place.host}{ports[port]}" for address, port in own.ports.items()},
        below=place.directory,
        modules=place.modules,
        scratch=f"{place.directory}/scratch",
        sockets=stub,
        inside=ports,
    )
    main = f"{place.directory}{ROOT}/nginx.conf"
    return _own(
        own, made, ("nginx",), ("-c", main, "-g", " ".join(("daemon off; error_log stderr notice;", *place.main)))
    )


def _below(certificate: tuple[str, str, str] | None, directory: str) -> tuple[str, str, str] | None:
    if certificate is None:
        return None
    chain, key, passphrases = (f"{directory}{path}" if path else "" for path in certificate)
    return chain, key, passphrases


def _own(
    own: OwnConfiguration,
    made: UserConfiguration,
    entrypoint: tuple[str, ...] | None,
    command: tuple[str, ...] | None,
) -> Prepared:
    return Prepared(
        files=tuple(made.files),
        entrypoint=entrypoint,
        command=command,
        shown=made.difference,
        names=tuple(made.names),
        said=made.said,
        listens=tuple(own.listens),
        proxy_ports=own.proxy_ports,
        old_forms=made.old_forms,
    )


def _noticing(image: Image | None) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Entrypoint and command: the image's, with a main log that tells when the workers start, where it is nginx's usual one.

    An image that has neither (``docker import`` makes such ones) has nginx run as usual.
    """
    noticing = f"{FOREGROUND[-1]} error_log stderr notice;"
    if image is not None and not (image.entrypoint or image.command):
        return ("nginx",), (*FOREGROUND[:-1], noticing)
    if image is None or image.command[-2:] != FOREGROUND:
        return None, None
    return None, (*image.command[:-1], noticing)
