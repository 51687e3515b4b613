"""What a container engine answers, as HTTP/1.1 has it (RFC 9112). ``http.client`` would load all that mail needs for it."""

from __future__ import annotations

import socket
from types import TracebackType

__all__ = ["EngineAnswer", "NoAnswer"]

_LONGEST_LINE = 1 << 16
_CONTINUE = 100
_BODILESS = frozenset((204, 304))
_CLOSED = "it has closed the connection before the end of its answer"


class NoAnswer(Exception):
    """What came is not HTTP/1.1, or not all of an answer."""


class EngineAnswer:
    """The answer to a request that was sent: a context manager, at whose end nobody reads any more.

    Args:
        sock: where it comes; for the caller to close.

    Raises:
        NoAnswer: it is none.
        OSError: from the socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb")
        try:
            self.status, self.headers = self._head()
            while self.status == _CONTINUE:
                self.status, self.headers = self._head()
            self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
            self._left = self._length()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> EngineAnswer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def is_json(self) -> bool:
        """Whether the body is."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"

    def read(self, size: int) -> bytes:
        """So many bytes of the body; fewer only at its end.

        Raises:
            NoAnswer: it ends too early.
            OSError: from the socket.
        """
        found = bytearray()
        while len(found) < size:
            if self._chunked and not self._left:
                self._begin_chunk()
            wanted = size - len(found)
            data = self._file.read(wanted if self._left is None else min(wanted, self._left))
            if not data:
                if self._left:
                    raise NoAnswer(_CLOSED)
                break
            found += data
            if self._left is not None:
                self._left -= len(data)
                if self._chunked and not self._left:
                    self._line()
        return bytes(found)

    def body(self) -> bytes:
        """All of it.

        Raises:
            NoAnswer, OSError: as :meth:`read`.
        """
        found = bytearray()
        while data := self.read(_LONGEST_LINE):
            found += data
        return bytes(found)

    def _head(self) -> tuple[int, dict[str, str]]:
        """Status and fields, whose names are in lower case."""
        first = self._line()
        version, _, rest = first.partition(b" ")
        status = rest.partition(b" ")[0]
        if not version.startswith(b"HTTP/1.") or not status.isdigit():
            raise NoAnswer(f"it does not begin as an answer of HTTP/1.1 does, but with {first[:32]!r}")
        fields: dict[str, str] = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return int(status), fields

    def _length(self) -> int | None:
        """Of what is left of the body, or of its chunk; ``None``: it goes on until the connection ends."""
        length = self.headers.get("content-length")
        if self._chunked or self.status in _BODILESS:
            return 0
        if length is not None and not length.isdecimal():
            raise NoAnswer(f"its Content-Length is {length[:32]!r}")
        return None if length is None else int(length)

    def _begin_chunk(self) -> None:
        size = self._line().partition(b";")[0].strip()
        try:
            self._left = int(size if size.isalnum() else b"", 16)
        except ValueError:
            raise NoAnswer(f"a chunk begins with {size[:32]!r} where its size should be") from None
        if not self._left:
            while self._line():  # trailers
                pass
            self._chunked = False

    def _line(self) -> bytes:
        line = self._file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise NoAnswer("a line of its head is too long" if len(line) == _LONGEST_LINE else _CLOSED)
        return line.rstrip(b"\r\n")
