"""PEM text (RFC 7468, and RFC 1421's headers where OpenSSL writes them): read as people's files really have it, and written."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from typing import ClassVar

from mtls_runner.model.certificate import Guarded

__all__ = ["Block", "blocks", "pem_block", "plain_text"]

_MARK = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]+)-----")


class Block(Guarded, frozen=True):
    """One ``BEGIN``/``END`` pair.

    Args:
        label: what it says that it is.
        text: all of it, tidied.
        headers: RFC 1421's.
        der: ``None``: what is between the lines is not base64, or its ``END`` is missing.
        raw: all of it, as it was.
        line: of the ``BEGIN``, from 1.
        begins_line: whether nothing stands before ``BEGIN`` on that line, as OpenSSL wants it (``PEM_read_bio``).
    """

    hidden: ClassVar = frozenset({"text", "der", "raw"})

    label: str
    text: bytes
    headers: tuple[str, ...]
    der: bytes | None
    raw: bytes = b""
    line: int = 1
    begins_line: bool = True


def pem_block(label: str, der: bytes, headers: str = "") -> bytes:
    """RFC 7468 text of ``der``; ``headers`` are RFC 1421's, each with its newline."""
    body = base64.b64encode(der).decode("ascii")
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    between = f"{headers}\n" if headers else ""
    return f"-----BEGIN {label}-----\n{between}{lines}\n-----END {label}-----\n".encode("latin-1")


def plain_text(data: bytes) -> tuple[bytes, str]:
    """``data`` as text with PEM in it, and what of it OpenSSL does not read, for people (``""``: nothing).

    Editors on Windows put a byte order mark first, which OpenSSL skips (``PEM_read_bio``), or write UTF-16.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data.removeprefix(codecs.BOM_UTF8), ""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode(), "is UTF-16 text, which OpenSSL does not read"
        except UnicodeError:
            return data, ""
    if b"\r" in data and b"\n" not in data:
        return data, "ends its lines with CR alone, which OpenSSL does not read"
    return data, ""


def blocks(text: bytes) -> list[Block]:
    """All blocks of a text, in order; any line ends, blanks around lines and text around blocks are fine."""
    found: list[Block] = []
    begin: re.Match[bytes] | None = None
    line, counted, end = 1, 0, 0
    for mark in (*_MARK.finditer(text), None):
        if begin is not None:
            ended = mark is not None and mark[1] == b"END" and mark[2] == begin[2]
            raw = text[begin.start() : len(text) if mark is None else mark.end() if ended else mark.start()]
            line, counted = line + text.count(b"\n", counted, begin.start()), begin.start()
            begins_line = _begins_line(text, begin.start(), end)
            found.append(_block(begin[2].decode("ascii"), raw, ended, line, begins_line))
            end = begin.start() + len(raw)
        begin = mark if mark is not None and mark[1] == b"BEGIN" else None
    return found


def _begins_line(text: bytes, at: int, end: int) -> bool:
    """Whether OpenSSL sees a ``BEGIN``; it skips a byte order mark on the first line after a block, too."""
    if text[at - 3 : at] == codecs.BOM_UTF8 and text[end : at - 3].strip(b"\r") == b"\n":
        return True
    return at == 0 or text[at - 1 : at] in (b"\n", b"\r")


def _block(label: str, raw: bytes, ended: bool, line: int, begins_line: bool) -> Block:
    broken = Block(label, raw, (), None, raw, line, begins_line)
    if not ended:
        return broken
    inside = raw.partition(b"-----BEGIN ")[2].partition(b"-----")[2].rpartition(b"-----END ")[0]
    lines = [line for line in map(bytes.strip, inside.replace(b"\r", b"\n").split(b"\n")) if line]
    try:
        der = base64.b64decode(b"".join(line for line in lines if b":" not in line), validate=True)
    except binascii.Error:
        return broken
    headers = tuple(line.decode("latin-1") for line in lines if b":" in line)
    tidy = pem_block(label, der, "".join(f"{header}\n" for header in headers))
    return Block(label, tidy, headers, der, raw, line, begins_line)
