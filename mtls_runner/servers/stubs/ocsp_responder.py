"""The lab's OCSP responders: one server for all that a scenario declares, each at the path that its URI has."""

from __future__ import annotations

import base64
import binascii
import contextlib
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import h11

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Response
from mtls_runner.model.observation import HttpRequest
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import OcspAnswer, ResponderSpec
from mtls_runner.servers.stubs import RESPONDER_SOCKET
from mtls_runner.servers.stubs.http_server import HttpServer, mountable, unix_socket
from mtls_runner.tls.http import Reply

__all__ = ["ResponderStub", "responder_stub"]

_MEDIA_TYPE = (("Content-Type", "application/ocsp-response"),)  # RFC 6960 appendix A.2
_FOREIGN = {
    OcspAnswer.GARBAGE: Reply(Response(headers=_MEDIA_TYPE, body=b"this is no OCSP response")),
    OcspAnswer.HTML: Reply(Response(headers=(("Content-Type", "text/html"),), body=b"<!doctype html><p>Log in first.")),
    OcspAnswer.HTTP_ERROR: Reply(Response(status=500, headers=_MEDIA_TYPE)),
}
_NOT_FOUND = Reply(Response(status=404))


class ResponderStub(HttpServer):
    """See :func:`responder_stub`. ``directory`` is what a container gets to see."""

    def __init__(self, responders: Sequence[ResponderSpec], material: Material, directory: Path) -> None:
        self._responders = {urlsplit(one.uri).path.strip("/"): one for one in responders}
        self._material = material
        self._asked: Counter[str] = Counter()
        self._answered = 0
        self._trouble: LabError | None = None
        self.directory = directory
        super().__init__(unix_socket(directory / RESPONDER_SOCKET), RESPONDER_SOCKET)

    @property
    def answered(self) -> int:
        """Requests that were answered so far, in whatever way."""
        with self._lock:
            return self._answered

    def check(self) -> None:
        """What the lab could not answer must not pass for an answer.

        Raises:
            LabError: that happened.
        """
        if self._trouble is not None:
            raise self._trouble

    def wait(self, count: int, deadline: Deadline) -> bool:
        """Until so many requests were answered; whether they were."""
        with self._lock:
            return self._lock.wait_for(lambda: self._stopping or self._answered >= count, max(deadline.remaining(), 0))

    def respond(self, sock: socket.socket, connection: h11.Connection, request: HttpRequest) -> bool:
        """Answer a GET as RFC 6960 appendix A.1 has it; every connection carries one request."""
        name, _, encoded = request.path.strip("/").partition("/")
        responder = self._responders.get(name)
        if responder is None:
            sock.sendall(_NOT_FOUND.encode(connection, head=False))
            return False
        with self._lock:
            number = min(self._asked[name], len(responder.answers) - 1)
            self._asked[name] += 1
            if responder.delay:
                self._lock.wait_for(lambda: self._stopping, responder.delay)
        try:
            self._answer(sock, connection, responder, responder.answers[number], encoded)
        finally:
            with self._lock:
                self._answered += 1
                self._lock.notify_all()
        return False

    def _answer(
        self,
        sock: socket.socket,
        connection: h11.Connection,
        responder: ResponderSpec,
        answer: OcspAnswer,
        encoded: str,
    ) -> None:
        match answer:
            case OcspAnswer.SILENCE:
                with self._lock:
                    self._lock.wait_for(lambda: self._stopping)
            case OcspAnswer.CLOSE | OcspAnswer.NOBODY:
                return
            case OcspAnswer.GARBAGE | OcspAnswer.HTML | OcspAnswer.HTTP_ERROR:
                sock.sendall(_FOREIGN[answer].encode(connection, head=False))
            case _:
                sock.sendall(self._status(responder, answer, encoded).encode(connection, head=False))

    def _status(self, responder: ResponderSpec, answer: OcspAnswer, encoded: str) -> Reply:
        try:
            request = base64.b64decode(unquote_to_bytes(encoded), validate=True)
        except binascii.Error:
            request = b""
        try:
            return Reply(Response(headers=_MEDIA_TYPE, body=self._material.ocsp_response(responder, request, answer)))
        except LabError as error:
            self._trouble = error
            return _FOREIGN[OcspAnswer.HTTP_ERROR]


@contextlib.contextmanager
def responder_stub(responders: Sequence[ResponderSpec], material: Material) -> Iterator[ResponderStub]:
    """All of a server's responders."""
    with mountable(material.directory) as directory, ResponderStub(responders, material, directory) as stub:
        yield stub
