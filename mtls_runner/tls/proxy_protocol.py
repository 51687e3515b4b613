"""The header of the PROXY protocol, for a client that connects as a proxy does.

Source: haproxy.org, ``doc/proxy-protocol.txt``, sections 2.1 and 2.2.
"""

from __future__ import annotations

import socket
import struct

from mtls_runner.model.endpoint import ProxyProtocol

__all__ = ["header"]

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY = 0x21
"""Version 2, command PROXY."""


def header(version: ProxyProtocol, sock: socket.socket) -> bytes:
    """For a connected TCP socket, with its own two ends."""
    (source, source_port, *_), (target, target_port, *_) = sock.getsockname(), sock.getpeername()
    six = sock.family is socket.AF_INET6
    if version is ProxyProtocol.V1:
        return f"PROXY TCP{6 if six else 4} {source} {target} {source_port} {target_port}\r\n".encode()
    addresses = b"".join(socket.inet_pton(sock.family, address.partition("%")[0]) for address in (source, target))
    addresses += struct.pack("!HH", source_port, target_port)
    return _SIGNATURE + struct.pack("!BBH", _PROXY, 0x21 if six else 0x11, len(addresses)) + addresses
