"""Descriptions of servers and clients → :class:`~mtls_runner.model.endpoint.ServerSpec`, ``ClientSpec``."""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import Any

from msgspec.structs import replace

from mtls_runner.language.certificates import Certificates
from mtls_runner.language.context import Context
from mtls_runner.language.crls import Crls, Responders
from mtls_runner.language.endpoint import ClientDescription, OwnFile, ResponseModel, ServerDescription
from mtls_runner.language.expectation import RefusalModel
from mtls_runner.language.glance import IMAGE_VARIABLE
from mtls_runner.language.servers import host_server, presented
from mtls_runner.language.shared_words import InPlace, chosen
from mtls_runner.language.values import by_name
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import (
    ClientAuth,
    ClientSpec,
    KeySource,
    MappedFile,
    MappedPart,
    RefusalForm,
    Request,
    Response,
    ServerSpec,
    TlsVersion,
    VerifyFlag,
    VirtualHost,
)
from mtls_runner.model.names import ascii_host
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.traits import BackendTraits, ClientTraits, Runtime

__all__ = ["Resolver", "material_id", "material_part", "planned_version"]

_PARTS = frozenset(MappedPart)
_ORDER = {version: number for number, version in enumerate(TlsVersion)}


def planned_version(server: ServerSpec, client: ClientSpec) -> TlsVersion | None:
    """The one version that both ends allow; ``None`` when there are several, or none."""
    common = [version for version in server.tls if version in client.tls and client.protocol.encrypted]
    return common[0] if len(common) == 1 else None


def material_id(source: str) -> str:
    """``leaves.server.key`` → ``server``."""
    return source.removeprefix("leaves.").removeprefix("authorities.").rpartition(".")[0]


def material_part(source: str) -> MappedPart | None:
    """``leaves.server.key`` → the key; ``None``: there is no such part."""
    part = source.rpartition(".")[2]
    return MappedPart(part) if part in _PARTS else None


