"""Answers through a program's standard input: for a server that hands the application's part to who started it."""

from __future__ import annotations

import http
import os
import select
import threading
from pathlib import Path

from mtls_runner.model.endpoint import Response, ServerSpec
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.tls.dialects import compiled

__all__ = ["Answers"]

_PATIENCE_SECONDS = 5.0


class Answers:
    """Listens to the program's lines; where a request's head ends, writes the response to a FIFO that is its standard input.

    The program's lines have to tell ``method`` and ``path`` (a fact of its log), and the empty line behind the head.
    """

    def __init__(self, server: ServerSpec, declared: DeclaredServer, fifo: Path) -> None:
        self._server = server
        self._requests = [compiled(text) for text in declared.log.facts if "(?P<method>" in text]
        self._wanted: tuple[str, str] | None = None
        os.mkfifo(fifo, 0o600)
        self.fifo = fifo
        self._descriptor = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def feed(self, line: str) -> None:
        """A line of the program's."""
        for regex in self._requests:
            found = regex.search(line)
            if found is not None:
                self._wanted = found["method"], found["path"]
                return
        if not line and self._wanted is not None:
            (method, path), self._wanted = self._wanted, None
            content = self._response(method, path)
            threading.Thread(target=self._write, args=(content,), daemon=True).start()

    def _response(self, method: str, path: str) -> bytes:
        chosen = self._server.response_to(path) or Response(status=404)
        try:
            phrase = http.HTTPStatus(chosen.status).phrase
        except ValueError:
            phrase = ""
        head = [f"HTTP/1.1 {chosen.status} {phrase}"]
        names = {name.lower() for name, _ in chosen.headers}
        head += [f"{name}: {value}" for name, value in chosen.headers]
        if "content-type" not in names:
            head.append("Content-Type: text/plain; charset=utf-8")
        head += [f"Content-Length: {len(chosen.body)}", "Connection: close", "", ""]
        return "\r\n".join(head).encode() + (b"" if method == "HEAD" else chosen.body)

    def _write(self, content: bytes) -> None:
        """As the program takes it; one that takes nothing for seconds has lost its client."""
        left = memoryview(content)
        try:
            while left and select.select([], [self._descriptor], [], _PATIENCE_SECONDS)[1]:
                left = left[os.write(self._descriptor, left[:4096]) :]
        except OSError:
            return  # closed

    def close(self) -> None:
        """No more answers."""
        os.close(self._descriptor)
