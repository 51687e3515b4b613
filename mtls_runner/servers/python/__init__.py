"""The embedded server: Python's ``ssl``, threads, HTTP by h11."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import h11

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import Address, ClientAuth, ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView, ServerView
from mtls_runner.model.port import Material, RunningServer, ServerBackend
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.servers import TRAITS
from mtls_runner.servers.python.connections import Acceptors, Connections, RecordedConnection
from mtls_runner.servers.python.virtual_hosts import ChosenHost, Hosts
from mtls_runner.tls.context import unsupported
from mtls_runner.tls.http import next_request, reply
from mtls_runner.tls.http_response import HttpError
from mtls_runner.tls.openssl_errors import LINKED_VERSION
from mtls_runner.tls.sockets import RecordingSocket, close_after_alert, limit, say_goodbye

__all__ = ["PythonBackend"]

_IDLE_SECONDS = 30.0
"""How long a connection may say nothing before the server gives it up."""
_LINGER_SECONDS = 2.0


class _Server(RunningServer):
    """Serves on one loopback port until :meth:`close`."""

    tells_of_everyone = True
    replaceable = reloadable = True

    def __init__(self, spec: ServerSpec, material: Material) -> None:
        self._spec = spec
        self._material = material
        self._hosts = Hosts(spec, material)
        self._lock = threading.Lock()
        self._connections = Connections()
        self._open: set[socket.socket] = set()
        self._stopping = False
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        host, port = listener.getsockname()
        self._address = Address(host, port)
        self._acceptors = Acceptors(listener, self._serve, f"mtls-run-{spec.id}")

    @property
    def address(self) -> Address:
        """On loopback."""
        return self._address

    # --- connections are told apart by the client's port ---

    @contextmanager
    def watch(self) -> Iterator[_Watch]:
        """Every connection is recorded under its peer's port; those of before are other clients'."""
        after = self._connections.number
        with self._acceptors.expect():
            yield _Watch(self._connections, after)

    # --- whichever clients connect ---

    def arrived(self) -> int:
        """Number of the last connection; 0: none yet."""
        return self._connections.number

    def seen(self, after: int, deadline: Deadline) -> tuple[ServerView, ...]:
        """Views of the connections after that number, in order."""
        return tuple(connection.view() for connection in self._connections.since(after, deadline))

    def heard(self) -> int:
        """Rank of what it heard last, a request of an earlier connection counts, too."""
        return self._connections.rank

    def heard_after(self, rank: int, deadline: Deadline) -> tuple[ServerView, ...]:
        """Views of the connections that had news, in the order of the latest."""
        return tuple(connection.view() for connection in self._connections.heard_after(rank, deadline))

    def settled(self) -> Iterator[ServerView]:
        """A view of each connection, once it is known what came of it."""
        connections = self._connections.follow()
        return (connection.view() for connection in connections)

    # --- other files, read again ---

    def replace(self, server: ServerSpec) -> None:
        """The files of the new description are the ones that the next reload reads."""
        self._spec = server

    def reload(self, deadline: Deadline) -> None:  # noqa: ARG002
        """Read the files again; sessions of before are forgotten with the contexts that had made them.

        Raises:
            ServerUnusable: they can't be used; what was loaded before goes on.
        """
        self._hosts = Hosts(self._spec, self._material)

    # --- serving ---

    def _serve(self, sock: socket.socket, port: int) -> None:
        with self._lock:
            if self._stopping:
                sock.close()
                return
            self._open.add(sock)
        connection = self._connections.opened(port)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(_IDLE_SECONDS)
        plain = sock
        hosts = self._hosts
        greeted = Deadline.after(_IDLE_SECONDS)
        try:
            greeting = hosts.greet(sock, greeted)
            connection.asks, connection.server_name = greeting.host.asks(None), greeting.server_name
            tls = greeting.host.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError as error:  # the client is gone already, or says nothing
            connection.failed(error)
            self._connections.settle(connection)
            self._forget(plain, sock)
            return
        with self._lock:
            self._open.discard(plain)
            self._open.add(tls)
            if self._stopping:
                tls.close()
        if isinstance(tls, RecordingSocket):
            tls.transcript = connection.transcript
        try:
            limit(tls, greeted)
            tls.do_handshake()
            self._handshake_done(tls, connection)
            connection.asks = greeting.host.asks(connection.tls_version)
            self._http(tls, connection, hosts, greeting)
            say_goodbye(tls)
        except OSError as error:
            cut_off = isinstance(tls, RecordingSocket) and tls.overran
            connection.failed(TimeoutError() if cut_off else error)
            if isinstance(error, ssl.SSLError):
                self._connections.settle(connection)
                close_after_alert(tls, Deadline.after(_LINGER_SECONDS))
        except HttpError as error:
            connection.error = str(error)
        finally:
            self._connections.settle(connection)
            self._forget(tls)

    def _handshake_done(self, tls: ssl.SSLSocket, connection: RecordedConnection) -> None:
        connection.complete = True
        connection.peer = tls.getpeercert(binary_form=True)
        connection.tls_version = tls.version()
        cipher = tls.cipher()
        connection.cipher = cipher[0] if cipher else None
        connection.resumed = tls.session_reused

    def _http(self, tls: ssl.SSLSocket, connection: RecordedConnection, hosts: Hosts, greeting: ChosenHost) -> None:
        http = h11.Connection(h11.SERVER)
        more = True
        while more:
            request = next_request(tls, http, Deadline.after(_IDLE_SECONDS))
            if request is None:
                return
            connection.asked(request)
            self._connections.heard(connection)
            answer = hosts.answer(greeting, request, connection.peer)
            if answer.host is not None and answer.host.rules:
                from mtls_runner.servers.python.path_rules import by_path

                answer = by_path(tls, http, connection, answer.host, request, Deadline.after(_IDLE_SECONDS))
            connection.error, connection.refused_status = answer.error, answer.refused_status
            more = reply(tls, http, request, answer.replies, Deadline.after(_IDLE_SECONDS))
            self._connections.settle(connection, over=False)

    def _forget(self, *sockets: socket.socket) -> None:
        for sock in sockets:
            sock.close()
        with self._lock:
            self._open.difference_update(sockets)

    def close(self) -> None:
        """Stop accepting, end what is open, and wait for every thread."""
        with self._lock:
            self._stopping = True
            for sock in self._open:
                try:
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    continue  # gone already
        try:
            self._acceptors.close(_LINGER_SECONDS + 1)
        finally:
            self._connections.close()


class _Watch:
    """Implements :class:`mtls_runner.model.port.Watch`."""

    __slots__ = ("_after", "_connections")

    def __init__(self, connections: Connections, after: int) -> None:
        self._connections = connections
        self._after = after

    def view(self, client: ClientView, deadline: Deadline) -> ServerView | None:
        """What the server saw of the connection from the client's port, once it has settled."""
        return self._connections.take(client, self._after, deadline) if client.local_port is not None else None


