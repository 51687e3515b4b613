"""A server as nginx in a container: the scenario's own configuration, or one as a person would write it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from mtls_runner.errors import MaterialError
from mtls_runner.export.material import Workshop
from mtls_runner.model.endpoint import ChainSpec
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.server import ClientAuth, Response, ServerSpec
from mtls_runner.servers.nginx.read.copy import read_user_configuration
from mtls_runner.servers.nginx.write.relays import listens, relay_hosts
from mtls_runner.servers.nginx.write.syntax import LONGEST, literal

__all__ = ["Container", "cannot", "container"]

_VERIFY = {
    ClientAuth.NONE: "off",
    ClientAuth.OPTIONAL: "optional",
    ClientAuth.OPTIONAL_NO_CA: "optional_no_ca",
    ClientAuth.REQUIRED: "on",
}
_PLACE = PurePosixPath("/etc/nginx/lab")
_NO_LIMIT = 100
_SPECIAL = frozenset((301, 302, 303, 307, 308, 444, *range(494, 500)))


@dataclass(slots=True)
class Container:
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


def cannot(server: ServerSpec) -> str | None:
    """What of the description takes more than nginx, openssl and curl; ``None``: nothing."""
    for host in server.hosts:
        reason = cannot(host.server)
        if reason is not None:
            return reason
    if server.ocsp is not RevocationCheck.NONE or server.stapling is not None or server.responders:
        return "it needs an OCSP responder that answers as the scenario says"
    return None


def container(server: ServerSpec, shop: Workshop, material: Material) -> Container:
    """Write its configuration, and say what goes where.

    Raises:
        MaterialError: a file of the author's can't be read.
    """
    made = Container(int(server.option("port", "443")))
    if server.option("config"):
        _own(server, shop, material, made)
    else:
        name = f"{server.id}.conf"
        made.configurations[name] = _written(server, shop, made).encode()
        made.mounts["/etc/nginx/nginx.conf"] = f"nginx/{name}"
    return made


# --- the author's own configuration ---


def _own(server: ServerSpec, shop: Workshop, material: Material, made: Container) -> None:
    brought = tuple((path, what) for path, what in server.files if what.startswith("file:"))
    bare = replace(server, files=brought)
    own = read_user_configuration(bare, material)
    if server.upstreams:
        own = read_user_configuration(bare, material, _stubs(server, own.texts))
    made.hosts = relay_hosts(server.upstreams)
    for file in own.files:
        name = f"{server.id}/{PurePosixPath(file.path).relative_to('/')}"
        made.configurations[name] = file.content
        made.mounts[file.path] = f"nginx/{name}"
    for path, what in server.files:
        if what.startswith("file:"):
            continue
        id_, _, part = what.rpartition(".")
        made.mounts[path] = _piece(server, shop, id_, part)


def _piece(server: ServerSpec, shop: Workshop, id_: str, part: str) -> str:
    if part == "key":
        return shop.key(id_)
    if part == "crl":
        return shop.crl((id_,))
    if part == "passphrase":
        given = server.passphrase if id_ == server.certificate else None
        secret = given or shop.plan.certificates[id_].passphrase
        if secret is None:
            raise MaterialError(f"{id_} has no passphrase")
        return shop.passphrase(secret, id_)
    if part == "chain":
        return shop.chain(id_, replace(server.chain, kind=type(server.chain.kind).FULL))
    return shop.certificate(id_)


def _stubs(server: ServerSpec, texts: list[str]) -> str:
    """In place of the applications behind it: nginx itself, on the ports that the configuration names."""
    status = next((response.status for response in server.responses if response.path is None), 200)
    return " ".join(
        f"server {{ {listen} access_log off; error_log /dev/null; return {status}; }}"
        for listen in listens(server.upstreams, texts)
    )


# --- one for the description ---


def _written(server: ServerSpec, shop: Workshop, made: Container) -> str:
    lines = [
        "# What the scenario's server is, as an nginx.conf.",
        "error_log stderr info;",
        "events {}",
        "http {",
        "    access_log off;",
        *_block(server, server.names, _Folder(made, _PLACE), shop),
    ]
    for host in server.hosts:
        lines += _block(host.server, host.names, _Folder(made, _PLACE / host.id), shop)
    return "\n".join((*lines, "}")) + "\n"


@dataclass(frozen=True, slots=True)
class _Folder:
    """Where one ``server`` block has its files inside."""

    made: Container
    place: PurePosixPath

    def mount(self, name: str, file: str) -> str:
        """The path inside."""
        self.made.mounts[str(self.place / name)] = file
        return str(self.place / name)


def _block(server: ServerSpec, names: tuple[str, ...], folder: _Folder, shop: Workshop) -> Iterator[str]:
    yield "    server {"
    yield f"        listen {folder.made.port} ssl{' http2' if 'h2' in server.alpn else ''};"  # as every nginx takes it
    if names:
        yield f"        server_name {' '.join(map(literal, names))};"
    yield "        error_log stderr info;              # at info, nginx says why it refuses a client certificate"
    yield ""
    yield from (f"        {line}" for line in _tls(server, shop, folder))
    yield ""
    yield from (f"        {line}" for response in _responses(server) for line in _location(response))
    yield "    }"


def _tls(server: ServerSpec, shop: Workshop, folder: _Folder) -> Iterator[str]:
    if server.reject_handshake:
        yield "ssl_reject_handshake   on;"
    if server.certificate is not None:
        chain = folder.mount("server.crt", shop.chain(server.certificate, server.chain))
        yield f"ssl_certificate        {chain};"
        yield f"ssl_certificate_key    {folder.mount('server.key', shop.key(server.certificate))};"
        if server.passphrase is not None:
            file = shop.passphrase(server.passphrase, f"server-{server.id}")
            yield f"ssl_password_file      {folder.mount('server.pass', file)};"
    for number, other in enumerate(server.other_certificates, 2):
        yield f"ssl_certificate        {folder.mount(f'server-{number}.crt', shop.chain(other, ChainSpec()))};"
        yield f"ssl_certificate_key    {folder.mount(f'server-{number}.key', shop.key(other))};"
    yield from _verification(server, shop, folder)
    yield f"ssl_protocols          {' '.join(server.tls)};"
    if server.ciphers is not None or server.security_level != 2:
        ciphers = f"{server.ciphers or 'DEFAULT'}:@SECLEVEL={server.security_level}"
        yield f"ssl_ciphers            {literal(ciphers)};"
    if server.groups:
        yield f"ssl_ecdh_curve         {literal(':'.join(server.groups))};"
    if server.ciphersuites is not None:
        yield f"ssl_conf_command       Ciphersuites {literal(server.ciphersuites)};"
    if server.signature_algorithms:
        yield f"ssl_conf_command       SignatureAlgorithms {literal(':'.join(server.signature_algorithms))};"


def _verification(server: ServerSpec, shop: Workshop, folder: _Folder) -> Iterator[str]:
    yield f"ssl_verify_client      {_VERIFY[server.client_auth]};"
    if server.client_auth is ClientAuth.NONE:
        return
    yield f"ssl_verify_depth       {_NO_LIMIT if server.verify_depth is None else server.verify_depth};"
    advertised = server.trust if server.advertise is None else server.advertise
    if advertised:
        yield f"ssl_client_certificate {folder.mount('client-ca.crt', shop.bundle(advertised))};"
    if set(server.trust) - set(advertised):
        yield f"ssl_trusted_certificate {folder.mount('trusted.crt', shop.bundle(server.trust))};"
    if server.crl_check is RevocationCheck.CHAIN:
        yield f"ssl_crl                {folder.mount('revoked.crl', shop.crl(server.crl))};"


def _responses(server: ServerSpec) -> list[Response]:
    responses = {response.path: response for response in server.responses}
    responses.setdefault(None, Response(status=404))
    return list(responses.values())


def _location(response: Response) -> Iterator[str]:
    match = "location /" if response.path is None else f"location = {literal(urllib.parse.unquote(response.path))}"
    text = _text(response)
    yield f"{match} {{ default_type text/plain; return {response.status}{f' {text}' if text else ''}; }}"


def _text(response: Response) -> str:
    """The body, where ``return`` takes it as it is; bodies are not compared."""
    if response.status in _SPECIAL or b"$" in response.body or len(response.body) > LONGEST:
        return ""
    try:
        text = response.body.decode("ascii")
    except UnicodeDecodeError:
        return ""
    return literal(text) if text.isprintable() and text else ""
