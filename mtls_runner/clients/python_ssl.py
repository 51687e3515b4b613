"""The client inside this process: Python's ``ssl``, HTTP by h11, or bytes of the author's."""

from __future__ import annotations

import errno
import platform
import socket
import ssl
import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mtls_runner.errors import Deadline, LabError, ended_by
from mtls_runner.model.endpoint import Address, ClientSpec
from mtls_runner.model.observation import ClientView, Direction, HttpResponse, Phase
from mtls_runner.model.port import Client, Material
from mtls_runner.tls.context import Problem, client_context, unsupported
from mtls_runner.tls.http import ask, host_header
from mtls_runner.tls.http_response import HttpError, ResponseReader
from mtls_runner.tls.openssl_errors import predict, told
from mtls_runner.tls.rules import NOT_HTTP
from mtls_runner.tls.sockets import (
    RecordingSocket,
    Transcript,
    close_after_alert,
    connected,
    cut_off,
    limit,
    say_goodbye,
)

if TYPE_CHECKING:
    from mtls_runner.clients.dialogue import Dialogue

__all__ = ["PythonClient"]

_LINGER_SECONDS = 2.0
_FINISHED = (Direction.SENT, "Finished")
_NAME_CODES = frozenset((62, 64))  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class _Connection:
    """One connection as it goes on. Implements :class:`mtls_runner.model.port.KeptConnection`.

    Args:
        client: as described.
        host: the Host field's value.
        keep: it carries further requests, or its session is resumed.
    """

    __slots__ = (
        "_client",
        "_dialogue",
        "_handshake",
        "_host",
        "_keep",
        "_number",
        "_reader",
        "_session",
        "_sock",
        "_view",
        "alpn",
        "cipher",
        "error",
        "local_port",
        "name_mismatch",
        "phase",
        "received",
        "response",
        "resumed",
        "symbol",
        "timed_out",
        "tls_version",
        "transcript",
        "verify_code",
    )

    def __init__(self, client: ClientSpec, host: str, *, keep: bool) -> None:
        self._client = client
        self._host = host
        self._keep = keep
        self._number = 1
        self._sock: socket.socket | None = None
        self._reader: ResponseReader | None = None
        self._dialogue: Dialogue | None = None
        self._view: ClientView | None = None
        self._handshake: tuple[int, ClientView] | None = None
        self.phase = Phase.CONNECT
        self.transcript = Transcript()
        self.error = ""
        self.symbol = ""
        self.timed_out = False
        self.verify_code: int | None = None
        self.name_mismatch = False
        self.local_port: int | None = None
        self.tls_version: str | None = None
        self.cipher: str | None = None
        self.alpn: str | None = None
        self.resumed: bool | None = None
        self._session: ssl.SSLSession | None = None
        self.response: HttpResponse | None = None
        self.received: bytes | None = None

    def failed(self, error: OSError) -> None:
        """Take down why the socket, or TLS on it, failed."""
        if isinstance(error, TimeoutError) and not isinstance(error, ssl.SSLError):
            self.cut_off()
            return
        if isinstance(error, ssl.SSLError):
            ended = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
            self.symbol = "EOF" if ended else error.reason or ""
            self.error = self.symbol or told(error)
            if isinstance(error, ssl.SSLCertVerificationError):
                self.verify_code = error.verify_code or self.verify_code
                self.name_mismatch = self.verify_code in _NAME_CODES
                self.error = error.verify_message or self.error
            return
        if isinstance(error, socket.gaierror):
            self.symbol = "ENOTFOUND"
        else:
            self.symbol = errno.errorcode.get(error.errno or 0, "")
        self.error = error.strerror or str(error)

    def cut_off(self) -> None:
        """The time limit passed, whatever the socket says of it."""
        self.timed_out = True
        self.symbol = ""
        self.error = "the time limit passed"

    def unusable(self, problem: Problem) -> None:
        """It never connects: its own material can't be used."""
        view = ClientView(
            tool="python",
            tool_version=_VERSION,
            phase=Phase.PREPARE,
            problem=problem.reason,
            error=problem.text,
            error_symbol=problem.symbol,
            exit_predicted=True,
        )
        exit_code = predict(view, trust_unusable=problem.trust, crl_unusable=problem.crl)
        self._view = replace(view, exit_code=exit_code)

    # --- as KeptConnection ---

    @property
    def view(self) -> ClientView:
        """Of the last request."""
        if self._view is None:
            self._view = self._told()
        return self._view

    @property
    def session(self) -> ssl.SSLSession | None:
        """Of the last request: on TLS 1.3 its ticket came with a response at the latest."""
        if isinstance(self._sock, ssl.SSLSocket) and self.phase is Phase.DONE:  # a copy costs a tenth of an exchange
            return self._sock.session
        return self._session

    def ask(self, client: ClientSpec, deadline: Deadline) -> ClientView:
        """Another request on it; a server that has closed it already is not asked any more, as curl does not."""
        self._number += 1
        self._view = self.response = self.received = None
        spoken = self._reader or self._dialogue
        if self._sock is None or spoken is None:
            if not self.symbol:
                self.symbol, self.error = "EOF", "the connection was closed after the request before"
            self.phase = Phase.REQUEST
            return self.view
        self._client, self.phase = client, Phase.REQUEST
        try:
            if spoken.ended():
                self.symbol, self.error = "EOF", "the server had closed the connection before this request"
                self.close()
        except OSError as error:
            self.failed(error)
            self.close()
        if self._sock is not None:
            self.talk(self._sock, deadline)
            if self.symbol or self.timed_out:
                self.close()
        return self.view

    def close(self) -> None:
        """With a word of farewell where it still lives."""
        if self._sock is not None:
            if isinstance(self._sock, ssl.SSLSocket):
                self._session = self._sock.session
                if not self.symbol:
                    say_goodbye(self._sock)
            self._sock.close()
        self._sock = None

    # --- what happens on it ---

    def begin(self, sock: socket.socket, deadline: Deadline) -> None:
        """Handshake, if it makes one, and first request; then it is closed unless it is to be kept."""
        self._sock = sock
        if isinstance(sock, RecordingSocket):
            sock.transcript = self.transcript
        try:
            self.talk(sock, deadline)
        finally:
            if not self._keep or self.symbol or self.timed_out:
                sock.close()
                self._sock = None

    def talk(self, sock: socket.socket, deadline: Deadline) -> None:
        """A request, and the handshake before the first one."""
        with ended_by(partial(cut_off, sock)):
            self._talk(sock, deadline)

    def _talk(self, sock: socket.socket, deadline: Deadline) -> None:
        try:
            if self._reader is None and self._dialogue is None and isinstance(sock, ssl.SSLSocket):
                limit(sock, deadline)
                sock.do_handshake()
                self._agreed(sock)
            self.phase = Phase.REQUEST
            if self._client.protocol.asks:
                self._ask(sock, deadline)
            else:
                self._speak(sock, deadline)
        except HttpError as error:
            self.error = str(error)
            self.response = error.partial
            if not error.silent:
                self.phase = Phase.RESPONSE
            self.symbol = "EOF" if error.ended else NOT_HTTP
            if isinstance(sock, RecordingSocket) and sock.overran:
                self.cut_off()
        except OSError as error:
            self.failed(error)
            if isinstance(sock, RecordingSocket) and sock.overran:
                self.cut_off()
            if isinstance(error, ssl.SSLError) and not self.timed_out:
                close_after_alert(sock, deadline.within(_LINGER_SECONDS))

    def _ask(self, sock: socket.socket, deadline: Deadline) -> None:
        client = self._client
        if self._reader is None:
            self._reader = ResponseReader(sock)
        self.response = ask(sock, self._reader, client.request, self._host, deadline, client.body_limit)
        self.phase = Phase.DONE
        if not self._keep:
            if isinstance(sock, ssl.SSLSocket):
                say_goodbye(sock)
        elif _is_last(self.response):  # a server may wait for the client to close it, and log the request only then
            self.close()

    def _speak(self, sock: socket.socket, deadline: Deadline) -> None:
        from mtls_runner.clients.dialogue import Dialogue, DialogueEnded

        client = self._client
        if self._dialogue is None:
            self._dialogue = Dialogue(sock)
        try:
            self._dialogue.speak(client.send, client.until, deadline, client.body_limit)
            alerts = (each for each in self.transcript.alerts() if each.fatal and each.direction is Direction.RECEIVED)
            refused = next(alerts, None)
            if refused is not None:  # to SSL_shutdown(3) a fatal alert is as good as close_notify
                self.symbol, self.error = f"ALERT_{refused.name.upper()}", f"alert {refused.name}"
                return
            self.phase = Phase.DONE
            if not self._keep and isinstance(sock, ssl.SSLSocket):
                say_goodbye(sock)
            elif not client.until:
                self.close()  # the other end has, or it was all that was wanted
        except DialogueEnded as error:
            self.symbol, self.error = "EOF", str(error)
        finally:
            self.received = self._dialogue.received
            if self.received and self.phase is Phase.REQUEST:
                self.phase = Phase.RESPONSE

    def _agreed(self, tls: ssl.SSLSocket) -> None:
        if not self._client.insecure:
            self.verify_code = 0
        self.tls_version = tls.version()
        cipher = tls.cipher()
        self.cipher = cipher[0] if cipher else None
        self.alpn = tls.selected_alpn_protocol()
        self.resumed = tls.session_reused

    def _told(self) -> ClientView:
        """As the lab's own noun."""
        seen, known = self.transcript.size, self._handshake
        if known is None or known[0] != seen or self.symbol or self.timed_out:
            known = self._handshake = seen, self._all_told()
        view = replace(
            known[1],
            phase=self.phase,
            response=self.response,
            received=self.received,
            request_number=self._number,
            stays_open=self._sock is not None,
            exit_code=None,
        )
        return replace(view, exit_code=predict(view)) if self._client.protocol.asks else view

    def _all_told(self) -> ClientView:
        """With what the transcript says, which most requests of a connection add nothing to."""
        transcript = self.transcript
        messages = transcript.messages()
        # ssl tells of them once the handshake is complete
        hello = transcript.server_hello() if self.tls_version is None else None
        verify_code = self.verify_code
        if verify_code is None and not self._client.insecure and _FINISHED in {(m.direction, m.name) for m in messages}:
            verify_code = 0  # it would not have gone on otherwise (TLS 1.2: the server's Finished never came)
        return ClientView(
            tool="python",
            tool_version=_VERSION,
            phase=self.phase,
            error=self.error,
            error_symbol=self.symbol,
            timed_out=self.timed_out,
            verify_code=verify_code,
            name_mismatch=self.name_mismatch,
            alerts=transcript.alerts(),
            messages=messages,
            certificate_requested=transcript.requested() if self._client.protocol.encrypted else None,
            ca_names=transcript.authorities(),
            requested_algorithms=transcript.requested_algorithms(),
            sent_chain=transcript.chain(Direction.SENT),
            received_chain=transcript.chain(Direction.RECEIVED),
            tls_version=hello.tls_version if hello is not None else self.tls_version,
            cipher=hello.cipher if hello is not None else self.cipher,
            alpn=self.alpn,
            resumed=self.resumed,
            local_port=self.local_port,
            signature_algorithms=transcript.signature_algorithms(),
            messages_left_out=transcript.more,
            exit_predicted=True,
            encrypted=self._client.protocol.encrypted,
        )


