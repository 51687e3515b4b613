"""What a ServerHello settles (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3)."""

from __future__ import annotations

import ssl
from functools import cache
from typing import NamedTuple

from mtls_runner.tls.names import WIRE_VERSIONS

__all__ = ["ALPN", "TLS_1_3", "ServerHello", "block", "extensions", "protocol", "read_server_hello"]

TLS_1_3 = 0x0304
ALPN = 16
_PRE_SHARED_KEY, _SUPPORTED_VERSIONS = 41, 43  # the IANA registry of extensions


class ServerHello(NamedTuple):
    """What it says.

    Args:
        version: as negotiated, on the wire (``0x0304``).
        cipher: OpenSSL's name of the cipher suite, or its number.
        alpn: the protocol that the server chose, up to TLS 1.2; ``None``: none, or it comes later.
        pre_shared_key: on TLS 1.3 the server took one.
    """

    version: int
    cipher: str
    alpn: str | None
    pre_shared_key: bool

    @property
    def tls_version(self) -> str | None:
        """The version by name."""
        named = WIRE_VERSIONS.get(self.version)
        return named.value if named is not None else None


def read_server_hello(data: bytes) -> ServerHello | None:
    """A whole message, its header included; ``None``: it is cut short."""
    if len(data) < 4 + 35:
        return None
    found = extensions(data, 4 + 34, suites_width=0)
    suite = 4 + 35 + data[4 + 34]
    code = int.from_bytes(data[suite : suite + 2], "big")
    return ServerHello(
        int.from_bytes(found.get(_SUPPORTED_VERSIONS, data[4:6]), "big"),
        _suites().get(code, f"0x{code:04X}"),
        protocol(found.get(ALPN)),
        _PRE_SHARED_KEY in found,
    )


def extensions(data: bytes, at: int, *, suites_width: int) -> dict[int, bytes]:
    """Of a ClientHello or ServerHello, from its legacy_session_id on."""
    at += 1 + (data[at] if at < len(data) else 0)
    if suites_width:  # ClientHello: a list of cipher suites and one of compression methods
        at += 2 + int.from_bytes(data[at : at + 2], "big")
        at += 1 + (data[at] if at < len(data) else 0)
    else:  # ServerHello: one of each
        at += 3
    return block(data, at)


def block(data: bytes, at: int) -> dict[int, bytes]:
    """An extension block, as far as it goes (RFC 8446 §4.2)."""
    end = min(len(data), at + 2 + int.from_bytes(data[at : at + 2], "big"))
    at += 2
    found: dict[int, bytes] = {}
    while at + 4 <= end:
        kind, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        found[kind] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def protocol(extension: bytes | None) -> str | None:
    """The one name in a server's ALPN extension (RFC 7301 §3.1)."""
    if extension is None or len(extension) < 3:
        return None
    return extension[3 : 3 + extension[2]].decode("ascii", "replace")


@cache
def _suites() -> dict[int, str]:
    """OpenSSL's names of all cipher suites that it knows, by their number on the wire."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {suite["id"] & 0xFFFF: suite["name"] for suite in context.get_ciphers()}