class Resolver:
    """Makes the servers and clients of one file; equal ones are one object, and a server's id is its own."""

    def __init__(self, context: Context, certificates: Certificates, crls: Crls, responders: Responders) -> None:
        self._context = context
        self._certificates = certificates
        self._crls = crls
        self._responders = responders
        self._servers: dict[ServerSpec, ServerSpec] = {}
        self._clients: dict[ClientSpec, ClientSpec] = {}
        self._taken: dict[str, int] = {}
        self.presented: set[str] = set()
        self.server_of: Callable[[str, str, str], ServerSpec | None] = lambda *_: None
        """Makes the server behind another one, from the other's id, the name that it goes by there, and its own id."""
        self.server_by_id: Callable[[str], ServerSpec | None] = lambda _: None
        """Makes a server as it is declared; ``None``: there is none."""

    def default_certificate(self, model: ServerDescription) -> str | None:
        """``server``, or the only leaf; with an own configuration, the only leaf whose key is given to it."""
        leaves = self._certificates.leaves()
        if model.config is not None:
            sources = chain.from_iterable((model.files or {}).values())
            given = {material_id(source) for source in sources if isinstance(source, str)}
            leaves = tuple(id_ for id_ in leaves if id_ in given)
        if "server" in leaves:
            return "server"
        return leaves[0] if len(leaves) == 1 else None

    def server(self, id_: str, model: ServerDescription, *, as_written: bool = False) -> ServerSpec:
        """The server that ``model`` describes, defaults in place. Variants of one id are ``id.2``, ``id.3``, …

        Args:
            id_, model: of the server.
            as_written: on its own backend, whichever the command line names.
        """
        spec = self._server(id_, model, as_written)
        known = self._servers.get(spec)
        if known is None:
            number = self._taken[id_] = self._taken.get(id_, 0) + 1
            known = spec if number == 1 else self._server(f"{id_}.{number}", model, as_written)
            self._servers[spec] = known
            for certificate in presented(known):
                self.presented.add(certificate)
                self._certificates.use(certificate)
            for authority in (id_ for one in known.every_host for id_ in one.trust):
                self._certificates.use(authority)
            for crl in (
                *(id_ for one in known.every_host for id_ in one.crl),
                *(file.certificate for file in known.files if file.own is None and file.part is MappedPart.CRL),
            ):
                self._crls.use(crl)
        return known

    def _server(self, id_: str, model: ServerDescription, as_written: bool = False) -> ServerSpec:
        certificates = self._certificates
        certificate = model.certificate
        if certificate is None and not self.backend(model.backend).runs_already:
            certificate = self.default_certificate(model)
        client_auth = model.client_auth or ClientAuth.REQUIRED
        trust = tuple(model.trust or ())
        default = certificates.default_authority()
        if (
            model.trust is None
            and default is not None
            and (client_auth in (ClientAuth.OPTIONAL, ClientAuth.REQUIRED) or _asks_by_path(model))
        ):
            trust = (default,)
        passphrase = (
            self._secret(model) if "passphrase" in model.model_fields_set else self._own_passphrase(certificate)
        )
        own = self.backend(model.backend)
        backend = own if as_written else self.backend(self._context.overrides.backend or model.backend)
        given: dict[str, Any] = by_name(model, ServerSpec) | {
            "certificate": certificate,
            "passphrase": passphrase,
            "trust": trust,
            "verify_flags": _flags(model),
            "responses": _responses(model),
            "options": self._options(model, backend),
            "files": tuple(self._files(model)),
            "substitutes": tuple((old, material_id(new)) for old, new in (model.substitutes or {}).items()),
            "crl_check": _crl_check(model),
            "ocsp_responder": self._responders.uri(model.ocsp_responder) if model.ocsp_responder is not None else None,
            "stapling": self._responders.stapling(model, certificate),
            "responders": self._responders.reachable(model),
            "hosts": tuple(self._hosts(id_, model, as_written)),
            "upstreams": tuple(name for name, _ in model.upstreams or ()),
            "behind": tuple(self._behind(id_, model)),
            "runtime": self._runtime(model, backend),
            "backend": backend,
            "configured_for": own if model.config is not None and own is not backend else None,
            "refusal": _refusal(model.refusal),
        }
        if model.tls:
            given["tls"] = _ascending(model.tls)
        return ServerSpec(id=id_, **given)

    def backend(self, wanted: str | InPlace | None) -> BackendTraits:
        """The backend of that name, or the one that is declared in place; the default one where there is none."""
        known = self._context.registry.backends
        if isinstance(wanted, InPlace):
            return self._context.backend_in_place(wanted)
        return known.default if wanted is None else known.named(wanted)

    def _runtime(self, model: ServerDescription, backend: BackendTraits) -> Runtime | None:
        """The runtime that was asked for; ``None`` where there is no choice: the server is embedded, or runs already."""
        if not backend.runtimes or Runtime.EMBEDDED in backend.runtimes:
            return None
        return self._context.overrides.runtime or model.runtime

    def _tool(self, wanted: str | InPlace | None) -> ClientTraits:
        known = self._context.registry.clients
        if isinstance(wanted, InPlace):
            return self._context.tool_in_place(wanted)
        return known.default if wanted is None else known.named(wanted)

    def _hosts(self, id_: str, model: ServerDescription, as_written: bool) -> Iterator[VirtualHost]:
        for name, host in (model.virtual_hosts or {}).items():
            names = tuple(host.names or [name.lower()])
            yield VirtualHost(name, names, self._server(f"{id_}.{name}", host_server(model, host), as_written))

    def _behind(self, id_: str, model: ServerDescription) -> Iterator[tuple[str, ServerSpec]]:
        for name, other in model.upstreams or ():
            found = self.server_of(id_, name, other) if other is not None else None
            if found is not None:
                yield name, found

    def _options(self, model: ServerDescription, backend: BackendTraits) -> tuple[tuple[str, str], ...]:
        """The backend's own settings as texts: scenario over lab.yaml, the command line over both."""
        engine = self._context.lab.engine
        options = {
            "image": self._image(model, backend),
            **dict(chosen(model.options, engine, backend)),
            "config": self._context.beside(self._context.document, model.config) if model.config else None,
            "port": model.port,
        }
        return tuple((name, str(value)) for name, value in options.items() if value is not None)

    def _image(self, model: ServerDescription, backend: BackendTraits) -> str | None:
        """The image of its containers: the command line's, the environment's, the scenario's, lab.yaml's or the backend's."""
        if Runtime.CONTAINER not in backend.runtimes:
            return None
        engine = self._context.lab.engine
        of_lab = engine.image if engine is not None and backend.image_variable == IMAGE_VARIABLE else None
        named = self._context.overrides.image or os.environ.get(backend.image_variable)
        return named or model.image or of_lab or backend.image

    def _files(self, model: ServerDescription) -> Iterator[MappedFile]:
        for inside, sources in (model.files or {}).items():
            for source in sources:
                if isinstance(source, OwnFile):
                    yield MappedFile(inside, own=self._context.beside(self._context.document, source.path))
                elif (part := material_part(source)) is not None:  # else it is told as a mistake
                    yield MappedFile(inside, certificate=material_id(source), part=part)

    def _secret(self, model: ServerDescription | ClientDescription) -> Secret | None:
        if model.passphrase is None:
            return None
        return self._context.secret(model.passphrase, self._context.document)

    def _own_passphrase(self, certificate: str | None) -> Secret | None:
        declared = self._certificates.get(certificate) if certificate is not None else None
        merged = self._certificates.merged(certificate) if certificate is not None else None
        if declared is None or merged is None or merged.passphrase is None:
            return None
        return self._context.secret(merged.passphrase, declared.document)

    def client(self, model: ClientDescription, server: ServerSpec) -> ClientSpec:
        """The client that ``model`` describes, connecting to ``server``."""
        trust = tuple(model.trust or ())
        server_name = model.server_name if "server_name" in model.model_fields_set else "localhost"
        its_own = server.host(server_name).certificate
        if model.trust is None and its_own is not None:
            trust = (self._certificates.root(its_own),)
            self._certificates.use(trust[0])
            if not model.insecure and self._certificates.is_issuer_unknown(its_own):
                self._unknown_root(its_own)
        key = model.key
        if "passphrase" in model.model_fields_set:
            passphrase = self._secret(model)
        elif isinstance(key, OwnFile):
            passphrase = None
        else:
            passphrase = self._own_passphrase(key or model.certificate)
        given: dict[str, Any] = by_name(model, ClientSpec) | {
            "tool": self._tool(self._context.overrides.tool or model.tool),
            "key": self._key_source(key),
            "passphrase": passphrase,
            "trust": trust,
            "server_name": server_name,
            "tls": _ascending(model.tls or server.tls),
            "verify_flags": _flags(model),
            "request": _request(model),
            "crl_check": _crl_check(model),
            "location": self._location(model, server),
        }
        spec = ClientSpec(**given)
        for crl in spec.crl:
            self._crls.use(crl)
        return self._clients.setdefault(spec, spec)

    def _location(self, model: ClientDescription, server: ServerSpec) -> tuple[tuple[str, ServerSpec], ...] | None:
        """The servers that redirects may lead to; each is this client's alone, so that several can be watched at a time."""
        if model.location is None:
            return None
        own = server.id.partition(".")[0]
        found = ((name, server if id_ == own else self.server_by_id(id_)) for name, id_ in model.location)
        return tuple(
            (name, replace(one, alone=True) if one is not server else one) for name, one in found if one is not None
        )

    def _unknown_root(self, certificate: str) -> None:
        declared = self._certificates.get(certificate)
        if declared is not None:
            authorities = self._certificates.authorities()
            self._context.problems.absent(
                declared.document,
                declared.loc,
                f"'issuer' is missing: there are {len(authorities)} authorities, and clients trust this server's root by default",
                f"one of: {', '.join(authorities)}, self; or the clients' `trust`",
            )

    def _key_source(self, key: str | OwnFile | None) -> KeySource | None:
        if key is None:
            return None
        if isinstance(key, OwnFile):
            return KeySource(file=self._context.beside(self._context.document, key.path))
        return KeySource(id=key)


