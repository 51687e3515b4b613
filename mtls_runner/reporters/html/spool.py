"""Parts of the page that are done, in a temporary file: a page of many cases is never in memory as a whole."""

from __future__ import annotations

import codecs
import os
import re
import tempfile
from collections.abc import Iterable, Iterator

__all__ = ["Spool", "SpooledPart"]

_TOKEN = re.compile("\0([0-9]+)\0")
"""No text of a page holds a NUL: what comes from elsewhere is made visible first."""
_CHUNK = 1 << 16


class SpooledPart:
    """A part that is done.

    Args:
        number: in its spool.
        size: bytes of UTF-8.
    """

    __slots__ = ("_number", "size")

    def __init__(self, number: int, size: int) -> None:
        self._number = number
        self.size = size

    def __html__(self) -> str:
        """What stands for it in a template's output until :meth:`Spool.expanded` puts it in."""
        return f"\0{self._number}\0"


class Spool:
    """The parts, one behind the other."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - until the page is written
        self._parts: list[tuple[int, int]] = []
        self._end = 0

    def keep(self, chunks: Iterable[str]) -> SpooledPart:
        """Put a part away; other parts in it are put in."""
        start = self._end
        for text in self.expanded(chunks):
            data = text.encode("utf-8", "backslashreplace")
            while data:
                written = os.pwrite(self._file.fileno(), data, self._end)
                self._end += written
                data = data[written:]
        self._parts.append((start, self._end - start))
        return SpooledPart(len(self._parts) - 1, self._end - start)

    def expanded(self, chunks: Iterable[str]) -> Iterator[str]:
        """A template's output with the parts in their places."""
        for chunk in chunks:
            for number, text in enumerate(_TOKEN.split(chunk)):
                if number % 2:
                    yield from self._read(*self._parts[int(text)])
                elif text:
                    yield text

    def close(self) -> None:
        """They are gone."""
        self._file.close()

    def _read(self, start: int, size: int) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        for at in range(start, start + size, _CHUNK):
            yield decoder.decode(os.pread(self._file.fileno(), min(_CHUNK, start + size - at), at))
