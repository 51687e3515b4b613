"""A server as nginx in a container: the scenario's own configuration, or one as a person would write it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

from mtls_runner.errors import MaterialError
from mtls_runner.export.material import Workshop
from mtls_runner.model.endpoint import ChainSpec, MappedPart, ServerSpec
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import ResponderSpec
from mtls_runner.servers.nginx.read.applications import Stub
from mtls_runner.servers.nginx.read.copy import read_user_configuration
from mtls_runner.servers.nginx.write.plain import plain_configuration
from mtls_runner.servers.nginx.write.relays import relay_hosts, stub_at

__all__ = ["PlainContainer", "container"]

_PLACE = PurePosixPath("/etc/nginx/lab")


class PlainContainer(Struct):
    """What ``docker run`` needs.

    Args:
        port: that nginx listens on inside.
        mounts: path inside → file, relative to the script's working directory.
        hosts: names that nginx looks up, with their addresses.
        configurations: name below ``nginx/`` → text.
    """

    port: int
    mounts: dict[str, str] = field(default_factory=dict)
    hosts: tuple[tuple[str, str], ...] = ()
    configurations: dict[str, bytes] = field(default_factory=dict)


def container(server: ServerSpec, shop: Workshop, material: Material) -> PlainContainer:
    """Write its configuration, and say what goes where.

    Raises:
        MaterialError: a file of the author's can't be read.
    """
    made = PlainContainer(int(server.option("port", "443")))
    if server.option("config"):
        _own(server, shop, material, made)
    else:
        name = f"{server.id}.conf"
        text = plain_configuration(server, made.port, lambda host: _Mounts(made, shop, _PLACE / host))
        made.configurations[name] = text.encode()
        made.mounts["/etc/nginx/nginx.conf"] = f"nginx/{name}"
    return made


def _own(server: ServerSpec, shop: Workshop, material: Material, made: PlainContainer) -> None:
    brought = tuple(file for file in server.files if file.own is not None)
    bare = replace(server, files=brought)
    read = read_user_configuration(bare)
    own = read.copies(material, _answers(server, read.stubs.values()), listens={})
    made.hosts = relay_hosts(server.upstreams)
    for file in own.files:
        name = f"{server.id}/{PurePosixPath(file.path).relative_to('/')}"
        made.configurations[name] = file.content
        made.mounts[file.path] = f"nginx/{name}"
    for mapped in server.files:
        if mapped.own is None:
            made.mounts[mapped.path] = _piece(server, shop, mapped.certificate, mapped.part)


def _piece(server: ServerSpec, shop: Workshop, id_: str, part: MappedPart) -> str:
    if part is MappedPart.KEY:
        return shop.key(id_)
    if part is MappedPart.CRL:
        return shop.crl((id_,))
    if part is MappedPart.PASSPHRASE:
        given = server.passphrase if id_ == server.certificate else None
        secret = given or shop.plan.certificates[id_].passphrase
        if secret is None:
            raise MaterialError(f"{id_} has no passphrase")
        return shop.passphrase(secret, id_)
    if part is MappedPart.CHAIN:
        return shop.chain(id_, replace(server.chain, kind=type(server.chain.kind).FULL))
    return shop.certificate(id_)


def _answers(server: ServerSpec, stubs: Iterable[Stub]) -> str:
    """In the place of the applications behind it: nginx itself, where the configuration looks for them, in plain HTTP."""
    status = next((response.status for response in server.responses if response.path is None), 200)
    return " ".join(
        f"server {{ listen {stub_at(stub)}; access_log off; error_log /dev/null; return {status}; }}"
        for stub in dict.fromkeys(stubs)
    )


class _Mounts(Struct, frozen=True):
    """Implements :class:`~mtls_runner.servers.nginx.write.files.Files`: of one ``server`` block, mounted from the script's."""

    made: PlainContainer
    shop: Workshop
    place: PurePosixPath

    @property
    def directory(self) -> str:
        """Inside."""
        return str(self.place)

    def _mount(self, name: str, file: str) -> str:
        path = str(self.place / name)
        self.made.mounts[path] = file
        return path

    def pair(self, name: str, server: ServerSpec, certificate: str, chain: ChainSpec) -> tuple[str, str]:  # noqa: ARG002
        """Made by the script, encrypted as the scenario says."""
        mounted = self._mount(f"{name}.crt", self.shop.chain(certificate, chain))
        return mounted, self._mount(f"{name}.key", self.shop.key(certificate))

    def passphrases(self, name: str, server: ServerSpec) -> str | None:
        """The server's own; those of its other keys are left out (:mod:`mtls_runner.export.servers`)."""
        if server.passphrase is None:
            return None
        return self._mount(name, self.shop.passphrase(server.passphrase, f"server-{server.id}"))

    def bundle(self, name: str, certificates: Sequence[str]) -> str:
        """Made by the script."""
        return self._mount(name, self.shop.bundle(certificates))

    def crl(self, name: str, crls: Sequence[str]) -> str:
        """Made by the script."""
        return self._mount(name, self.shop.crl(crls))

    def staple(self, name: str, certificate: str, responder: ResponderSpec) -> str:
        """Left out."""
        raise MaterialError(f"{name}: a script has no OCSP response of {responder.id} about {certificate}")

    def ticket_key(self, name: str, key: str) -> str:
        """Left out."""
        raise MaterialError(f"{name}: a script has no session ticket key {key}")