def _flags(model: ServerDescription | ClientDescription) -> frozenset[VerifyFlag]:
    flags = {VerifyFlag.PARTIAL_CHAIN: model.partial_chain, VerifyFlag.STRICT: model.x509_strict}
    return frozenset(flag for flag, given in flags.items() if given)


def _crl_check(model: ServerDescription | ClientDescription) -> RevocationCheck:
    return model.crl_check or (RevocationCheck.CHAIN if model.crl else RevocationCheck.NONE)


def _ascending(versions: Collection[TlsVersion]) -> tuple[TlsVersion, ...]:
    return tuple(sorted(set(versions), key=_ORDER.__getitem__))


def _header_pairs(headers: dict[str, list[str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, values in (headers or {}).items() for value in values)


def _asks_by_path(model: ServerDescription) -> bool:
    return any(response.client_auth is not None for response in (model.responses or {}).values())


def _response(model: ResponseModel, path: str | None) -> Response:
    return Response(
        200 if model.status is None else model.status,
        _header_pairs(model.headers),
        (model.body or "").encode(),
        path,
        model.client_auth,
        bool(model.identity),
    )


def _responses(model: ServerDescription) -> tuple[Response, ...]:
    paths = tuple(_response(response, path) for path, response in (model.responses or {}).items())
    return (*paths, _response(model.response or ResponseModel(), None))


def _request(model: ClientDescription) -> Request:
    request = model.request
    if request is None:
        return Request()
    given = _header_pairs(request.headers)
    headers = tuple((name, _host(value) if name.lower() == "host" else value) for name, value in given)
    return Request(request.method or "GET", request.path or "/", headers, request.body or b"", request.limit_rate or 0)


def _host(value: str) -> str:
    """The name with A-labels (RFC 3986 §3.2.2); what is no valid name stays as it is."""
    with contextlib.suppress(ValueError):
        return ascii_host(value)
    return value


def _refusal(model: RefusalModel | None) -> RefusalForm | None:
    if model is None:
        return None
    return RefusalForm(
        status=tuple(model.status or ()),
        headers=tuple((name.lower(), tuple(ways)) for name, ways in (model.headers or {}).items()),
        body=tuple(model.body or ()),
        closed=bool(model.closed),
    )
