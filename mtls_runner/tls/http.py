"""HTTP/1.1 over a blocking socket, at both ends: h11 reads requests and writes everything."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Mapping
from functools import lru_cache

import h11

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Request, Response, decoded_path
from mtls_runner.model.observation import HttpRequest, HttpResponse, field_value
from mtls_runner.model.traits import ClientProtocol
from mtls_runner.tls.http_response import BODILESS, HttpError, ResponseReader
from mtls_runner.tls.sockets import CHUNK, limit, send_all

__all__ = ["PORTS", "Reply", "Upload", "ask", "host_header", "next_request", "reply", "upload"]

_AGENT = "mtls-run"
_TURN_SECONDS = 1.0
"""What may go out in a second goes out at its beginning, as with curl's ``--limit-rate``."""


PORTS = {ClientProtocol.HTTP: 80, ClientProtocol.HTTPS: 443}
"""Those that a URL need not say."""


def host_header(name: str, port: int, protocol: ClientProtocol) -> str:
    """The Host field's value (RFC 9110 §7.2)."""
    host = f"[{name}]" if ":" in name else name
    return host if port == PORTS.get(protocol) else f"{host}:{port}"


def _text(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in headers)


def _octets(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Field values as curl and nginx send them: the octets that were written, in UTF-8 (obs-text, RFC 9110 §5.5)."""
    return [(name.encode("ascii"), value.encode()) for name, value in headers]


def _receive(sock: socket.socket, connection: h11.Connection, deadline: Deadline) -> bytes:
    """What came; nothing: the other end closed."""
    limit(sock, deadline)
    data = sock.recv(CHUNK)
    connection.receive_data(data)
    return data


class Upload:
    """A head and the body behind it.

    Args:
        head, body: as they go over the wire.
        rate: bytes of the body a second; 0: as fast as they go.
    """

    __slots__ = ("_body", "_head", "_rate", "_taken", "stopped")

    def __init__(self, head: bytes, body: bytes, rate: int) -> None:
        self._head = head
        self._body = body
        self._rate = rate
        self._taken = 0
        self.stopped = False
        """The server did not want the rest: nothing else can follow on this connection."""

    @property
    def sent(self) -> int:
        """Bytes of the body that went out."""
        return max(0, self._taken - len(self._head))

    def send_head(self, sock: socket.socket, deadline: Deadline) -> None:
        """The head alone, of a client that waits to be told to go on.

        Raises:
            OSError: from the socket.
            TimeoutError: the deadline passed.
        """
        self._send(sock, self._head, deadline)

    def send(self, sock: socket.socket, reader: ResponseReader, deadline: Deadline) -> None:
        """What has not gone out yet. At a rate, the server is listened to: who refuses early is sent no more (RFC 9112 §9.5).

        Raises:
            OSError: from the socket (``ssl.SSLError`` when the server refuses by an alert).
            TimeoutError: the deadline passed.
        """
        rest = (self._head + self._body)[self._taken :]
        if not self._rate:
            self._send(sock, rest, deadline)
            return
        first = self._rate + max(0, len(self._head) - self._taken)
        while rest:
            turn = Deadline.after(_TURN_SECONDS)
            self._send(sock, rest[:first], deadline)
            rest, first = rest[first:], self._rate
            if rest and reader.refuses(turn, deadline):
                self.stopped = True
                return

    def _send(self, sock: socket.socket, data: bytes, deadline: Deadline) -> None:
        send_all(sock, data, deadline, self._count)

    def _count(self, octets: int) -> None:
        self._taken += octets


def upload(request: Request, host: str) -> Upload:
    """A request, ready to be sent.

    Args:
        request: what is asked for.
        host: the Host field's value.

    Raises:
        LabError: the request contradicts itself (a Content-Length that is not its body's).
    """
    return Upload(*_encoded(request, host), request.limit_rate)


def ask(
    sock: socket.socket,
    reader: ResponseReader,
    request: Request,
    going: Upload,
    deadline: Deadline,
    body_limit: int,
) -> HttpResponse:
    """Send a request and read the whole response.

    A server may answer, or refuse by an alert, and close before it has read the request: what it said is read all the same.
    With ``Expect: 100-continue`` it is given the body only when it wants it (RFC 9110 §10.1.1).

    Args:
        sock: connected.
        reader: of this connection.
        request: what is asked for.
        going: the same on its way.
        deadline: for everything.
        body_limit: bytes of the body that are kept; the rest is counted.

    Raises:
        HttpError: the response is cut short or not HTTP.
        OSError: from the socket (``ssl.SSLError`` when the server refuses by an alert after the handshake).
        TimeoutError: the deadline passed.
    """
    unsent: OSError | None = None
    try:
        wanted = True
        if request.body and (field_value(request.headers, "expect") or "").lower() == "100-continue":
            going.send_head(sock, deadline)
            wanted = reader.wants_body(deadline)
        if wanted:
            going.send(sock, reader, deadline)
        else:
            going.stopped = True
    except TimeoutError:
        raise
    except OSError as error:
        unsent = error
    try:
        upgrade = field_value(request.headers, "upgrade") is not None
        return reader.read(request.method, deadline, body_limit, upgrade=upgrade)
    except (ConnectionError, ssl.SSLEOFError) as error:
        raise unsent or error from None  # nothing was there to be read
    except HttpError as error:
        if unsent is not None and error.silent:
            raise unsent from None
        raise


@lru_cache(maxsize=64)  # h11 looks closely at each, and the same one is made many times
def _encoded(request: Request, host: str) -> tuple[bytes, bytes]:
    """Head and body as they go over the wire.

    Raises:
        LabError: the request contradicts itself.
    """
    connection = h11.Connection(h11.CLIENT)
    given = {name.lower() for name, _ in request.headers}
    headers = [("Host", host)] if "host" not in given else []
    headers += [(n, v) for n, v in (("User-Agent", _AGENT), ("Accept", "*/*")) if n.lower() not in given]
    headers += request.headers
    if request.body and not given & {"content-length", "transfer-encoding"}:
        headers.append(("Content-Length", str(len(request.body))))
    try:
        head = h11.Request(method=request.method, target=request.path, headers=_octets(headers))
        data = connection.send(head) or b""
        body = (connection.send(h11.Data(data=request.body)) or b"") if request.body else b""
        body += connection.send(h11.EndOfMessage()) or b""
    except h11.LocalProtocolError as error:
        raise LabError(
            "Python's client can't send this request: its head is no HTTP/1.1, or says another length than its body has"
        ) from error
    return data, body


class Reply:
    """A server's answer, encoded once and sent many times; ``by_path`` is what a server says for each path."""

    __slots__ = ("_body", "_headers", "_response")

    def __init__(self, response: Response) -> None:
        self._response = response
        self._body = b"" if response.status in BODILESS else response.body
        given = {name.lower() for name, _ in response.headers}
        headers = list(response.headers)
        if response.status not in BODILESS:
            if "content-type" not in given:
                headers.append(("Content-Type", "text/plain; charset=utf-8"))
            if "content-length" not in given:
                headers.append(("Content-Length", str(len(response.body))))
        self._headers = _octets(headers)

    @staticmethod
    def by_path(responses: tuple[Response, ...]) -> Mapping[str | None, Reply]:
        """Each path's reply; ``None`` is for every path not named."""
        replies = {response.path: Reply(response) for response in responses}
        replies.setdefault(None, Reply(Response(status=404)))
        return replies

    def encode(self, connection: h11.Connection, *, head: bool) -> bytes:
        """The bytes that answer the request that ``connection`` has just read."""
        data = connection.send(h11.Response(status_code=self._response.status, headers=self._headers)) or b""
        if self._body and not head:
            data += connection.send(h11.Data(data=self._body)) or b""
        return data + (connection.send(h11.EndOfMessage()) or b"")


def next_request(sock: socket.socket, connection: h11.Connection, deadline: Deadline) -> HttpRequest | None:
    """The next request on a kept-alive connection, its body read and dropped; ``None``: the client is done.

    Raises:
        HttpError: what came is not HTTP.
        OSError: from the socket.
    """
    request: HttpRequest | None = None
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    proceed = connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
                    send_all(sock, proceed, deadline)
                _receive(sock, connection, deadline)
            elif type(event) is h11.Request:
                request = HttpRequest(
                    event.method.decode("ascii"), event.target.decode("ascii"), _text(list(event.headers))
                )
            elif type(event) is h11.EndOfMessage:
                return request
            elif type(event) is h11.ConnectionClosed:
                return None
    except h11.RemoteProtocolError as error:
        raise HttpError("the request can't be read as HTTP/1.1") from error


def reply(
    sock: socket.socket,
    connection: h11.Connection,
    request: HttpRequest,
    replies: Mapping[str | None, Reply],
    deadline: Deadline,
) -> bool:
    """Answer a request; whether the connection can carry another one.

    Raises:
        HttpError: the answer contradicts itself (a Content-Length that is not its body's), or answers a CONNECT.
        OSError: from the socket.
    """
    answer = replies.get(decoded_path(request.path)) or replies[None]
    try:
        data = answer.encode(connection, head=request.method == "HEAD")
    except h11.LocalProtocolError as error:
        raise HttpError(
            "this response can't be sent: its head is no HTTP/1.1, says another length than its body has, or answers a CONNECT"
        ) from error
    send_all(sock, data, deadline)
    if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
        connection.start_next_cycle()
        return True
    return False
