"""Reads HTTP/1.1 responses off a connection, as forgiving as curl, with a limit for everything that could go on without end.

Source: RFC 9112, and where it leaves the client a choice curl's ``lib/http.c`` and ``lib/http_chunks.c``.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from functools import lru_cache

from mtls_runner.deadlines import Deadline
from mtls_runner.model.observation import HttpResponse
from mtls_runner.tls.sockets import CHUNK, arrived, limit, was_reset

__all__ = ["BODILESS", "END_OF_HEAD", "LONGEST_HEAD", "HttpError", "ResponseReader"]

LONGEST_HEAD = 300 * 1024
"""Bytes of a response's head, interim responses and trailers included: curl's ``MAX_HTTP_RESP_HEADER_SIZE``."""
_SHOWN = 32
_MOST_DIGITS = 16
"""Hexadecimal digits of a chunk's size: 64 bits."""
_MOST_LENGTH = 1 << 63
_PREFIX = b"HTTP/1."
_CONTINUE = (b"HTTP/1.1 100", b"HTTP/1.0 100")
_CONTINUE_SECONDS = 1.0
"""curl's ``--expect100-timeout``."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] +([1-9][0-9]{2})(?: .*)?")
_OBJECTION = re.compile(rb"(?:HTTP/1\.[01] +1[0-9]{2}[^0-9].*?\n\r?\n)*HTTP/1\.[01] +[3-9][0-9]{2}", re.DOTALL)
"""A final status of 300 or more, behind interim responses."""
END_OF_HEAD = re.compile(rb"\n\r?\n")
_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;.*)?")
BODILESS = frozenset((204, 304))
"""Statuses whose responses have no body (RFC 9110 §6.4.1)."""
_SWITCHING = 101
_Fields = tuple[tuple[str, str], ...]


class HttpError(Exception):
    """The other end broke the connection or the protocol.

    Args:
        message: how, in words of our own.
        partial: what had arrived of the response, if its head had.
        ended: it closed the connection; otherwise what it sent is not HTTP.
        silent: it closed without a byte of a message.
    """

    def __init__(
        self, message: str, *, partial: HttpResponse | None = None, ended: bool = False, silent: bool = False
    ) -> None:
        self.partial = partial
        self.ended = ended
        self.silent = silent
        super().__init__(message)


class _Ended(Exception):
    """The other end closed the connection where more should have come."""


class ResponseReader:
    """Reads the responses of one connection; bytes after a response are kept for the next one.

    Args:
        sock: connected.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._deadline = Deadline(0)
        self._head = 0

    def ended(self) -> bool:
        """Whether the other end has closed the connection already, so that another request makes no sense.

        Raises:
            OSError: from the socket; a reset, for one.
        """
        data = arrived(self._sock)
        self._buffer += data or b""
        return data == b""

    def wants_body(self, deadline: Deadline) -> bool:
        """Whether to send the body of a request with ``Expect: 100-continue``: the server answers 100, or stays silent for as
        long as curl waits.

        Raises:
            OSError: from the socket.
            TimeoutError: the deadline passed.
        """
        self._deadline = deadline.within(_CONTINUE_SECONDS)
        try:
            while b"\n" not in self._buffer:
                self._more()
        except TimeoutError:
            if deadline.passed:
                raise
            return True
        except _Ended:
            return False
        return self._buffer.startswith(_CONTINUE)

    def refuses(self, turn: Deadline, deadline: Deadline) -> bool:
        """Listen until ``turn`` has passed; whether the server does not want the rest of the request: it has closed, or begun to
        answer with a status of 300 or more (of others curl thinks likewise, ``Curl_http_readwrite_headers``).

        Raises:
            OSError: from the socket.
            TimeoutError: ``deadline`` has passed.
        """
        self._deadline = deadline
        while not turn.passed:
            if len(self._buffer) > LONGEST_HEAD or _OBJECTION.match(self._buffer) is not None:
                return True
            try:
                self._more(turn)
            except TimeoutError:
                deadline.check("sending the request")
            except _Ended:
                return True
        return False

    def read(self, method: str, deadline: Deadline, body_limit: int, *, upgrade: bool = False) -> HttpResponse:
        """The next response, whole.

        Args:
            method: of its request.
            deadline: for all of it.
            body_limit: bytes of its body that are kept; the rest is counted.
            upgrade: the request offered another protocol, so that 101 is a response to it.

        Raises:
            HttpError: it is cut short, or is not HTTP/1.1.
            OSError: from the socket.
            TimeoutError: the deadline passed.
        """
        self._deadline, self._head = deadline, 0
        response: HttpResponse | None = None
        body, size = bytearray(), 0
        try:
            status, fields = self._final_head(upgrade=upgrade)
            response = HttpResponse(status, fields)
            if method == "HEAD" or status in BODILESS or status == _SWITCHING:
                return response
            for data in self._body(fields):
                size += len(data)
                body += data[: body_limit - len(body)]
            return HttpResponse(status, fields, bytes(body), size)
        except (_Ended, HttpError) as error:
            if response is not None:
                response = HttpResponse(response.status, response.headers, bytes(body), size)
            if isinstance(error, HttpError):
                error.partial = response
                raise
            if not self._head and not self._buffer:
                raise HttpError(
                    "the server closed the connection without a response", ended=True, silent=True
                ) from None
            within = "head" if response is None else "body"
            raise HttpError(
                f"the server closed the connection within the {within} of its response", partial=response, ended=True
            ) from None

    # --- bytes ---

    def _more(self, turn: Deadline | None = None) -> None:
        """Wait for more bytes, no longer than until ``turn``.

        Raises:
            _Ended: no more will come.
        """
        limit(self._sock, self._deadline)
        if turn is not None:
            self._sock.settimeout(max(turn.within(self._deadline.remaining()).remaining(), 0.001))
        data = self._sock.recv(CHUNK)
        if not data:
            if was_reset(self._sock):
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            raise _Ended
        self._buffer += data

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _lines(self) -> Iterator[bytes]:
        """The lines of a head, as they arrive."""
        while True:
            searched = 0
            while (end := self._buffer.find(b"\n", searched)) < 0:
                searched = len(self._buffer)
                if self._head + searched > LONGEST_HEAD:
                    raise _too_long()
                self._more()
            yield self._of_head(end + 1)

    def _of_head(self, count: int) -> bytes:
        self._head += count
        if self._head > LONGEST_HEAD:
            raise _too_long()
        return self._take(count)

    # --- head ---

    def _final_head(self, *, upgrade: bool) -> tuple[int, _Fields]:
        """Status and fields of the final response, behind interim ones (RFC 9110 §15.2)."""
        while True:
            while not self._buffer.startswith(_PREFIX):
                if not _PREFIX.startswith(bytes(self._buffer)):
                    shown = bytes(self._buffer[:_SHOWN])
                    raise HttpError(f"the answer does not begin as HTTP/1.1 does, but with {shown!r}")
                self._more()
            whole = END_OF_HEAD.search(self._buffer)
            if whole is not None:
                status, fields = _whole_head(self._of_head(whole.end()))
            else:
                status, fields = _head(self._lines())
            if status == _SWITCHING and not upgrade:
                raise HttpError("the server switches to another protocol (101), which nobody offered")
            if status >= 200 or status == _SWITCHING:
                return status, fields

    # --- body ---

    def _body(self, fields: _Fields) -> Iterator[bytes]:
        """The body, by the length that the head tells (RFC 9112 §6.3)."""
        codings = [
            one.strip().lower() for name, value in fields if name == "transfer-encoding" for one in value.split(",")
        ]
        unknown = [one for one in codings if one not in ("chunked", "identity", "")]
        if unknown:
            raise HttpError(f"the response's transfer coding {unknown[0]!r} is none that was offered")
        if "chunked" in codings:
            return self._chunks()
        length = None
        for name, value in fields:
            if name == "content-length":
                if not (value.isascii() and value.isdecimal()):
                    raise HttpError(f"the response's Content-Length is {value[:_SHOWN]!r}")
                length = int(value.lstrip("0")[: len(str(_MOST_LENGTH)) + 1] or "0")
        if length is None or length >= _MOST_LENGTH:  # curl ignores a length that no file can have
            return self._rest()
        return self._bytes(length)

    def _bytes(self, count: int) -> Iterator[bytes]:
        while count:
            if not self._buffer:
                self._more()
            data = self._take(count)
            count -= len(data)
            yield data

    def _rest(self) -> Iterator[bytes]:
        try:
            while True:
                yield self._take(len(self._buffer))
                self._more()
        except _Ended:
            return

    def _chunks(self) -> Iterator[bytes]:
        """The body that comes in chunks (RFC 9112 §7.1)."""
        while size := self._chunk_size():
            yield from self._bytes(size)
            while b"\n" not in self._buffer[:2] and len(self._buffer) < 2:
                self._more()
            if not self._buffer.startswith((b"\r\n", b"\n")):
                raise HttpError(f"a chunk of the response's body is longer than the {size} bytes that it says")
            self._take(self._buffer.index(b"\n") + 1)
        for _ in _fields(self._lines()):  # trailers
            pass

    def _chunk_size(self) -> int:
        while (end := self._buffer.find(b"\n")) < 0:
            del self._buffer[CHUNK:]  # a chunk extension, which is ignored
            self._more()
        line = self._take(end + 1)[:-1].removesuffix(b"\r")
        match = _SIZE.fullmatch(line)
        if match is None or len(match[1].lstrip(b"0")) > _MOST_DIGITS:
            raise HttpError(f"a chunk of the response's body begins with {line[:_SHOWN]!r} where its size should be")
        return int(match[1], 16)


