"""The name in a ClientHello, before OpenSSL has seen a byte of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Hello", "read_hello"]

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _HOST_NAME = 0, 0  # RFC 6066 §3
_LONGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Hello:
    """What the first bytes of a connection are.

    Args:
        whole: more bytes would change nothing: a whole ClientHello, or no ClientHello at all.
        server_name: as the client sent it, in lower case; ``None``: it sent none.
    """

    whole: bool
    server_name: str | None = None


def read_hello(data: bytes) -> Hello:
    """Read the first bytes that came (RFC 8446 §4.1.2, §5.1); a ClientHello may be spread over several records."""
    message = bytearray()
    at = 0
    while at + 5 <= len(data):
        if data[at] != _HANDSHAKE:
            return Hello(whole=True)
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        message += data[at + 5 : at + 5 + size]
        at += 5 + size
        if message and message[0] != _CLIENT_HELLO:
            return Hello(whole=True)
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return Hello(whole=True, server_name=_server_name(bytes(message)))
        if len(message) > _LONGEST:
            return Hello(whole=True)
    return Hello(whole=bool(data) and data[0] != _HANDSHAKE)


def _server_name(message: bytes) -> str | None:
    at = 4 + 2 + 32
    for width in (1, 2, 1):  # legacy_session_id, cipher_suites, legacy_compression_methods
        at += width + int.from_bytes(message[at : at + width], "big")
    end = min(len(message), at + 2 + int.from_bytes(message[at : at + 2], "big"))
    at += 2
    while at + 4 <= end:
        kind, size = int.from_bytes(message[at : at + 2], "big"), int.from_bytes(message[at + 2 : at + 4], "big")
        body = message[at + 4 : at + 4 + size]
        if kind == _SERVER_NAME and len(body) >= 5 and body[2] == _HOST_NAME:
            return body[5 : 5 + int.from_bytes(body[3:5], "big")].decode("ascii", "replace").lower()
        at += 4 + size
    return None
