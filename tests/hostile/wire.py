"""One TLS connection of a server that misbehaves: every byte that it sends can be seen, changed or left out before it goes.

The handshake is OpenSSL's, through memory BIOs. Once it is done on TLS 1.3, records can also be sealed here (RFC 8446 §5.2,
§7.3), with any inner type and content, since OpenSSL would send none of those that break the protocol.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

__all__ = ["ALERT", "APPLICATION_DATA", "CHANGE_CIPHER_SPEC", "HANDSHAKE", "Wire", "record", "records"]

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
_SUITE = "TLS_AES_256_GCM_SHA384"


def record(kind: int, content: bytes, *, version: int = 0x0303, length: int | None = None) -> bytes:
    """A TLSPlaintext (RFC 8446 §5.1), whatever its header claims."""
    return struct.pack("!BHH", kind, version, len(content) if length is None else length) + content


def records(flight: bytes) -> list[bytes]:
    """A flight's records, headers included."""
    found, at = [], 0
    while at < len(flight):
        end = at + 5 + int.from_bytes(flight[at + 3 : at + 5], "big")
        found.append(flight[at:end])
        at = end
    return found


def _label(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 §7.1)."""
    name = b"tls13 " + label
    info = struct.pack("!HB", length, len(name)) + name + b"\0"
    return HKDFExpand(SHA384(), length, info).derive(secret)


class Wire:
    """A server's end of one connection.

    Args:
        sock: with the time limit that its calls have.
        context: the server's; sessions tickets are off, so that sequence numbers begin at 0.
        keys: a file that the context logs its secrets to.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, keys: Path) -> None:
        self.sock = sock
        self._keys = keys
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._number = 0
        self._random = b""

    def hello(self) -> bytes:
        """The client's first bytes, which TLS has not been told of."""
        data = self.sock.recv(65536)
        self._random = data[11:43]
        return data

    def flight(self) -> bytes:
        """What OpenSSL answers to the ClientHello."""
        self._in.write(self.hello())
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._out.read()

    def handshake(self) -> None:
        """To its end, as it should be.

        Raises:
            OSError: the client goes away, or refuses.
        """
        self.sock.sendall(self.flight())
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._feed()
        self.sock.sendall(self._out.read())

    def request(self) -> bytes:
        """A whole request."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.read()
        return data

    def read(self) -> bytes:
        """Some of what the client says."""
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self._feed()

    def send(self, data: bytes) -> None:
        """As application data."""
        for at in range(0, len(data), 16384):
            self.tls.write(data[at : at + 16384])
            self._number += 1
        self.sock.sendall(self._out.read())

    def close_notify(self) -> None:
        """Say that no more will come, and stop sending."""
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        self.sock.sendall(self._out.read())
        self.sock.shutdown(socket.SHUT_WR)

    def _feed(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the client is gone")
        self._in.write(data)

    def drain(self) -> None:
        """Until the client closes, so that no reset takes away what was sent."""
        while self.sock.recv(65536):
            pass

    def left(self) -> bool:
        """Whether the client goes away within 20 ms; what it says is not looked at."""
        self.sock.settimeout(0.02)
        try:
            return not self.sock.recv(65536)
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(20)

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def sealer(self) -> Callable[[int, bytes], bytes]:
        """What makes the next protected record, given its inner type and content; OpenSSL must send nothing afterwards."""
        name, protocol, _ = self.tls.cipher() or ("", "", 0)
        assert (name, protocol) == (_SUITE, "TLSv1.3"), name
        secret = next(self._secrets())
        box, iv = AESGCM(_label(secret, b"key", 32)), int.from_bytes(_label(secret, b"iv", 12), "big")

        def seal(kind: int, content: bytes) -> bytes:
            inner = content + bytes((kind,))
            header = struct.pack("!BHH", APPLICATION_DATA, 0x0303, len(inner) + 16)
            nonce = (iv ^ self._number).to_bytes(12, "big")
            self._number += 1
            return header + box.encrypt(nonce, inner, header)

        return seal

    def _secrets(self) -> Iterator[bytes]:
        wanted = ["SERVER_TRAFFIC_SECRET_0", self._random.hex()]
        for line in self._keys.read_text().splitlines():
            if line.split()[:2] == wanted:
                yield bytes.fromhex(line.split()[2])
