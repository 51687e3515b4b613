"""Checks descriptions of servers and clients, whole or in part: what they name and what files they bring, what is missing, which
settings exclude each other, and which refusals prove nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from mtls_runner.language.certificates import Certificates
from mtls_runner.language.context import Context
from mtls_runner.language.crls import Crls, Responders
from mtls_runner.language.document import Loc, meant
from mtls_runner.language.endpoint import ClientDescription, OwnFile, ServerDescription
from mtls_runner.language.expected import Planned
from mtls_runner.language.resolve import material_id, material_part
from mtls_runner.language.scenario import Expired
from mtls_runner.language.servers import Axis, Servers, WrittenServer, check_hosts, host_server
from mtls_runner.model.case import Case
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.endpoint import ChainKind, ChainSpec, ClientAuth, MappedPart, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.revocation import CrlSpec, RevocationCheck
from mtls_runner.model.traits import BackendTraits

__all__ = ["check_acceptance", "check_declared", "check_descriptions", "check_lists", "check_spec"]


def check_declared(context: Context, servers: Servers) -> None:
    """Check ``server:`` beside ``servers:``, ``like:``, and each server's own expectation."""
    problems, document, scenario = context.problems, context.document, context.scenario
    if scenario.server is not None and scenario.servers is not None:
        problems.error(
            document,
            ("servers",),
            "'server' and 'servers' exclude each other",
            "all of them under servers:, by id",
            key=True,
        )
    for declared in servers.declared.values():
        check_hosts(context, declared.model, declared.loc)
        like = declared.model.like
        if like is not None:
            if like not in servers.declared:
                problems.unknown(document, (*declared.loc, "like"), "server", like, servers.declared)
            elif servers.merged(declared.id) is None and servers.in_circle(declared.id):
                problems.error(document, (*declared.loc, "like"), "these descriptions take over each other in a circle")
        expect = declared.model.expect
        if expect is None:
            continue
        loc = (*declared.loc, "expect")
        if expect.starts is None:
            problems.absent(document, loc, "'starts' is missing", "true or false")
        elif expect.starts and expect.reason is not None:
            problems.error(document, (*loc, "reason"), "a server that starts has no reason not to", key=True)
    if not scenario.cases and all(declared.model.expect is None for declared in servers.declared.values()):
        problems.absent(document, (), "there are no cases", "cases:, or a server with expect: {starts: …}")


def _never_starts(declared: WrittenServer) -> bool:
    return declared.model.expect is not None and declared.model.expect.starts is False


def check_spec(
    context: Context, certificates: Certificates, declared: WrittenServer, spec: ServerSpec, written: BackendTraits
) -> None:
    """Check a server with its defaults in place. ``written``: the backend in the file, whatever the command line sets."""
    problems, document, loc = context.problems, context.document, declared.loc
    own_config = bool(spec.option("config"))
    if spec.option("port") and not own_config:
        problems.error(
            document,
            (*loc, "port"),
            "'port' says where an own configuration listens in its container: there is no 'config'",
            "no 'port': the lab takes a free one; or address: host:port of a server that already runs",
            key=True,
        )
    if written.runs_already:
        if spec.address is None:
            problems.absent(
                document, loc, f"'address' is missing: an {written} server listens somewhere", "address: host:port"
            )
        return
    if spec.address is not None and context.overrides.backend is None:
        running = " or ".join(one.name for one in context.registry.backends.usable() if one.runs_already)
        problems.error(
            document,
            (*loc, "address"),
            f"'address' is for an {running} server",
            f"backend: {running} beside it",
            key=True,
        )
    if own_config:
        return
    for host in spec.hosts:
        _check_host(context, certificates, host.server, (*loc, "virtual_hosts", host.id))
    if spec.reject_handshake:
        return
    _check_host(context, certificates, spec, loc)


def _check_host(context: Context, certificates: Certificates, spec: ServerSpec, loc: Loc) -> None:
    problems, document = context.problems, context.document
    if spec.reject_handshake:
        return
    if spec.certificate is None:
        leaves = certificates.leaves()
        problems.absent(
            document,
            loc,
            "'certificate' is missing: " + (f"there are {len(leaves)} leaves" if leaves else "there is no leaf"),
            f"one of: {', '.join(leaves)}" if leaves else "leaves: with one for the server",
        )
    if not spec.trust and spec.client_auth in (ClientAuth.OPTIONAL, ClientAuth.REQUIRED):
        authorities = certificates.authorities()
        problems.absent(
            document,
            loc,
            f"'trust' is missing: client certificates are checked against it (client_auth: {spec.client_auth.value})",
            f"some of: {', '.join(authorities)}" if authorities else "ca: or authorities: in this file",
        )


def _outcomes(cases: Iterable[Case]) -> set[str]:
    return {
        str(matcher.value)
        for case in cases
        for check in case.expect.checks
        if check.path == "outcome"
        for matcher in check.alternatives
    }


