"""What the templates of a declared server may name, and the files that these names stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from mtls_runner.model.endpoint import Address, ChainKind, ChainSpec, ClientAuth, Response, ServerSpec
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.runtimes.directory import ProgramDirectory, content_of, presented_files
from mtls_runner.runtimes.shared_settings import FILES, shared_settings, with_everything
from mtls_runner.runtimes.template import render

__all__ = ["environment", "placeholders", "settings", "variables", "write_rendered"]

_FRAMING = frozenset(("connection", "content-length", "transfer-encoding"))
_ANYWHERE = "/placeholder"


def variables(
    server: ServerSpec,
    material: Material,
    place: ProgramDirectory,
    address: Address,
    cache: str,
    application: Address | None = None,
    generation: int = 1,
) -> dict[str, object]:
    """All of them; what a description does not have is ``None``. Files are written anew at each call.

    Args:
        server: what it is told.
        material, place: of its files.
        address: where it listens.
        cache: where its build lies.
        application: that answers for it.
        generation: how many times it has been told to read them.

    Raises:
        MaterialError: something can't be made.
    """
    return with_everything(
        {
            "dir": place.there,
            "cache": cache,
            "generation": generation,
            **_address(address),
            **_application(application),
            **settings(server),
            **dict(_files(server, material, place, "")),
            "responses": [
                _answer(response, place.write(f"body-{number}", response.body) if response.body else None)
                for number, response in enumerate(_responses(server))
            ],
            "hosts": [
                {
                    **settings(host.server),
                    **dict(_files(host.server, material, place, f"host-{host.id}-")),
                    "names": list(host.names),
                }
                for host in server.hosts
            ],
        }
    )


def write_rendered(
    declared: DeclaredServer, place: ProgramDirectory, known: Mapping[str, object], *, told: bool
) -> None:
    """Its own files, but for the one that it watches unless it is to be ``told``; that one last."""
    watched = declared.reload.file if declared.reload is not None else None
    for file in sorted(declared.files, key=lambda file: file.name == watched):
        if told or file.name != watched:
            content = render(file.text, file.syntax, known, file.name).encode()
            place.write(file.name, content, executable=file.executable)


def placeholders(server: ServerSpec) -> dict[str, object]:
    """Variables without any file behind them: to try whether a template can express everything."""
    return with_everything(
        {
            "dir": _ANYWHERE,
            "cache": _ANYWHERE,
            "generation": 1,
            **_address(Address("127.0.0.1", 1)),
            **_application(Address("127.0.0.1", 1)),
            **settings(server),
            **_paths(server),
            "responses": [_answer(one, _ANYWHERE if one.body else None) for one in _responses(server)],
            "hosts": [
                {**settings(host.server), **_paths(host.server), "names": list(host.names)} for host in server.hosts
            ],
        }
    )


def _address(address: Address) -> dict[str, object]:
    return {"address": str(address), "host": address.host, "port": address.port}


def _application(address: Address | None) -> dict[str, object]:
    host, port = (address.host, address.port) if address is not None else (None, None)
    return {
        "application": str(address) if address is not None else None,
        "application_host": host,
        "application_port": port,
    }


def environment(declared: DeclaredServer, known: Mapping[str, object]) -> dict[str, str]:
    """What the program is started with, without variables that come out empty."""
    found = {name: render(template, "argument", known, name) for name, template in declared.environment}
    return {name: text for name, text in found.items() if text}


def settings(server: ServerSpec) -> dict[str, object]:
    """What a description says itself, without files or an address."""
    return {
        "client_auth": server.client_auth.value,
        **shared_settings(server),
        "verify_depth": server.verify_depth,
        "session_tickets": server.session_tickets,
        "reject_handshake": server.reject_handshake,
        "names": list(server.names),
        "advertises_others": not set(server.advertise or ()) <= set(server.trust),
    }


_FILES = (*FILES, "combined_with_root", "advertise")


def _paths(server: ServerSpec) -> Mapping[str, object]:
    there = dict.fromkeys(_FILES, _ANYWHERE)
    return {
        **there,
        "advertise": None if server.advertise == () else _ANYWHERE,
        "crl": _ANYWHERE if _checks(server) else None,
        "crls": [_ANYWHERE for _ in server.crl] if _checks(server) else [],
        "passphrase": _ANYWHERE if server.passphrase and server.backend.opens_keys else None,
    }


def _checks(server: ServerSpec) -> bool:
    return server.crl_check is not RevocationCheck.NONE and server.client_auth is not ClientAuth.NONE


def _files(
    server: ServerSpec, material: Material, place: ProgramDirectory, prefix: str
) -> Iterator[tuple[str, object]]:
    yield from dict.fromkeys(_FILES).items()
    yield "crls", _each_crl(server, material, place, prefix)
    if server.certificate is not None:
        presented = material.presented(server.certificate, server.chain, None, server.passphrase)
        if server.passphrase is not None and not server.backend.opens_keys:
            presented = replace(presented, key=material.opened_key(server.certificate))
        leaf = material.chain(server.certificate, ChainSpec(ChainKind.LEAF))
        files = dict(presented_files(place, presented, leaf, "server", prefix))
        yield from files.items()
        yield "combined_with_root", _with_root(server.certificate, material, place, prefix, files["combined"])
    if server.passphrase is not None and server.backend.opens_keys:
        yield "passphrase", place.write(f"{prefix}passphrase", server.passphrase.reveal().encode())
    if server.trust:
        trust = place.write(f"{prefix}trust.crt", content_of(material.bundle(server.trust)))
        yield "trust", trust
        if server.advertise in (None, server.trust):
            yield "advertise", trust
    if server.advertise and server.advertise != server.trust:
        yield "advertise", place.write(f"{prefix}advertise.crt", content_of(material.bundle(server.advertise)))
    if _checks(server) and server.crl:
        crls = content_of(material.crl(server.crl))
        yield "crl", place.write(f"{prefix}revoked.crl", crls)
        trusted = content_of(material.bundle(server.trust)) if server.trust else b""
        yield "trust_and_crl", place.write(f"{prefix}trust-and-crl.pem", trusted.rstrip() + b"\n" + crls)


def _each_crl(server: ServerSpec, material: Material, place: ProgramDirectory, prefix: str) -> list[str]:
    """For programs that read one list of a file only."""
    ids = server.crl if _checks(server) else ()
    return [
        place.write(f"{prefix}revoked-{number}.crl", content_of(material.crl((id_,))))
        for number, id_ in enumerate(ids, 1)
    ]


def _with_root(certificate: str, material: Material, place: ProgramDirectory, prefix: str, combined: str) -> str:
    roots = material.credential(certificate).ancestors[-1:]
    if not roots:
        return combined  # it is self-signed
    content = (place.here / f"{prefix}server.pem").read_bytes()
    return place.write(f"{prefix}server-and-root.pem", content.rstrip() + b"\n" + content_of(material.bundle(roots)))


def _responses(server: ServerSpec) -> tuple[Response, ...]:
    """Paths first, the one for all others last."""
    own = [response for response in server.responses if response.path is not None]
    default = next((response for response in server.responses if response.path is None), Response(status=404))
    return (*own, default)


def _answer(response: Response, body_file: str | None) -> dict[str, object]:
    headers = [(name, value) for name, value in response.headers if name.lower() not in _FRAMING]
    types = [value for name, value in headers if name.lower() == "content-type"]
    return {
        "path": response.path,
        "status": response.status,
        "headers": [(name, value) for name, value in headers if name.lower() != "content-type"],
        "content_type": types[0] if types else None,
        "body_file": body_file,
        "size": len(response.body),
        "body": response.body.decode("utf-8", "replace"),
    }