_VERSION = platform.python_version()


class PythonClient(Client):
    """Connects with one context for each credential and set of TLS settings, as a program would."""

    keeps_connections = True
    follows_redirects = True

    def __init__(self) -> None:
        self._contexts: dict[tuple[object, ...], ssl.SSLContext | Problem] = {}
        self._lock = threading.Lock()

    def version(self) -> str:
        """Of Python."""
        return _VERSION

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
        """What it has loaded is forgotten: a context never looks at its files again."""
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
        """With one context, as programs have it: the certificate goes wherever it leads."""
        from mtls_runner.tls.redirects import MOST_REDIRECTS, onward

        now = client
        connection = self._connected(now, address, material, deadline, keep=True)
        made = [(now, connection.view)]
        try:
            while (then := onward(now, now.connect or address, connection.view.response)) is not None:
                if len(made) > MOST_REDIRECTS:
                    gave_up = replace(connection.view, error=f"more than {MOST_REDIRECTS} redirects", exit_code=47)
                    return [*made[:-1], (now, gave_up)]
                origin = (now.protocol, now.server_name, now.connect or address)
                if connection.view.stays_open and origin == (then.protocol, then.server_name, then.connect):
                    connection.ask(then, deadline)
                else:
                    connection.close()
                    connection = self._connected(then, address, material, deadline, keep=True)
                now = then
                made.append((now, connection.view))
        finally:
            connection.close()
        return made

    def connect(
        self, client: ClientSpec, address: Address, material: Material, deadline: Deadline, session: object | None
    ) -> _Connection:
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
    ) -> _Connection:
        target = client.connect or address
        name = client.server_name or target.host
        connection = _Connection(client, host_header(name, target.port, client.protocol), keep=keep)
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


def _is_last(response: HttpResponse) -> bool:
    """Whether the server says that it closes the connection after this response (RFC 9112 §9.6)."""
    options = ",".join(value for name, value in response.headers if name.lower() == "connection")
    return "close" in (option.strip().lower() for option in options.split(","))


def _close_unfinished(error: OSError) -> None:
    """Close what ``SSLSocket._create`` had taken the descriptor over to when it raised: only its frame still has it."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        unfinished = frame.f_locals.get("self")
        if isinstance(unfinished, ssl.SSLSocket):
            unfinished.close()