def check_lists(
    context: Context,
    servers: Servers,
    connected: Mapping[str, Sequence[Case]],
    specs: Mapping[str, CertificateSpec],
    crls: Mapping[str, CrlSpec],
) -> None:
    """Report trusted roots without a CRL, where every level of a chain needs one: nobody below them is accepted."""
    for declared in servers.declared.values():
        cases = connected.get(declared.id, ())
        if Reason.NO_CRL in {
            str(one.value) for case in cases for check in case.expect.checks for one in check.alternatives
        }:
            continue  # that is what is tried
        for server in dict.fromkeys(case.server for case in cases):
            lists = [crls[id_] for id_ in server.crl if id_ in crls]
            if server.crl_check is not RevocationCheck.CHAIN or any(crl.file is not None for crl in lists):
                continue
            roots = [specs[id_] for id_ in server.trust if id_ in specs]
            for root in roots:
                if root.issuer is None and root.files is None and root.id not in {crl.issuer for crl in lists}:
                    context.problems.warning(
                        context.document,
                        declared.loc,
                        f"'{declared.id}' trusts '{root.id}' and has no CRL of it: whoever that certifies is refused (no-crl)",
                        f"crl: [{', '.join([*server.crl, root.id])}], or crl_check: none",
                        key=True,
                    )


def check_acceptance(
    context: Context, servers: Servers, planned: Sequence[Planned], connected: Mapping[str, Sequence[Case]]
) -> None:
    """Report servers that nobody connects to, that must not start, or that refuse everybody in the whole file.

    It is enough if a server that it is ``like`` accepts somebody: the two differ only in what is set anew.
    """
    problems, document = context.problems, context.document
    bases = {declared.model.like for declared in servers.declared.values()}
    bases |= {behind for declared in servers.declared.values() for _, behind in declared.model.upstreams or ()}
    bases |= {
        server.id
        for cases in connected.values()
        for case in cases
        if case.client is not None
        for _, server in case.client.location or ()
    }
    for declared in servers.declared.values():
        cases = connected.get(declared.id, ())
        if not cases:
            if declared.model.expect is None and declared.id not in bases and context.scenario.cases:
                problems.warning(document, declared.loc, f"no case connects to the server '{declared.id}'", key=True)
            continue
        accepted = Outcome.ACCEPTED in _outcomes(
            case for id_ in servers.family(declared.id) for case in connected.get(id_, ())
        )
        if Outcome.SERVER_REFUSED in _outcomes(cases) and not accepted:
            problems.warning(
                document,
                declared.loc,
                f"'{declared.id}' accepts nobody in this file, so that its refusals prove nothing",
                "a case that differs in one line and is accepted",
                key=True,
            )
    for one in planned:
        if one.server is not None and _never_starts(servers.declared[one.server]):
            problems.error(
                one.document, one.loc, f"the server '{one.server}' must not start, so that nobody can connect to it"
            )


class _Place(Struct, frozen=True):
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


def _named_in_steps(context: Context, certificates: Certificates) -> None:
    """Check the certificates that steps renew, or whose expiry they wait for."""
    for index, case in enumerate(context.scenario.cases or ()):
        for number, step in enumerate(case.steps or ()):
            if step.renew is not None:
                if certificates.get(step.renew) is None:
                    at: Loc = ("cases", context.case_index(index), "steps", number, "renew")
                    context.problems.unknown(context.document, at, "authority or leaf", step.renew, certificates.ids)
                else:
                    certificates.use(step.renew)
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
    """Check every description of a server or client, also those in cases and in the axes of a matrix."""
    _named_in_steps(context, certificates)
    for place in _places(context, servers, axes):
        _DescriptionCheck(context, certificates, crls, place).run()
        if isinstance(place.model, ServerDescription):
            responders.server(place.model, place.loc)
        else:
            for name, id_ in place.model.location or ():
                if id_ not in servers.declared:
                    loc = (*place.loc, "location", name)
                    context.problems.unknown(context.document, loc, "server", id_, servers.declared)


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
        for inside, sources in (model.files or {}).items():
            for source in sources:
                if isinstance(source, OwnFile):
                    self._file(source.path, "files", inside)
                else:
                    self._material(source, inside)
        for old, new in (model.substitutes or {}).items():
            if not old:
                self._error(("substitutes", old), "an empty text stands everywhere", "a text of the configuration")
            if new.endswith(".fingerprint"):
                self._id(material_id(new), "substitutes", old)
            else:
                self._error(
                    ("substitutes", old), "this is no fingerprint of the lab's material", "leaves.<id>.fingerprint"
                )
        if model.config is not None:
            self._file(model.config, "config")

    def _file(self, path: str, *loc: str | int) -> None:
        if (why := self._context.unreadable(self._context.document, path)) != "":
            self._error(loc, why, "a path relative to the scenario file")

    def _material(self, source: str, inside: str) -> None:
        id_, part = material_id(source), material_part(source)
        if part is None or not id_:
            begin, dot, end = source.rpartition(".")
            close = meant(end, MappedPart)
            self._context.problems.error(
                self._context.document,
                (*self._place.loc, "files", inside),
                "this is not a piece of the lab's material",
                "ca.certificate, leaves.<id>.key, … (certificate, chain, key, passphrase, crl), or {file: path}",
                f"{begin}.{close}" if dot and close and material_id(f"{begin}.{close}") else "",
            )
            return
        if part is MappedPart.CRL:
            self._crl(id_, "files", inside)
            return
        self._id(id_, "files", inside)
        merged = self._certificates.merged(id_)
        if part is MappedPart.PASSPHRASE and merged is not None and merged.passphrase is None:
            self._error(("files", inside), f"'{id_}' has no passphrase")
