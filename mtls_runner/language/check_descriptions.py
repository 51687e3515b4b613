"""Descriptions of servers and clients, whole or in part: whom they name, and the files that they bring."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mtls_runner.language.certificates import Certificates
from mtls_runner.language.context import Context
from mtls_runner.language.crls import Crls
from mtls_runner.language.document import Loc
from mtls_runner.language.endpoint import ClientDescription, OwnFile, ServerDescription
from mtls_runner.language.matrix import Axis
from mtls_runner.language.resolve import material_id
from mtls_runner.language.responders import Responders
from mtls_runner.language.servers import Servers, host_server
from mtls_runner.language.step_models import Expired
from mtls_runner.model.endpoint import ChainKind, ChainSpec

__all__ = ["check_descriptions"]

_PARTS = ("certificate", "chain", "key", "passphrase", "crl")


@dataclass(frozen=True, slots=True)
class _Place:
    """A description of an end as an author wrote it, whole or in part."""

    model: ServerDescription | ClientDescription
    loc: Loc


def _places(context: Context, servers: Servers, axes: Sequence[Axis]) -> Iterator[_Place]:
    for place in _written(context, servers, axes):
        yield place
        if isinstance(place.model, ServerDescription):
            for id_, host in (place.model.virtual_hosts or {}).items():
                yield _Place(host_server(ServerDescription(), host), (*place.loc, "virtual_hosts", id_))


def _written(context: Context, servers: Servers, axes: Sequence[Axis]) -> Iterator[_Place]:
    for declared in servers.declared.values():
        yield _Place(declared.model, declared.loc)
    for index, case in enumerate(context.scenario.cases or ()):
        place = context.case_index(index)
        if case.server is not None:
            if case.server.expect is not None:
                loc = ("cases", place, "server", "expect")
                context.problems.error(context.document, loc, "a server's start is a case of its own", key=True)
            yield _Place(case.server, ("cases", place, "server"))
        if case.client is not None:
            yield _Place(case.client, ("cases", place, "client"))
        for number, step in enumerate(case.steps or ()):
            if step.connect is not None:
                yield _Place(step.connect, ("cases", place, "steps", number, "connect"))
            if step.replace is not None:
                yield _Place(step.replace, ("cases", place, "steps", number, "replace"))
    for axis in axes:
        for setting in axis.settings:
            yield _Place(setting.patch, setting.loc)


def _waits(context: Context, certificates: Certificates) -> None:
    for index, case in enumerate(context.scenario.cases or ()):
        for number, step in enumerate(case.steps or ()):
            if isinstance(step.wait, Expired) and certificates.get(step.wait.id) is None:
                loc = ("cases", context.case_index(index), "steps", number, "wait", "expired")
                context.problems.unknown(context.document, loc, "authority or leaf", step.wait.id, certificates.ids)


def check_descriptions(
    context: Context,
    certificates: Certificates,
    crls: Crls,
    responders: Responders,
    servers: Servers,
    axes: Sequence[Axis],
) -> None:
    """Every description of a server or client, also those of a case or of a matrix's axis."""
    _waits(context, certificates)
    for place in _places(context, servers, axes):
        _DescriptionCheck(context, certificates, crls, place).run()
        if isinstance(place.model, ServerDescription):
            responders.server(place.model, place.loc)


class _DescriptionCheck:
    def __init__(self, context: Context, certificates: Certificates, crls: Crls, place: _Place) -> None:
        self._context = context
        self._certificates = certificates
        self._crls = crls
        self._place = place

    def _id(self, given: str | None, *loc: str | int) -> None:
        if given is None:
            return
        if self._certificates.get(given) is None:
            self._context.problems.unknown(
                self._context.document, (*self._place.loc, *loc), "authority or leaf", given, self._certificates.ids
            )
        else:
            self._certificates.use(given)

    def _crl(self, given: str, *loc: str | int) -> None:
        if given not in self._crls.ids:
            self._context.problems.unknown(
                self._context.document, (*self._place.loc, *loc), "CRL or authority", given, self._crls.ids
            )

    def _error(self, loc: Loc, message: str, expected: str = "", *, key: bool = False) -> None:
        self._context.problems.error(self._context.document, (*self._place.loc, *loc), message, expected, key=key)

    def run(self) -> None:
        model = self._place.model
        self._id(model.certificate, "certificate")
        for index, given in enumerate(model.trust or ()):
            self._id(given, "trust", index)
        for index, given in enumerate(model.crl or ()):
            self._crl(given, "crl", index)
        chain: ChainSpec | None = model.chain
        if chain is not None and chain.kind is ChainKind.IDS:
            for index, given in enumerate(chain.ids):
                self._id(given, "chain", index)
        if model.passphrase is not None:
            self._context.check_secret(model.passphrase, self._context.document, (*self._place.loc, "passphrase"))
        if isinstance(model, ClientDescription):
            if isinstance(model.key, str):
                self._id(model.key, "key")
        else:
            self._server(model)

    def _server(self, model: ServerDescription) -> None:
        for index, given in enumerate(model.advertise or ()):
            self._id(given, "advertise", index)
        for index, given in enumerate(model.other_certificates or ()):
            self._id(given, "other_certificates", index)
        for inside, source in (model.files or {}).items():
            if isinstance(source, OwnFile):
                self._file(source.path, "files", inside)
            else:
                self._material(source, inside)
        if model.config is not None:
            self._file(model.config, "config")

    def _file(self, path: str, *loc: str | int) -> None:
        if not self._context.beside(self._context.document, path).is_file():
            self._error(loc, "there is no such file", "a path relative to the scenario file")

    def _material(self, source: str, inside: str) -> None:
        id_, part = material_id(source), source.rpartition(".")[2]
        if part not in _PARTS or not id_:
            self._error(
                ("files", inside),
                "this is not a piece of the lab's material",
                "ca.certificate, leaves.<id>.key, … (certificate, chain, key, passphrase, crl), or {file: path}",
            )
            return
        if part == "crl":
            self._crl(id_, "files", inside)
            return
        self._id(id_, "files", inside)
        merged = self._certificates.merged(id_)
        if part == "passphrase" and merged is not None and merged.passphrase is None:
            self._error(("files", inside), f"'{id_}' has no passphrase")
