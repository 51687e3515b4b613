"""The Engine API over HTTP/1.1, as far as the lab needs it (https://docs.docker.com/reference/api/engine/).

Importing the docker package takes longer than all that is said here; it is left what is seldom needed, contexts and pulls.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from docker.tls import TLSConfig

__all__ = ["REMOVAL_SECONDS", "EngineApi", "EngineRequest", "Output", "Refused", "is_missing"]

REMOVAL_SECONDS = 30.0
"""How long the engine may take to end a container and its log."""

_PORTS = {False: 2375, True: 2376}
"""The engine's, without TLS and with it (IANA's registry of service names)."""
_FRAME = struct.Struct(">BxxxL")
_STDERR = 2


class Refused(Exception):
    """The engine answered with an error status.

    Args:
        status: of HTTP.
        message: the engine's own.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def is_missing(refused: Refused) -> bool:
    """Whether what was asked for is not there."""
    return refused.status == HTTPStatus.NOT_FOUND


class EngineApi:
    """Asks an engine; every request has a connection of its own, so that threads may share this.

    ``OSError`` and ``http.client.HTTPException`` come as they are: see ``translated``.

    Args:
        base_url: as ``DOCKER_HOST``.
        tls: how to speak TLS with it; ``None``: plain.
        version: of the API.
        seconds: that each answer may take.
    """

    def __init__(self, base_url: str, tls: TLSConfig | None, version: str, seconds: float) -> None:
        self._base_url = base_url
        self._tls = tls
        self._prefix = f"/v{version}" if version else ""
        self._seconds = seconds

    def ask(self, method: str, path: str, body: object = None, /, **query: object) -> EngineRequest:
        """Send a request; its answer can be read later.

        Args:
            method, path: the path without the version.
            body: a tar archive, or what is sent as JSON.
            query: of the URL.
        """
        connection = self._connection()
        target = f"{self._prefix}{quote(path, safe='/:@')}" + (f"?{urlencode(query)}" if query else "")
        tar = isinstance(body, bytes)
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"Content-Type": "application/x-tar" if tar else "application/json"} if content is not None else {}
        try:
            connection.request(method, target, content, kind)
        except BaseException:
            connection.close()
            raise
        return EngineRequest(connection)

    def call(self, method: str, path: str, body: object = None, /, **query: object) -> Any:
        """Ask, and read the answer: JSON; bytes of anything else.

        Raises:
            Refused: the engine says no.
        """
        return self.ask(method, path, body, **query).answer()

    def follow(self, path: str, body: object = None, /, **query: object) -> Output:
        """``POST``, and then read what a container's program writes, for as long as it does.

        Raises:
            Refused: the engine says no.
        """
        return self.ask("POST", path, body, **query).output()

    def unpack(self, container: str, tar: bytes) -> None:
        """A tar, into a container's root.

        Raises:
            Refused: the engine says no.
        """
        self.call("PUT", f"/containers/{container}/archive", tar, path="/")

    def _connection(self) -> http.client.HTTPConnection:
        scheme, separator, rest = self._base_url.rpartition("://")
        if scheme in ("unix", "http+unix"):
            return _UnixConnection(rest, self._seconds)
        url = urlsplit(self._base_url if separator else f"tcp://{rest}")
        host, port = url.hostname or "localhost", url.port or _PORTS[self._tls is not None]
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=self._seconds)
        return http.client.HTTPSConnection(host, port, timeout=self._seconds, context=_context(self._tls))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """To the socket at that path."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _context(tls: TLSConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_cert)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    return context


class EngineRequest:
    """A request that was sent."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def answer(self) -> Any:
        """Wait for it and read it.

        Raises:
            Refused: the engine says no.
        """
        with contextlib.closing(self._connection), self._response() as response:
            content = response.read()
            return json.loads(content) if content and _is_json(response) else content

    def output(self) -> Output:
        """Wait for its beginning.

        Raises:
            Refused: the engine says no.
        """
        stream = self._connection.sock
        try:
            response = self._response()
        except BaseException:
            self._connection.close()
            raise
        stream.settimeout(None)  # a program may be silent for as long as it likes
        return Output(self._connection, stream, response)

    def headers(self) -> http.client.HTTPMessage:
        """Wait for the answer; what stands above it.

        Raises:
            Refused: the engine says no.
        """
        with contextlib.closing(self._connection), self._response() as response:
            return response.headers

    def settle(self) -> None:
        """Wait until the engine is done with it, whatever comes of it; nothing, where the answer was read."""
        with contextlib.suppress(Refused, OSError, http.client.HTTPException):
            self.answer()

    def forget(self) -> None:
        """Nobody will read the answer."""
        self._connection.close()

    def _response(self) -> http.client.HTTPResponse:
        response = self._connection.getresponse()
        if response.status < HTTPStatus.BAD_REQUEST:
            return response
        with response:
            content = response.read()
        text = content.decode("utf-8", "replace").strip()
        with contextlib.suppress(ValueError, KeyError, TypeError):
            text = str(json.loads(content)["message"]) if _is_json(response) else text
        raise Refused(response.status, text)


def _is_json(response: http.client.HTTPResponse) -> bool:
    return response.headers.get_content_type() == "application/json"


class Output:
    """What a program writes, as ``(stdout, stderr)``, one of them ``None``; ends when the program does.

    Both come in one stream, in frames: a byte that says which, three zeros, the size in four bytes, the data.
    """

    def __init__(
        self, connection: http.client.HTTPConnection, stream: socket.socket, response: http.client.HTTPResponse
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._response = response
        self._reading = threading.Lock()  # http.client's responses are not to be closed while another thread reads

    def __iter__(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        with contextlib.suppress(OSError, http.client.HTTPException):  # as when it ends: who cares asks why
            while frame := self._frame():
                which, data = frame
                yield (None, data) if which == _STDERR else (data, None)

    def _frame(self) -> tuple[int, bytes] | None:
        with self._reading:
            header = self._response.read(_FRAME.size)
            if len(header) < _FRAME.size:
                return None
            which, size = _FRAME.unpack(header)
            return which, self._response.read(size)

    def close(self) -> None:
        """Whoever reads is at the end."""
        with contextlib.suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        with self._reading:
            self._response.close()
            self._connection.close()