@lru_cache(maxsize=4)  # a server answers the same over and over
def _whole_head(head: bytes) -> tuple[int, _Fields]:
    return _head(iter(head.split(b"\n")))


def _head(lines: Iterator[bytes]) -> tuple[int, _Fields]:
    """Status and fields of the lines up to the empty one.

    Raises:
        HttpError: they are no head of HTTP/1.1; raised at the first line that says so.
    """
    line = _unbroken(next(lines))
    match = _STATUS_LINE.fullmatch(line)
    if match is None or b"\0" in line:
        raise HttpError(f"{line[:_SHOWN]!r} is not a status line of HTTP/1.1")
    return int(match[1]), tuple(_fields(lines))


def _fields(lines: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    name, value = "", ""
    while line := _unbroken(next(lines)):
        if b"\0" in line:
            raise HttpError(f"a NUL in the head of the response: {line[:_SHOWN]!r}")
        if line[:1] in (b" ", b"\t") and name:
            value = f"{value} {_text(line)}"  # obs-fold, RFC 9112 §5.2
            continue
        if name:
            yield name, value
        before, colon, after = line.partition(b":")
        if not colon:
            raise HttpError(f"a line without a colon in the head of the response: {line[:_SHOWN]!r}")
        name, value = _text(before).lower(), _text(after)
    if name:
        yield name, value


def _unbroken(line: bytes) -> bytes:
    """The line without its line break, which may lack the carriage return (RFC 9112 §2.2)."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _text(octets: bytes) -> str:
    return octets.strip(b" \t").decode("latin-1")


def _too_long() -> HttpError:
    return HttpError(f"the head of the response is longer than {LONGEST_HEAD} bytes")
