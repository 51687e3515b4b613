"""Redirects that curl followed (``--location``): the way that it took, by its responses, and what it saw of each request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from mtls_runner.clients.curl.binary import Kept
from mtls_runner.clients.curl.outcome import CONNECT_FAILED, TOO_MANY_REDIRECTS, URL_MALFORMED, Written
from mtls_runner.clients.curl.trace import CurlTrace, Head, TraceReader
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ClientSpec
from mtls_runner.model.observation import ClientView, Direction, Phase
from mtls_runner.tls.redirects import LeadsNowhere, onward

__all__ = ["as_presented", "of_the_last", "passed", "way_taken"]


def way_taken(
    client: ClientSpec, address: Address, heads: Sequence[Head], own: Written
) -> tuple[list[ClientSpec], bool]:
    """The client as it is described at each of its requests; and whether it stayed there though it was redirected once more.

    Args:
        client: as it began.
        address: of its own server.
        heads: of all responses.
        own: what it wrote, which counts a redirect that leads nowhere, too.

    Raises:
        LabError: it went another way than these say.
    """
    way, nowhere = [client], False
    malformed = own.exit_code == URL_MALFORMED
    for head in heads[: own.redirects - malformed]:
        try:
            then = onward(way[-1], way[-1].connect or address, head.response(Kept(0)))
        except LeadsNowhere as error:
            then, nowhere = None, error.exit_code == own.exit_code
            if nowhere:
                break
        if then is None:
            raise LabError(f"curl followed a redirect that the lab does not see: {head.octets[:32]!r}")
        way.append(then)
    return way, nowhere or malformed or own.exit_code == TOO_MANY_REDIRECTS


def as_presented(way: Sequence[ClientSpec], traces: Sequence[CurlTrace]) -> list[ClientSpec]:
    """The same, without a certificate where curl was asked for one and sent none, though not at the first host, too.

    That it takes none along to another host (from 8.21 on) is seen by what it sends; one that fits nothing that the server
    asks for does not go to the first host either.

    Args:
        way: see :func:`way_taken`.
        traces: of the connection of each.
    """
    first, nothing = traces[0].transcript.chain(Direction.SENT), ()
    return [
        replace(one, certificate=None) if first != nothing == trace.transcript.chain(Direction.SENT) else one
        for one, trace in zip(way, traces, strict=True)
    ]


def of_the_last(
    own: Written, way: Sequence[ClientSpec], address: Address, reader: TraceReader, *, answered: bool, stayed: bool
) -> tuple[Written, CurlTrace]:
    """What curl wrote, and its trace, of the last request alone: its figures are in part of all of them.

    Args:
        own: what it wrote.
        way: see :func:`way_taken`.
        address: where the first request went.
        reader: of its trace.
        answered: whether the last request was.
        stayed: its exit says only why it did not go on.
    """
    trace = reader.found
    moved = len(way) > 1 and (way[-1].protocol, way[-1].connect) != (way[-2].protocol, way[-2].connect or address)
    if moved and reader.responses[len(way) - 2 : len(way) - 1] == [len(reader.connections) - 1]:
        trace = CurlTrace()  # it never came to a handshake there
    trace.answered = answered
    written = replace(
        own,
        exit_code=0 if stayed else own.exit_code,
        http_code=own.http_code if answered else 0,
        local_port=0 if own.exit_code == CONNECT_FAILED else own.local_port,
        handshake_took=1.0 if Direction.SENT in trace.finished else 0.0,
    )
    return written, trace


def passed(last: ClientView, heads: Sequence[Head], reader: TraceReader) -> Iterator[ClientView]:
    """Views of the requests before the last one: what was answered, and on which connection."""
    for number, (head, at) in enumerate(zip(heads, reader.responses, strict=False)):
        trace = reader.connections[at]
        # without messages of its own, the last request went on without TLS, on another connection
        here = at == len(reader.connections) - 1 and bool(last.messages)
        yield replace(
            trace.transcript.told_to(last),
            phase=Phase.DONE,
            problem=None,
            response=head.response(Kept(0)),
            error="",
            error_symbol="",
            timed_out=False,
            exit_code=None,
            certificate_requested=trace.requested,
            tls_version=trace.tls_version,
            cipher=trace.cipher,
            alpn=trace.alpn,
            resumed=trace.resumed,
            local_port=(last.local_port if here else None) or trace.local_port or None,
            request_number=reader.responses[: number + 1].count(at),
            stays_open=True,
            encrypted=True,
        )
