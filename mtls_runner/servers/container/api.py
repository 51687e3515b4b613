"""The Engine API over HTTP/1.1, as far as the lab needs it (https://docs.docker.com/reference/api/engine/).

Importing the docker package takes longer than all that is said here; it is left what is seldom needed, contexts and pulls.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from mtls_runner.servers.container.answer import EngineAnswer, NoAnswer

if TYPE_CHECKING:
    import ssl

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

    ``OSError`` and :class:`NoAnswer` come as they are: see ``translated``.

    Args:
        base_url: as ``DOCKER_HOST``.
        tls: how to speak TLS with it; ``None``: plain.
        version: of the API.
        seconds: that each answer may take.
    """

    def __init__(self, base_url: str, tls: TLSConfig | None, version: str, seconds: float) -> None:
        scheme, separator, rest = base_url.rpartition("://")
        self._path = rest if scheme in ("unix", "http+unix") else ""
        url = urlsplit(base_url if separator else f"tcp://{rest}")
        self._host, self._port = url.hostname or "localhost", url.port or _PORTS[tls is not None]
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
        target = f"{self._prefix}{quote(path, safe='/:@')}" + (f"?{urlencode(query)}" if query else "")
        tar = isinstance(body, bytes)
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = f"Content-Type: application/{'x-tar' if tar else 'json'}\r\n" if content else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {len(content)}\r\n\r\n"
        sock = self._connected()
        try:
            sock.sendall(head.encode("ascii") + content)
        except BaseException:
            sock.close()
            raise
        return EngineRequest(sock)

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

    def _connected(self) -> socket.socket:
        if self._path:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(self._seconds)
        else:
            sock = socket.create_connection((self._host, self._port), self._seconds)
        try:
            if self._path:
                sock.connect(self._path)
            return sock if self._tls is None else _context(self._tls).wrap_socket(sock, server_hostname=self._host)
        except BaseException:
            sock.close()
            raise


def _context(tls: TLSConfig) -> ssl.SSLContext:
    import ssl  # mostly the engine is at a Unix socket

    context = ssl.create_default_context(cafile=tls.ca_cert)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    return context


_SETTLE_SECONDS = 15.0
"""In which an engine makes a container, or never answers."""


class EngineRequest:
    """A request that was sent.

    Args:
        sock: where its answer comes; from now on nobody else's.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._came = False

    def answer(self) -> Any:
        """Wait for it and read it.

        Raises:
            Refused: the engine says no.
        """
        with contextlib.closing(self._sock):
            came = EngineAnswer(self._sock)
            self._came = True
            with _granted(came) as answer:
                content = answer.body()
            return json.loads(content) if content and answer.is_json else content

    def output(self) -> Output:
        """Wait for its beginning.

        Raises:
            Refused: the engine says no.
        """
        try:
            answer = _granted(EngineAnswer(self._sock))
        except BaseException:
            self._sock.close()
            raise
        self._sock.settimeout(None)  # a program may be silent for as long as it likes
        return Output(self._sock, answer)

    def headers(self) -> Mapping[str, str]:
        """Wait for the answer; what stands above it, by names in lower case.

        Raises:
            Refused: the engine says no.
        """
        with contextlib.closing(self._sock), _granted(EngineAnswer(self._sock)) as answer:
            return answer.headers

    def settle(self) -> None:
        """Wait until the engine is done with it, whatever comes of it; nothing, where its answer came.

        A signal may have come in the middle of reading it, and taken it along: so the wait is short of a request's own.
        """
        if self._came:
            return
        with contextlib.suppress(Refused, OSError, NoAnswer):
            self._sock.settimeout(_SETTLE_SECONDS)
            self.answer()

    def forget(self) -> None:
        """Nobody will read the answer."""
        self._sock.close()


def _granted(answer: EngineAnswer) -> EngineAnswer:
    if answer.status < HTTPStatus.BAD_REQUEST:
        return answer
    with answer:
        content = answer.body()
    text = content.decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(content)["message"]) if answer.is_json else text
    raise Refused(answer.status, text)


class Output:
    """What a program writes, as ``(stdout, stderr)``, one of them ``None``; ends when the program does.

    Both come in one stream, in frames: a byte that says which, three zeros, the size in four bytes, the data.
    """

    def __init__(self, sock: socket.socket, answer: EngineAnswer) -> None:
        self._sock = sock
        self._answer = answer
        self._reading = threading.Lock()  # a file is not to be closed while another thread reads

    def __iter__(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        with contextlib.suppress(OSError, NoAnswer):  # as when it ends: who cares asks why
            while frame := self._frame():
                which, data = frame
                yield (None, data) if which == _STDERR else (data, None)

    def _frame(self) -> tuple[int, bytes] | None:
        with self._reading:
            header = self._answer.read(_FRAME.size)
            if len(header) < _FRAME.size:
                return None
            which, size = _FRAME.unpack(header)
            return which, self._answer.read(size)

    def close(self) -> None:
        """Whoever reads is at the end."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        with self._reading, self._answer:
            self._sock.close()
