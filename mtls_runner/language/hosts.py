"""Virtual hosts: what each one is, and what is wrong with their names."""

from collections.abc import Iterator

from mtls_runner.language.context import Context
from mtls_runner.language.document import Loc
from mtls_runner.language.endpoint import ServerDescription
from mtls_runner.language.endpoint import VirtualHostDescription as HostModel
from mtls_runner.language.merge import over, without
from mtls_runner.model.server import ServerSpec

__all__ = ["check_hosts", "host_server", "presented"]


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
