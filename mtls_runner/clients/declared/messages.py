"""Handshake messages as ``openssl s_client -msg`` prints them: read by their bytes, as curl's are.

``msg_cb`` in apps/lib/s_cb.c: a line that says which way, what and how long, then the bytes as hex, indented. The record headers
and TLS 1.3's inner content types are among them, as OpenSSL's message callback has them.
"""

from __future__ import annotations

import re

from mtls_runner.clients.curl.trace import CurlTrace, take

__all__ = ["parse"]

_HEADER = re.compile(rb"(>>>|<<<) [^\n]*\[length ([0-9a-f]+)\]")
_ARROWS = {b">>>": b"=>", b"<<<": b"<="}


def parse(text: bytes) -> CurlTrace:
    """All of it, or as much as a killed client left."""
    found = CurlTrace()
    kinds = dict.fromkeys(_ARROWS, 0)
    arrow, size, digits = b"", 0, bytearray()
    for line in [*text.split(b"\n"), b">>> [length 0]"]:
        header = _HEADER.match(line)
        if header is None:
            digits += line.strip() + b" "
            continue
        data = _bytes(digits)
        if arrow and len(data) == size:
            kinds[arrow] = take(found, _ARROWS[arrow], kinds[arrow], data)
        arrow, size, digits = header[1], int(header[2], 16), bytearray()
    return found


def _bytes(digits: bytearray) -> bytes:
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        return b""
