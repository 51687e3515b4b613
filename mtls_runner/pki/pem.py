"""PEM text (RFC 7468, and RFC 1421's headers where OpenSSL writes them), as people's files really have it."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from dataclasses import dataclass, field

__all__ = ["Block", "blocks", "certificate_pem", "pem_block", "plain_text"]

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One ``BEGIN``/``END`` pair; ``text`` is all of it, tidied, ``headers`` are RFC 1421's."""

    label: str
    text: bytes = field(repr=False)
    headers: tuple[str, ...]
    der: bytes | None = field(repr=False)
    """``None``: what is between the lines is not base64."""


def pem_block(label: str, der: bytes, headers: str = "") -> bytes:
    """RFC 7468 text of ``der``; ``headers`` are RFC 1421's, each with its newline."""
    body = base64.b64encode(der).decode("ascii")
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    between = f"{headers}\n" if headers else ""
    return f"-----BEGIN {label}-----\n{between}{lines}\n-----END {label}-----\n".encode("ascii")


def certificate_pem(der: bytes) -> bytes:
    """A certificate as PEM."""
    return pem_block("CERTIFICATE", der)


def plain_text(data: bytes) -> tuple[bytes, str]:
    """``data`` as PEM's ASCII, and what had to be done for it, for people (``""``: nothing).

    Editors on Windows put a byte order mark first, or write UTF-16; OpenSSL finds no PEM in either where it matters.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data.removeprefix(codecs.BOM_UTF8), "begins with a byte order mark, which OpenSSL does not skip"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode(), "is UTF-16 text, which OpenSSL does not read"
        except UnicodeError:
            return data, ""
    return data, ""


def blocks(text: bytes) -> list[Block]:
    """All blocks of a text, in order; any line ends, blanks around lines and text around blocks are fine."""
    found = []
    for match in _BLOCK.finditer(text):
        label = match[1].decode("ascii")
        lines = [line.strip() for line in match[2].replace(b"\r", b"\n").split(b"\n")]
        lines = [line for line in lines if line]
        headers = [line for line in lines if b":" in line]
        body = b"".join(line for line in lines if b":" not in line)
        try:
            der = base64.b64decode(body, validate=True)
        except binascii.Error:
            found.append(Block(label, match[0], (), None))
            continue
        spoken = tuple(header.decode("latin-1") for header in headers)
        text = pem_block(label, der, "".join(f"{header}\n" for header in spoken))
        found.append(Block(label, text, spoken, der))
    return found