class PythonBackend(ServerBackend):
    """Servers inside this process."""

    def versions(self) -> Mapping[str, str]:
        """The version of the OpenSSL that Python's ``ssl`` is linked with."""
        return {"python ssl": self.library_version()}

    def library_version(self) -> str:
        """The version of that OpenSSL."""
        return LINKED_VERSION

    def cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        """What Python's ``ssl`` has no setting for."""
        if server.option("config") or server.files or server.upstreams:
            return "the scenario brings nginx's own configuration"
        if server.verify_depth not in (None, TRAITS.verify_depth):
            return f"Python's ssl has no setting for the verify depth: it is {TRAITS.verify_depth}"
        if server.client_auth is ClientAuth.OPTIONAL_NO_CA:
            return "Python's ssl can't accept a certificate that does not verify (optional_no_ca)"
        if server.ocsp is not RevocationCheck.NONE:
            return "Python's ssl can't ask OCSP responders about client certificates"
        if server.stapling is not None:
            return "Python's ssl can't staple OCSP responses"
        if server.advertise:
            return "Python's ssl can't choose the CA names that it advertises"
        if server.session_ticket_key is not None:
            return "Python's ssl has no setting for the key of session tickets"
        for host in server.hosts:
            reason = self.cannot(host.server, client)
            if reason is not None:
                return reason
        return unsupported(server)

    @contextmanager
    def serve(self, server: ServerSpec, material: Material, deadline: Deadline) -> Iterator[_Server]:  # noqa: ARG002
        """Bind a free loopback port. It is ready when it listens: the kernel queues connections from then on, and the
        context has loaded its material.
        """
        running = _Server(server, material)
        try:
            yield running
        finally:
            running.close()
