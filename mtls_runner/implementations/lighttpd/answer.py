"""The application behind lighttpd, by SCGI: answers as the lab's file says, and prints a line for each request.

It gets what a script would have in its environment, where a certificate of 100 kB does not fit.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import urllib.parse
from pathlib import Path
from typing import BinaryIO

_TOLD = {
    "tls": "SSL_PROTOCOL",
    "cipher": "SSL_CIPHER",
    "verify": "SSL_CLIENT_VERIFY",
}
_RESPONSES = json.loads(Path(sys.argv[1]).read_text())["responses"]


def asked(stream: BinaryIO) -> dict[str, str]:
    """What lighttpd says of a request, whose body is read."""
    size = b""
    while (byte := stream.read(1)) not in (b":", b""):
        size += byte
    parts = stream.read(int(size or b"0") + 1).decode("latin-1").split("\0")
    known = dict(zip(parts[::2], parts[1::2], strict=False))
    stream.read(int(known.get("CONTENT_LENGTH", "") or "0"))
    return known


def told(known: dict[str, str]) -> str:
    """A line of the log."""
    certificate = known.get("SSL_CLIENT_CERT", "").replace("\n", "")
    facts = " ".join(f"{name}={known.get(variable, '')}" for name, variable in _TOLD.items())
    return (
        f"answered request=<{known['REQUEST_METHOD']} {known['REQUEST_URI']}> {facts}"
        f" sni=<{known.get('SSL_TLS_SNI', '')}> certificate=<{certificate}>\n"
    )


def answer(known: dict[str, str]) -> bytes:
    """Head and body."""
    path = urllib.parse.unquote(known["REQUEST_URI"].partition("?")[0])
    chosen = next(one for one in _RESPONSES if one["path"] in (None, path))
    lines = [
        f"Status: {chosen['status']}",
        f"Content-Type: {chosen['content_type'] or 'text/plain; charset=utf-8'}",
        f"Content-Length: {chosen['size']}",
        *(f"{name}: {value}" for name, value in chosen["headers"]),
    ]
    wanted = chosen["body_file"] and known["REQUEST_METHOD"] != "HEAD"
    body = Path(chosen["body_file"]).read_bytes() if wanted else b""
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body


def main() -> None:
    """lighttpd made the socket, and ends this with itself."""
    listener = socket.socket(fileno=0)
    while True:
        connection, _ = listener.accept()
        # The client may be gone, and lighttpd with it, when it gets its answer.
        with connection, connection.makefile("rb") as stream, contextlib.suppress(ConnectionError):
            known = asked(stream)
            if known:
                sys.stderr.write(told(known))
                sys.stderr.flush()
                connection.sendall(answer(known))


if __name__ == "__main__":
    main()
