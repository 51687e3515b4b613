"""The servers of a file by id, their virtual hosts, and the one that a case connects to."""

from collections.abc import Iterator
from dataclasses import dataclass

from mtls_runner.language.context import Context
from mtls_runner.language.document import Loc
from mtls_runner.language.endpoint import ServerDescription
from mtls_runner.language.endpoint import VirtualHostDescription as HostModel
from mtls_runner.language.merge import over, without
from mtls_runner.language.scenario import CaseModel
from mtls_runner.model.server import ServerSpec

__all__ = ["Servers", "WrittenServer", "check_hosts", "host_server", "presented"]


@dataclass(frozen=True, slots=True)
class WrittenServer:
    """One description as written, and where."""

    id: str
    model: ServerDescription
    loc: Loc


class Servers:
    """``server:``, or ``servers:`` by id."""

    def __init__(self, context: Context) -> None:
        self._context = context
        scenario = context.scenario
        self.declared: dict[str, WrittenServer] = {}
        if scenario.server is not None:
            self.declared["server"] = WrittenServer("server", scenario.server, ("server",))
        for id_, model in (scenario.servers or {}).items():
            self.declared.setdefault(id_, WrittenServer(id_, model, ("servers", id_)))
        self._merged: dict[str, ServerDescription | None] = {}

    def merged(self, id_: str) -> ServerDescription | None:
        """The description with what it takes over, but never another's ``expect``; ``None`` where that leads nowhere."""
        if id_ not in self._merged:
            self._merged[id_] = None  # while it is open: a circle ends here
            declared = self.declared.get(id_)
            if declared is not None:
                self._merged[id_] = self._with_base(declared.model)
        return self._merged[id_]

    def _with_base(self, model: ServerDescription) -> ServerDescription | None:
        if model.like is None:
            defaults = self._context.lab.defaults.server
            return over(defaults, model) if defaults is not None else model
        base = self.merged(model.like)
        return over(base, model) if base is not None else None

    def family(self, id_: str) -> tuple[str, ...]:
        """It and those that it takes over from, nearest first; a circle is walked once."""
        found: dict[str, None] = {}
        at: str | None = id_
        while at is not None and at in self.declared and at not in found:
            found[at] = None
            at = self.declared[at].model.like
        return tuple(found)

    def in_circle(self, id_: str) -> bool:
        """Whether ``like:`` leads from it round in a circle."""
        return self.declared[self.family(id_)[-1]].model.like in self.family(id_)

    def of_case(self, case: CaseModel, loc: Loc) -> tuple[str, ServerDescription] | None:
        """Id and description; ``None``, with a problem, where the case doesn't say which."""
        problems, document = self._context.problems, self._context.document
        given = case.server
        id_ = given.like if given is not None else None
        if id_ is None:
            if not self.declared:
                problems.absent(document, (), "there is no server", "server:, or servers: by id")
            elif len(self.declared) > 1:
                names = f"one of: {', '.join(self.declared)}"
                problems.absent(document, loc, f"'server' is missing: there are {len(self.declared)} servers", names)
            if len(self.declared) != 1:
                return None
            (id_,) = self.declared
        if id_ not in self.declared:
            problems.unknown(document, (*loc, "server"), "server", id_, self.declared)
            return None
        base = self.merged(id_)
        if base is None:
            return None
        if given is None or given.model_fields_set <= {"like"}:
            return id_, base
        return id_, over(base, given)


def presented(server: ServerSpec) -> Iterator[str]:
    """Ids of the certificates that a server and its virtual hosts present."""
    for one in (server, *(host.server for host in server.hosts)):
        if one.certificate is not None:
            yield one.certificate
        yield from one.other_certificates


def host_server(server: ServerDescription, host: HostModel) -> ServerDescription:
    """A virtual host as a server: what it says itself over what its server does."""
    of_server = {"virtual_hosts", "names", "reject_handshake", "expect", "like"}
    if host.certificate is not None:
        of_server |= {"passphrase", "other_certificates", "chain"}
    given = host.model_fields_set - {"names"}
    own = ServerDescription.model_construct(given, **{name: getattr(host, name) for name in given})
    return over(without(server, of_server), own)


def check_hosts(context: Context, server: ServerDescription, loc: Loc) -> None:
    """Names that two hosts have, and hosts beside what leaves no place for them."""
    problems, document = context.problems, context.document
    if server.virtual_hosts is None:
        if server.names:
            problems.error(
                document, (*loc, "names"), "'names' tells a server from its virtual hosts: there are none", key=True
            )
        return
    if server.config is not None:
        problems.error(
            document, (*loc, "virtual_hosts"), "'virtual_hosts' has no meaning beside an own configuration", key=True
        )
    taken = dict.fromkeys(server.names or (), "the server itself")
    for id_, host in server.virtual_hosts.items():
        for index, name in enumerate(host.names or [id_.lower()]):
            owner = taken.setdefault(name, f"'{id_}'")
            if owner != f"'{id_}'":
                place = (*loc, "virtual_hosts", id_, *(("names", index) if host.names else ()))
                problems.error(document, place, f"{owner} has this name already", key=not host.names)
