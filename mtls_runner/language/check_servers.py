"""Servers as a whole: what is missing, what excludes each other, and refusals that prove nothing."""

from collections.abc import Iterable, Mapping, Sequence

from mtls_runner.language.certificates import Certificates
from mtls_runner.language.check_cases import Planned
from mtls_runner.language.context import Context
from mtls_runner.language.document import Loc
from mtls_runner.language.servers import Servers, WrittenServer, check_hosts
from mtls_runner.model.case import Case
from mtls_runner.model.observation import Outcome
from mtls_runner.model.server import ClientAuth, ServerSpec
from mtls_runner.model.traits import BackendTraits

__all__ = ["check_acceptance", "check_declared", "check_spec"]


def check_declared(context: Context, servers: Servers) -> None:
    """``server:`` against ``servers:``, ``like:``, and each one's own expectation."""
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
    if not scenario.cases and not any(_never_starts(declared) for declared in servers.declared.values()):
        problems.absent(
            document, (), "there are no cases", "cases:, or a server with expect: {starts: false, reason: …}"
        )


def _never_starts(declared: WrittenServer) -> bool:
    return declared.model.expect is not None and declared.model.expect.starts is False


def check_spec(
    context: Context, certificates: Certificates, declared: WrittenServer, spec: ServerSpec, written: BackendTraits
) -> None:
    """A server with its defaults in place. ``written`` is the backend that the file says, whatever the command line sets."""
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


def check_acceptance(
    context: Context, servers: Servers, planned: Sequence[Planned], connected: Mapping[str, Sequence[Case]]
) -> None:
    """Servers that nobody connects to, that must not start, or that refuse everybody in the whole file.

    What a server is ``like`` may do the accepting: the two differ in what the one gives anew.
    """
    problems, document = context.problems, context.document
    bases = {declared.model.like for declared in servers.declared.values()}
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
