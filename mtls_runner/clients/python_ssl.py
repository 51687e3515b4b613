"""The client inside this process: Python's ``ssl``, HTTP by h11, or bytes of the author's."""

from __future__ import annotations

import socket
import ssl
import threading
import traceback
from collections.abc import Sequence

from msgspec.structs import replace

from mtls_runner.clients.connection import VERSION, PythonConnection
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ClientSpec
from mtls_runner.model.observation import ClientView, Phase
from mtls_runner.model.port import Client, Material
from mtls_runner.tls.context import Problem, client_context, unsupported
from mtls_runner.tls.http import host_header
from mtls_runner.tls.openssl_errors import LINKED_VERSION
from mtls_runner.tls.sockets import connected

__all__ = ["PythonClient"]


_GONE = ("EOF", "ECONNRESET", "EPIPE")


def _closed(view: ClientView) -> bool:
    """Whether a request found the connection closed, as a server may do at any time: it is made again (RFC 9112 §9.3.1)."""
    return view.response is None and view.error_symbol in _GONE


class PythonClient(Client):
    """Connects with one context for each credential and set of TLS settings, as a program would."""

    keeps_connections = True
    follows_redirects = True

    def __init__(self) -> None:
        self._contexts: dict[tuple[object, ...], ssl.SSLContext | Problem] = {}
        self._lock = threading.Lock()

    def version(self) -> str:
        """Python's version."""
        return VERSION

    def library_version(self) -> str:
        """The version of the OpenSSL that its ``ssl`` is linked with."""
        return LINKED_VERSION

    def cannot(self, client: ClientSpec) -> str | None:
        """What Python's ``ssl`` has no setting for."""
        if client.cert_status:
            return "Python's ssl can't ask for a stapled OCSP response"
        return unsupported(client)

    def _context(self, spec: ClientSpec, material: Material) -> ssl.SSLContext | Problem:
        key = (
            *(material.directory, spec.certificate, spec.key, spec.passphrase, spec.chain, spec.trust, spec.insecure),
            *(spec.tls, spec.ciphers, spec.groups, spec.security_level, spec.alpn, spec.verify_flags),
            *(spec.crl, spec.crl_check, spec.post_handshake_auth),
        )
        with self._lock:
            context = self._contexts.get(key)
            if context is None:
                context = self._contexts[key] = client_context(spec, material)
        return context

    def restart(self, material: Material) -> None:
        """Forget the contexts, which never read their files again."""
        with self._lock:
            for key in [key for key in self._contexts if key[0] == material.directory]:
                del self._contexts[key]

    def probe(self, client: ClientSpec, address: Address, material: Material, deadline: Deadline) -> ClientView:
        """One connection and one request.

        Raises:
            MaterialError: the lab could not make the client's material.
        """
        return self._connected(client, address, material, deadline).view

    def follow(
        self, client: ClientSpec, address: Address, material: Material, deadline: Deadline
    ) -> Sequence[tuple[ClientSpec, ClientView]]:
        """Follow redirects with one context, as programs do: the certificate is presented to every server."""
        from mtls_runner.tls.redirects import MOST_REDIRECTS, LeadsNowhere, onward

        now = client
        connection = self._connected(now, address, material, deadline, keep=True)
        made = [(now, connection.view)]
        try:
            while (then := onward(now, now.connect or address, connection.view.response)) is not None:
                if len(made) > MOST_REDIRECTS:
                    gave_up = replace(connection.view, error=f"more than {MOST_REDIRECTS} redirects", exit_code=47)
                    return [*made[:-1], (now, gave_up)]
                origin = (now.protocol, now.server_name, now.connect or address)
                same = connection.view.stays_open and origin == (then.protocol, then.server_name, then.connect)
                if not same or (_closed(connection.ask(then, deadline)) and then.request.safe):
                    connection.close()
                    connection = self._connected(then, address, material, deadline, keep=True)
                now = then
                made.append((now, connection.view))
        except LeadsNowhere as error:
            return [*made[:-1], (now, replace(connection.view, error=str(error), exit_code=error.exit_code))]
        finally:
            connection.close()
        return made

    def connect(
        self, client: ClientSpec, address: Address, material: Material, deadline: Deadline, session: object | None
    ) -> PythonConnection:
        """As :meth:`probe`, but it stays open and keeps its session; offers one of an earlier exchange, if given.

        Raises:
            LabError: the session is another client's, or of one with other TLS settings.
        """
        if not isinstance(session, ssl.SSLSession | None):
            raise LabError("the session to resume is not one of Python's ssl")
        return self._connected(client, address, material, deadline, session, keep=True)

    def _connected(
        self,
        client: ClientSpec,
        address: Address,
        material: Material,
        deadline: Deadline,
        session: ssl.SSLSession | None = None,
        *,
        keep: bool = False,
    ) -> PythonConnection:
        target = client.connect or address
        name = client.server_name or target.host
        connection = PythonConnection(client, host_header(name, target.port, client.protocol), keep=keep)
        context = self._context(client, material) if client.protocol.encrypted else None
        if isinstance(context, Problem):
            connection.unusable(context)
            return connection
        try:
            name.encode("idna")  # as ssl does, which then leaves its socket open
        except UnicodeError as error:
            raise LabError(f"Python's ssl can't ask for the server name {name!r}: {error}") from error
        try:
            sock = connected(target.host, target.port, deadline)
        except OSError as error:
            connection.failed(error)
            return connection
        connection.local_port = sock.getsockname()[1]
        connection.phase = Phase.HANDSHAKE
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if client.proxy_protocol is not None:
                from mtls_runner.tls.proxy_protocol import header

                sock.sendall(header(client.proxy_protocol, sock))
            if context is None:
                connection.phase = Phase.REQUEST
                connection.begin(sock, deadline)
                return connection
            tls = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False, session=session)
        except ValueError as error:
            sock.close()
            raise LabError(
                f"Python's ssl resumes a session only with the settings that it was made with: {error}"
            ) from error
        except OSError as error:  # the server was gone before a byte was sent
            sock.close()
            _close_unfinished(error)
            connection.failed(error)
            if isinstance(error, ssl.SSLError):  # CPython, where data came before the reset
                connection.symbol, connection.error = "ECONNRESET", "reset before the handshake"
            return connection
        connection.begin(tls, deadline)
        return connection


def _close_unfinished(error: OSError) -> None:
    """Close what ``SSLSocket._create`` had taken the descriptor over to when it raised: only its frame still has it."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        unfinished = frame.f_locals.get("self")
        if isinstance(unfinished, ssl.SSLSocket):
            unfinished.close()
