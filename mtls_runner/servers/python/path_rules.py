"""What an application demands on some of its paths, and the answer to who the client is."""

from __future__ import annotations

import hashlib
import json
import select
import ssl

import h11

from mtls_runner.deadlines import Deadline
from mtls_runner.model.case import Match
from mtls_runner.model.endpoint import ClientAuth, RefusalForm, Response
from mtls_runner.model.observation import Direction, HttpRequest
from mtls_runner.servers.python.connections import RecordedConnection
from mtls_runner.servers.python.virtual_hosts import Host, HostReplies
from mtls_runner.tls.http import Reply
from mtls_runner.tls.messages import subject
from mtls_runner.tls.sockets import CHUNK

__all__ = ["by_path"]

_FORBIDDEN = 403
_NOT_OFFERED = "EXTENSION_NOT_RECEIVED"


def by_path(
    tls: ssl.SSLSocket,
    http: h11.Connection,
    connection: RecordedConnection,
    host: Host,
    request: HttpRequest,
    deadline: Deadline,
) -> HostReplies:
    """What a request gets on a host that has such paths.

    Raises:
        OSError: from the socket: the certificate that was asked for is refused, or the client is gone.
        TimeoutError: it does not come.
    """
    wanted = host.spec.response_to(request.path)
    if wanted is None or not wanted.rules:
        return HostReplies(host.replies)
    why = ""
    if wanted.client_auth is not None and connection.peer is None:
        why = _ask(tls, http, connection, deadline)
        if wanted.client_auth is ClientAuth.REQUIRED and connection.peer is None:
            refusal = _refusal(host.spec.refusal)
            return HostReplies({None: Reply(refusal)}, why, refusal.status)
    if wanted.identity:
        headers = (*wanted.headers, ("Content-Type", "application/json"))
        return HostReplies({None: Reply(Response(wanted.status, headers, _identity(tls, connection)))})
    return HostReplies(host.replies)


def _ask(tls: ssl.SSLSocket, http: h11.Connection, connection: RecordedConnection, deadline: Deadline) -> str:
    """For the client's certificate, after the handshake (RFC 8446 §4.6.2); why there is none, or ``""``."""
    if connection.asks:
        return "the client sent no certificate when it was asked in the handshake"
    try:
        tls.verify_client_post_handshake()
    except ssl.SSLError as error:
        if error.reason != _NOT_OFFERED:
            raise
        return "the client takes no request for a certificate after the handshake (post_handshake_auth)"
    connection.asks = True
    before = _finished(connection)
    tls.setblocking(False)
    tls.do_handshake()  # sends the request
    while True:
        try:
            data = tls.recv(CHUNK)
            http.receive_data(data)  # the next request came before the certificate
            if not data:
                return "the client closed the connection when it was asked for a certificate"
        except ssl.SSLWantReadError:
            data = b""
        connection.peer = tls.getpeercert(binary_form=True)
        if connection.peer or _finished(connection) > before:
            break
        if not data and not select.select([tls], [], [], deadline.remaining())[0]:
            raise TimeoutError("the time limit passed")
    return "" if connection.peer else "the client sent no certificate when it was asked after the handshake"


def _finished(connection: RecordedConnection) -> int:
    messages = connection.transcript.messages()
    return sum(message.name == "Finished" and message.direction is Direction.RECEIVED for message in messages)


def _refusal(form: RefusalForm | None) -> Response:
    """As the server's author declares it, as far as that is one answer; otherwise 403."""
    body = b"403 A client certificate is required here\n"
    if form is None:
        return Response(_FORBIDDEN, body=body)
    status = next((int(str(way.value)) for way in form.status if way.kind is Match.EQUALS), _FORBIDDEN)
    headers = tuple(
        (name, str(way.value))
        for name, ways in form.headers
        for way in ways[:1]
        if way.kind in (Match.EQUALS, Match.CONTAINS)
    )
    said = next((str(way.value).encode() for way in form.body if way.kind in (Match.EQUALS, Match.CONTAINS)), body)
    return Response(status, headers, said)


def _identity(tls: ssl.SSLSocket, connection: RecordedConnection) -> bytes:
    """Serial and fingerprint as ``openssl x509 -serial -fingerprint -sha256`` has them, without colons."""
    who: dict[str, object] | None = None
    if connection.peer is not None:
        facts = tls.getpeercert() or {}
        who = {
            "subject": subject(connection.peer),
            "serial": facts.get("serialNumber"),
            "fingerprint": hashlib.sha256(connection.peer).hexdigest().upper(),
            "resumed": bool(connection.resumed),
        }
    return json.dumps(who).encode() + b"\n"
