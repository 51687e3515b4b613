"""Whether a case's material lives so briefly that it has to be dated when the case runs, and not when the run begins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mtls_runner.model.case import Case, Plan
from mtls_runner.model.certificate import Moment
from mtls_runner.model.client import ClientSpec
from mtls_runner.model.server import ServerSpec

__all__ = ["lives_briefly"]

_BRIEFLY = timedelta(hours=1)
"""A run may take as long: what begins or ends within it depends on how many cases went before, and on how many run at a time."""


def lives_briefly(case: Case, plan: Plan) -> bool:
    """Whether a certificate, CRL or OCSP response that it needs begins or ends within an hour, relative to the run."""
    return any(
        moment.absolute is None and timedelta(0) < moment.offset < _BRIEFLY
        for server, client in case.meetings()
        for moment in _moments(server, client, plan)
    )


def _moments(meant: ServerSpec, client: ClientSpec | None, plan: Plan) -> Iterator[Moment]:
    servers = (meant, *(host.server for host in meant.hosts))
    wanted = [id_ for server in servers for id_ in _of_server(server)]
    crls = [id_ for server in servers for id_ in server.crl]
    if client is not None:
        wanted += _of_client(client)
        crls += client.crl
    met: set[str] = set()
    while wanted:
        spec = plan.certificates.get(wanted.pop())
        if spec is None or spec.id in met or spec.files is not None:
            continue
        met.add(spec.id)
        wanted += [spec.issuer] if spec.issuer is not None else []
        yield from (spec.not_before, spec.not_after)
    for crl in filter(None, map(plan.crls.get, crls)):
        yield from (crl.this_update, crl.next_update)
    for server in servers:
        staple = server.stapling.file if server.stapling is not None else None
        for responder in filter(None, (*server.responders, staple)):
            yield from filter(None, (responder.this_update, responder.next_update))


def _of_server(server: ServerSpec) -> Iterator[str]:
    yield from filter(None, (server.certificate, *server.other_certificates))
    yield from (*server.trust, *(server.advertise or ()), *server.chain.ids)
    yield from (source.rpartition(".")[0] for _, source in server.files if not source.startswith("file:"))


def _of_client(client: ClientSpec) -> Iterator[str]:
    yield from filter(None, (client.certificate, client.key.id if client.key is not None else None))
    yield from (*client.trust, *client.chain.ids)
