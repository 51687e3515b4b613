"""Both handshakes of one case, as a reader of ``curl -v`` knows it: ``>`` sent, ``<`` received, ``*`` told.

In order of time, as far as a message or its place in the exchange tells it: the request stands before the alert that
ended it, and an answer before those that close the connection.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mtls_runner.errors import without_warnings
from mtls_runner.model.case import Case
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import (
    ClientView,
    Direction,
    HttpRequest,
    Message,
    Observation,
    Phase,
    ServerView,
    readable,
)
from mtls_runner.reporters import Piece, Style, one_line, visible
from mtls_runner.snippet import MASK, is_secret
from mtls_runner.tls.messages import issuer, subject

__all__ = ["server_lines", "transcript"]

_MOST_BODY = 4096
"""Characters of a body that are shown."""
_PHASES = {
    Phase.PREPARE: "ended before it connected",
    Phase.CONNECT: "ended while it connected",
    Phase.HANDSHAKE: "ended during the handshake",
    Phase.REQUEST: "ended after its own handshake, before any answer",
    Phase.RESPONSE: "ended within the answer",
    Phase.DONE: "got a whole answer",
}
_ARROWS = {Direction.SENT: ">", Direction.RECEIVED: "<"}


def transcript(case: Case, seen: Observation) -> Iterator[Piece]:
    """Lines without indentation: the client's view, then the server's. What ended it stands out most, what is only told least."""
    if seen.client is not None:
        yield from _client(case, seen.client, seen)
    if seen.server is not None:
        yield from server_lines(seen.server)
    elif seen.client is not None:
        yield "server: not observed", Style.STRONG


def _client(case: Case, client: ClientView, seen: Observation) -> Iterator[Piece]:
    yield one_line(f"client: {client.tool} {client.tool_version}"), Style.STRONG
    if client.command:
        yield _note(client.command)
    if client.local_port is not None:
        yield _note(f"connected from port {client.local_port}")
    told = {
        (Direction.RECEIVED, "Certificate"): list(
            _certificates("server certificate", client.received_chain, seen.server_chain)
        ),
        (Direction.RECEIVED, "CertificateRequest"): list(_asked_for(client)),
        (Direction.SENT, "Certificate"): list(
            _certificates("client certificate", client.sent_chain, seen.client_chain)
        ),
    }
    before, after = _around_the_handshake(client.messages)
    yield from _with_notes(before, told)
    if client.tls_version is not None:
        yield _note(_negotiated(client.tls_version, client.cipher, client.alpn, resumed=client.resumed))
    for notes in told.values():  # of messages that were not seen, or seen no more
        yield from notes
    if client.verify_code is not None:
        but = ", but the name does not match" if client.name_mismatch else ""
        yield _note(f"verify result {client.verify_code}{but}")
    if seen.server is not None and seen.server.request is not None:
        yield from _request(seen.server.request, ">")
    elif case.client is not None and client.shaken:
        yield from _said_by(case.client)
    late = list(itertools.takewhile(lambda message: message.alert, reversed(after))) if client.answered else []
    yield from _messages(after[: len(after) - len(late)])
    if not client.messages:
        yield from (_alert(alert.direction, alert.name, f"{alert.code}") for alert in client.alerts)
    if client.response is not None:
        yield _wire("<", f"HTTP status {client.response.status}")
        yield from _fields(client.response.headers, "<")
        yield _wire("<")
        yield from _body(client.response.body)
    if client.received:
        yield from _body(client.received)
    yield from _messages(late[::-1])  # with which it closes the connection, or the server does
    if client.timed_out:
        yield _note(f"the time limit passed ({client.phase})")
    if client.error:
        yield _note(_said(client.error, client.error_symbol))
    ended = _PHASES[client.phase]
    if client.phase is Phase.DONE and not client.answered:
        ended = "done"
    if client.exit_code is not None:
        own = case.client is not None and case.client.tool.own_exit_code
        ended += f"; {'curl exit' if own else 'curl would exit with'} {client.exit_code}"
    yield _note(ended)


def _said_by(client: ClientSpec) -> Iterator[Piece]:
    """What it asks for, or sends, where nobody else tells."""
    if client.protocol.asks:
        request = client.request
        yield from _request(HttpRequest(request.method, request.path, request.headers), ">")
    elif client.send:
        yield _wire(">", client.says)


def server_lines(server: ServerView) -> Iterator[Piece]:
    """What a server saw of one connection, in order of time, without indentation."""
    yield one_line(f"server: {server.source}"), Style.STRONG
    name = [_note(f"asked for by the name {server.server_name}")] if server.server_name is not None else []
    told = {(Direction.RECEIVED, "ClientHello"): name}
    before, after = _around_the_handshake(server.messages)
    yield from _with_notes(before, told)
    for notes in told.values():
        yield from notes
    if server.tls_version is not None:
        yield _note(_negotiated(server.tls_version, server.cipher, None, resumed=server.resumed))
    if server.handshake_complete is not None:
        yield _note("handshake " + ("complete" if server.handshake_complete else "not complete"))
    if server.client_subject is not None:
        yield _note(f"client certificate: {server.client_subject}")
    if server.client_verify is not None:
        yield _note(f"client verification: {server.client_verify}")
    if server.verify_code is not None:
        yield _note(f"verify result {server.verify_code}")
    if server.request is not None:
        yield from _request(server.request, "<")
    if server.upstream_request is not None:
        yield _note("forwarded")
        yield from _request(server.upstream_request, ">")
    yield from _messages(after)
    if not server.messages:
        yield from (_alert(alert.direction, alert.name, f"{alert.code}") for alert in server.alerts)
    if server.refused_status is not None:
        yield _note(f"refused the client by HTTP status {server.refused_status}")
    if server.error:
        yield _note(_said(server.error, server.error_symbol))
    yield from (_note(f"log: {line}") for line in server.log)


def _note(text: str) -> Piece:
    """What is only told."""
    return one_line(f"* {text}"), Style.DIM


def _wire(arrow: str, text: str = "") -> Piece:
    """What went over the wire."""
    return one_line(f"{arrow} {text}".rstrip()), Style.TEXT


def _alert(direction: Direction, name: str, more: str) -> Piece:
    """Which may be what ended it."""
    text = one_line(f"{_ARROWS[direction]} alert {name} ({more})")
    return text, Style.TEXT if name == "close_notify" else Style.FAIL


def _said(error: str, symbol: str) -> str:
    return error if not symbol or symbol in error else f"{error} ({symbol})"


def _asked_for(client: ClientView) -> Iterator[Piece]:
    if client.certificate_requested is not None:
        yield _note(
            "the server asked for a certificate" if client.certificate_requested else "no certificate asked for"
        )
    if client.ca_names:
        yield _note("  issued by one of: " + ", ".join(client.ca_names))


def _around_the_handshake(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """Up to the last Finished, and what came when the request was under way; of one that failed, the alerts at its end."""
    finished = [number for number, message in enumerate(messages) if message.name == "Finished"]
    end = finished[-1] + 1 if len(finished) > 1 else len(messages)
    if end == len(messages):
        while end and messages[end - 1].alert:
            end -= 1
    return messages[:end], messages[end:]


def _with_notes(messages: Sequence[Message], notes: dict[tuple[Direction, str], list[Piece]]) -> Iterator[Piece]:
    """Each message, and behind the first of its kind what is known of it, which is then told."""
    for message in messages:
        yield from _messages((message,))
        if not message.alert:
            # RFC 8879 §4: one stands for the other
            yield from notes.pop((message.direction, message.name.removeprefix("Compressed")), ())


def _messages(messages: Sequence[Message]) -> Iterator[Piece]:
    for message in messages:
        size = f"{message.size} bytes"
        if message.alert:
            yield _alert(message.direction, message.name, size)
        else:
            yield _wire(_ARROWS[message.direction], f"{message.name} ({size})")


def _negotiated(version: str, cipher: str | None, alpn: str | None, *, resumed: bool | None) -> str:
    parts = [version, *([cipher] if cipher is not None else []), *([f"ALPN {alpn}"] if alpn is not None else [])]
    return ", ".join([*parts, *(["session resumed"] if resumed else [])])


def _request(request: HttpRequest, arrow: str) -> Iterator[Piece]:
    yield _wire(arrow, f"{request.method} {request.path}")
    yield from _fields(request.headers, arrow)
    yield _wire(arrow)


def _fields(headers: Sequence[tuple[str, str]], arrow: str) -> Iterator[Piece]:
    for name, value in readable(headers):
        yield _wire(arrow, f"{name}: {MASK if is_secret(name) else value}")


def _body(body: bytes) -> Iterator[Piece]:
    text = visible(body.decode("utf-8", "backslashreplace"))
    yield from ((line, Style.TEXT) for line in text[:_MOST_BODY].splitlines())
    if len(text) > _MOST_BODY:
        yield _note(f"… {len(body)} bytes in all")


def _certificates(title: str, chain: Sequence[bytes] | None, names: Sequence[str] | None) -> Iterator[Piece]:
    """Subject, issuer and validity of each certificate that went over the wire, in that order."""
    if chain is None:
        return
    if not chain:
        yield _note(f"{title}: an empty Certificate message")
    for number, der in enumerate(chain):
        known = f" [{names[number]}]" if names is not None and number < len(names) else ""
        yield _note(f"{title if number == 0 else 'then its issuer'}{known}")
        yield from (_note(f"  {line}") for line in _described(der))


def _described(der: bytes) -> Iterator[str]:
    from cryptography import x509

    try:
        with without_warnings():
            certificate = x509.load_der_x509_certificate(der)
            begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        yield f"subject: {subject(der) or '(empty)'}"
        yield f"issuer:  {issuer(der) or '(empty)'}"
        yield f"valid:   {_moment(begins)} to {_moment(ends)}"
    except ValueError as error:
        yield f"unreadable, {len(der)} bytes: {error}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
