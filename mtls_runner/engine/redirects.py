"""A request, and those that redirects lead to, at the servers of one plan."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.engine.lab import seen_by_server
from mtls_runner.engine.own_material import client_without
from mtls_runner.errors import FileUnusable
from mtls_runner.model.case import Case
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView, Observation, ServerView
from mtls_runner.model.port import RunningServer
from mtls_runner.tls.redirects import location

if TYPE_CHECKING:
    from mtls_runner.engine.lab import Lab

__all__ = ["followed"]


def followed(lab: Lab, case: Case, spec: ClientSpec, server: RunningServer, files: ServerSpec) -> Observation:
    """What came of them: the last request's outcome, with the others as evidence.

    Args:
        lab: that runs the case.
        case, spec, server, files: as for :meth:`~mtls_runner.engine.lab.Lab.observed`.
    """
    others = {name: (one, lab.server(one)) for name, one in spec.location or ()}
    client = lab.tool(spec.tool)
    sent = replace(spec, reached=tuple((name, running.address) for name, (_, running) in others.items()))
    with ExitStack() as stack:
        running = {server, *(one for _, one in others.values())}
        watches = {one: stack.enter_context(one.watch()) for one in sorted(running, key=lambda one: str(one.address))}
        try:
            made = client.follow(sent, server.address, lab.material, Deadline.after(spec.timeout))
        except FileUnusable as error:
            made = [(spec, client_without(spec, client.version(), error))]
        by_address = {one.address: (described, one) for described, one in others.values()}
        visited = [by_address.get(then.connect or server.address, (case.server, server)) for then, _ in made]
        known = {server.address, *by_address}
        told = [
            seen_by_server(watches[one], seen, replace(then, connect=None), one)
            if (then.connect or server.address) in known
            else None
            for (then, seen), (_, one) in zip(made, visited, strict=True)
        ]
    (then, seen), (described, last) = made[-1], visited[-1]
    files = files if described is case.server else described
    plain = replace(then, location=None, reached=())
    observation = lab.observed(replace(case, server=described), plain, last, (seen, told[-1]), files)
    passed = zip(made, told, strict=True)
    way = [_redirected(before, view) for (_, before), view in list(passed)[:-1]]
    if spec.certificate is not None and then.certificate is None:
        way.append(f"client ({seen.tool} {seen.tool_version}): it took its certificate along to no other host")
    return replace(observation, redirects=len(made) - 1, evidence=(*way, *observation.evidence))


def _redirected(seen: ClientView, told: ServerView | None) -> str:
    status = seen.response.status if seen.response is not None else None
    to = location(seen.response) if seen.response is not None else None
    who = f" (server: client verify {told.client_verify})" if told is not None and told.client_verify else ""
    return f"redirect: HTTP status {status} to {to}{who}"
