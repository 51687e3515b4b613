"""What the templates of a declared client may name, and the files that these names stand for."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.model.endpoint import Address, ChainKind, ChainSpec, ClientSpec
from mtls_runner.model.names import is_address
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.runtimes.directory import ProgramDirectory, content_of, presented_files
from mtls_runner.runtimes.shared_settings import FILES, shared_settings, with_everything

__all__ = ["placeholders", "variables"]

_FILES = (*FILES, "body_file")
_ANYWHERE = "/placeholder"


def variables(
    client: ClientSpec, address: Address, material: Material, place: ProgramDirectory, cache: str
) -> dict[str, object]:
    """All of them; what a description does not have is ``None``.

    Raises:
        MaterialError: something can't be made.
    """
    return with_everything(
        {
            "dir": place.there,
            "cache": cache,
            "local_port": 0,
            **_settings(client, address),
            **dict(_files(client, material, place)),
        }
    )


def placeholders(client: ClientSpec) -> dict[str, object]:
    """Variables without any file behind them: to try whether a template can express everything."""
    crl = _ANYWHERE if client.crl_check is not RevocationCheck.NONE else None
    return with_everything(
        {
            "dir": _ANYWHERE,
            "cache": _ANYWHERE,
            "local_port": 0,
            **_settings(client, Address("127.0.0.1", 1)),
            **dict.fromkeys(_FILES, _ANYWHERE),
            "crl": crl,
            "trust_and_crl": crl,
            "passphrase": _ANYWHERE if client.passphrase is not None else None,
        }
    )


def _settings(client: ClientSpec, address: Address) -> dict[str, object]:
    name = client.server_name if client.server_name is not None else address.host
    literal = is_address(name)
    host = f"[{name}]" if ":" in name else name
    return {
        "address": str(address),
        "host": address.host,
        "port": address.port,
        "url": f"https://{host}:{address.port}{client.request.path}",
        "server_name": None if client.server_name is None or literal else client.server_name,
        "verify_name": name,
        "verify_name_is_address": literal,
        "insecure": client.insecure,
        **shared_settings(client),
        "method": client.request.method,
        "path": client.request.path,
        "headers": list(client.request.headers),
        "limit_rate": client.request.limit_rate,
        "request": _request(client, name if address.port == 443 else f"{host}:{address.port}"),
        "timeout": client.timeout,
    }


def _request(client: ClientSpec, host: str) -> str:
    """The head of an HTTP/1.1 request, to be sent as it is; a body follows from its file."""
    request = client.request
    given = {name.lower() for name, _ in request.headers}
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [] if "host" in given else [f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    lines += [f"Content-Length: {len(request.body)}"] if request.body and "content-length" not in given else []
    lines += [] if "connection" in given else ["Connection: close"]
    return "\r\n".join([*lines, "", ""])


def _files(client: ClientSpec, material: Material, place: ProgramDirectory) -> Iterator[tuple[str, str | None]]:
    yield from dict.fromkeys(_FILES).items()
    if client.certificate is not None:
        presented = material.presented(client.certificate, client.chain, client.key, client.passphrase)
        leaf = material.chain(client.certificate, ChainSpec(ChainKind.LEAF))
        yield from presented_files(place, presented, leaf, "client")
    if client.passphrase is not None:
        yield "passphrase", place.write("passphrase", f"{client.passphrase.reveal()}\n".encode())
    trusted = content_of(material.bundle(client.trust)) if client.trust else b""
    if trusted:
        yield "trust", place.write("trust.crt", trusted)
    if client.crl and client.crl_check is not RevocationCheck.NONE:
        crls = content_of(material.crl(client.crl))
        yield "crl", place.write("revoked.crl", crls)
        yield "trust_and_crl", place.write("trust-and-crl.pem", trusted.rstrip() + b"\n" + crls)
    if client.request.body:
        yield "body_file", place.write("body", client.request.body)
