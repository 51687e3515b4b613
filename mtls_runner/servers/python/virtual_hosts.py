"""The name-based hosts of an embedded server: which one's settings a connection gets, and which one answers a request.

The name is read off the ClientHello before OpenSSL sees it, so that each host's context, with its verify mode and trust,
serves the whole handshake. ``SSLContext.sni_callback`` comes too late for that: what it sets brings another certificate
(``SSL_set_SSL_CTX``), but leaves the verify mode that the connection began with.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping

from msgspec import Struct

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import ServerUnusable
from mtls_runner.model.endpoint import ClientAuth, Response, ServerSpec
from mtls_runner.model.observation import HttpRequest
from mtls_runner.model.port import Material
from mtls_runner.tls.context import Problem, server_context
from mtls_runner.tls.http import Reply
from mtls_runner.tls.sockets import limit

__all__ = ["ChosenHost", "Hello", "Host", "HostReplies", "Hosts", "read_hello"]

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _HOST_NAME = 0, 0  # RFC 6066 §3
_LONGEST = 1 << 16


class Hello(Struct, frozen=True):
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


_MOST = 1 << 16
_BAD_REQUEST = 400

_MISDIRECTED: Mapping[str | None, Reply] = {None: Reply(Response(status=421, body=b"421 Misdirected Request\n"))}
_NO_CERTIFICATE: Mapping[str | None, Reply] = {
    None: Reply(Response(status=400, body=b"400 No required SSL certificate was sent\n"))
}


class Host:
    """One of them, ready to serve."""

    __slots__ = ("context", "replies", "rules", "spec")

    def __init__(self, spec: ServerSpec, context: ssl.SSLContext) -> None:
        self.spec = spec
        self.context = context
        self.replies = Reply.by_path(spec.responses)
        self.rules = any(response.rules for response in spec.responses)

    def asks(self, version: str | None) -> bool:
        """Whether it asks for a client certificate in a handshake; TLS 1.2 has no later request for one."""
        return self.spec.client_auth is not ClientAuth.NONE or (self.spec.asks_later and version != "TLSv1.3")


class ChosenHost(Struct, frozen=True):
    """What a connection began with.

    Args:
        host: whose settings it gets.
        server_name: as received; ``None``: none.
        known: whether one of the server's hosts has that name.
    """

    host: Host
    server_name: str | None
    known: bool


class HostReplies(Struct, frozen=True):
    """What a request to a virtual host is answered.

    Args:
        replies: by path.
        error: why it is not what the request asks for, or ``""``.
        refused_status: by which it is refused since its host, or the path, demands a certificate; ``None``: it is not.
        host: whose paths are meant; ``None``: nobody's.
    """

    replies: Mapping[str | None, Reply]
    error: str = ""
    refused_status: int | None = None
    host: Host | None = None


class Hosts:
    """All hosts of one server, as of its last (re)load.

    Raises:
        ServerUnusable: one of them can't be served with what it was given.
    """

    def __init__(self, spec: ServerSpec, material: Material) -> None:
        self._spec = spec
        # by identity: a description is looked up for every connection, and its hash is made of all that it says
        self._by_spec = {id(one): Host(one, _context(one, material)) for one in spec.every_host}
        self.default = self._by_spec[id(spec)]

    def greet(self, sock: socket.socket, deadline: Deadline) -> ChosenHost:
        """Look at the ClientHello without taking it from the socket.

        Raises:
            OSError: the client is gone, or says nothing.
        """
        data = b""
        try:
            while True:
                limit(sock, deadline)
                more = sock.recv(_MOST, socket.MSG_PEEK)
                hello = read_hello(more)
                if hello.whole or len(more) == len(data) or len(more) == _MOST:
                    break
                data = more
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)
        finally:
            if data:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        name = hello.server_name
        chosen = self._spec.host(name)
        return ChosenHost(self._by_spec[id(chosen)], name, self._knows(name))

    def _knows(self, name: str | None) -> bool:
        return name is not None and (self._spec.host(name) is not self._spec or name in self._spec.names)

    def answer(self, greeting: ChosenHost, request: HttpRequest, peer: bytes | None) -> HostReplies:
        """What a request gets whose Host field may name another host than the handshake did.

        As nginx does (``ngx_http_set_virtual_server``, ``ngx_http_process_request``): a host that verifies clients answers no
        request on a connection that was made for another name (421, RFC 9110 §15.5.20). Where the handshake named no
        host, the request's goes, and demands what it demands.
        """
        if not self._spec.hosts:
            return HostReplies(greeting.host.replies, host=greeting.host)
        asked = _host_of(request)
        if asked is None or asked == greeting.server_name:
            return HostReplies(greeting.host.replies, host=greeting.host)
        host = self._by_spec[id(self._spec.host(asked))]
        if greeting.known and host.spec.client_auth is not ClientAuth.NONE:
            return HostReplies(_MISDIRECTED, "the request is for another name than the handshake was")
        if host.spec.client_auth is ClientAuth.REQUIRED and peer is None:
            return HostReplies(_NO_CERTIFICATE, "client sent no required SSL certificate", _BAD_REQUEST)
        return HostReplies(host.replies, host=host)


def _host_of(request: HttpRequest) -> str | None:
    for name, value in request.headers:
        if name.lower() == "host":
            host, colon, port = value.strip().lower().rpartition(":")
            return host if colon and port.isdigit() else value.strip().lower()
    return None


def _context(spec: ServerSpec, material: Material) -> ssl.SSLContext:
    context = server_context(spec, material)
    if isinstance(context, Problem):
        raise ServerUnusable(context.text, reason=context.reason)
    if spec.reject_handshake:
        context.sni_callback = _reject  # OpenSSL asks whether a name came or not
    return context


def _reject(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int:  # noqa: ARG001 - ssl's signature
    return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
