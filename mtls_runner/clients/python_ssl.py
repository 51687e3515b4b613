"""The client inside this process: Python's ``ssl``, HTTP by h11."""

from __future__ import annotations

import errno
import platform
import socket
import ssl
import threading
import traceback
from dataclasses import replace

from mtls_runner.deadline import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.client import ClientSpec
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import ClientView, Direction, HttpResponse, Phase
from mtls_runner.model.port import Material
from mtls_runner.tls.broken_protocol import NOT_HTTP
from mtls_runner.tls.closing import close_after_alert, say_goodbye
from mtls_runner.tls.context import client_context, unsupported
from mtls_runner.tls.curl_exit import predict
from mtls_runner.tls.http import ask, host_header
from mtls_runner.tls.http_response import HttpError
from mtls_runner.tls.material import Problem
from mtls_runner.tls.openssl_errors import told
from mtls_runner.tls.patience import limit
from mtls_runner.tls.transcript import RecordingSocket, Transcript

__all__ = ["PythonClient"]

_LINGER_SECONDS = 2.0
_FINISHED = (Direction.SENT, "Finished")
_NAME_CODES = frozenset((62, 64))  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class _Exchange:
    """One connection as it goes on."""

    __slots__ = (
        "alpn",
        "cipher",
        "error",
        "keeps_session",
        "local_port",
        "name_mismatch",
        "phase",
        "response",
        "resumed",
        "session",
        "symbol",
        "timed_out",
        "tls_version",
        "transcript",
        "verifies",
        "verify_code",
    )

    def __init__(self, *, verifies: bool, keeps_session: bool) -> None:
        self.phase = Phase.CONNECT
        self.transcript = Transcript()
        self.error = ""
        self.symbol = ""
        self.timed_out = False
        self.verify_code: int | None = None
        self.name_mismatch = False
        self.verifies = verifies
        self.keeps_session = keeps_session
        self.local_port: int | None = None
        self.tls_version: str | None = None
        self.cipher: str | None = None
        self.alpn: str | None = None
        self.resumed: bool | None = None
        self.session: ssl.SSLSession | None = None
        self.response: HttpResponse | None = None

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

    def view(self) -> ClientView:
        """As the lab's own noun."""
        transcript = self.transcript
        messages = transcript.messages()
        # ssl tells of them once the handshake is complete
        hello = transcript.server_hello() if self.tls_version is None else None
        verify_code = self.verify_code
        if verify_code is None and self.verifies and _FINISHED in {(m.direction, m.name) for m in messages}:
            verify_code = 0  # it would not have gone on otherwise (TLS 1.2: the server's Finished never came)
        view = ClientView(
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
            certificate_requested=transcript.requested(),
            ca_names=transcript.authorities(),
            sent_chain=transcript.chain(Direction.SENT),
            received_chain=transcript.chain(Direction.RECEIVED),
            tls_version=hello.tls_version if hello is not None else self.tls_version,
            cipher=hello.cipher if hello is not None else self.cipher,
            alpn=self.alpn,
            resumed=self.resumed,
            response=self.response,
            local_port=self.local_port,
            session=self.session,
            signature_algorithms=transcript.signature_algorithms(),
            messages_left_out=transcript.more,
            exit_predicted=True,
        )
        return replace(view, exit_code=predict(view))


_VERSION = platform.python_version()


class PythonClient:
    """Connects with one context for each credential and set of TLS settings, as a program would."""

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
            *(spec.crl, spec.crl_check),
        )
        with self._lock:
            context = self._contexts.get(key)
            if context is None:
                context = self._contexts[key] = client_context(spec, material)
        return context

    def probe(self, client: ClientSpec, address: Address, material: Material, deadline: Deadline) -> ClientView:
        """One connection and one request.

        Raises:
            MaterialError: the lab could not make the client's material.
        """
        return self._probe(client, address, material, deadline, None)

    def probe_keeping_session(
        self, client: ClientSpec, address: Address, material: Material, deadline: Deadline, session: object | None
    ) -> ClientView:
        """As :meth:`probe`, with the session in the view; offers one of an earlier exchange, if given.

        Raises:
            LabError: the session is another client's, or of one with other TLS settings.
        """
        if not isinstance(session, ssl.SSLSession | None):
            raise LabError("the session to resume is not one of Python's ssl")
        return self._probe(client, address, material, deadline, session, keep_session=True)

    def _probe(
        self,
        client: ClientSpec,
        address: Address,
        material: Material,
        deadline: Deadline,
        session: ssl.SSLSession | None,
        *,
        keep_session: bool = False,
    ) -> ClientView:
        context = self._context(client, material)
        if isinstance(context, Problem):
            return _unusable(context)
        target = client.connect or address
        name = client.server_name or target.host
        try:
            name.encode("idna")  # as ssl does, which then leaves its socket open
        except UnicodeError as error:
            raise LabError(f"Python's ssl can't ask for the server name {name!r}: {error}") from error
        exchange = _Exchange(verifies=not client.insecure, keeps_session=keep_session)
        try:
            sock = socket.create_connection((target.host, target.port), max(deadline.remaining(), 0.001))
        except OSError as error:
            exchange.failed(error)
            return exchange.view()
        exchange.local_port = sock.getsockname()[1]
        exchange.phase = Phase.HANDSHAKE
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            tls = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False, session=session)
        except ValueError as error:
            sock.close()
            raise LabError(
                f"Python's ssl resumes a session only with the settings that it was made with: {error}"
            ) from error
        except OSError as error:  # the server was gone before a byte was sent
            sock.close()
            _close_unfinished(error)
            exchange.failed(error)
            if isinstance(error, ssl.SSLError):  # CPython, where data came before the reset
                exchange.symbol, exchange.error = "ECONNRESET", "reset before the handshake"
            return exchange.view()
        try:
            self._talk(tls, exchange, client, host_header(name, target.port), deadline)
        finally:
            tls.close()
        return exchange.view()

    def _talk(self, tls: ssl.SSLSocket, exchange: _Exchange, client: ClientSpec, host: str, deadline: Deadline) -> None:
        if isinstance(tls, RecordingSocket):
            tls.transcript = exchange.transcript
        try:
            limit(tls, deadline)
            tls.do_handshake()
            exchange.phase = Phase.REQUEST
            if not client.insecure:
                exchange.verify_code = 0
            exchange.tls_version = tls.version()
            cipher = tls.cipher()
            exchange.cipher = cipher[0] if cipher else None
            exchange.alpn = tls.selected_alpn_protocol()
            exchange.resumed = tls.session_reused
            exchange.response = ask(tls, client.request, host, deadline, client.body_limit)
            exchange.phase = Phase.DONE
            if exchange.keeps_session:  # a copy of it costs as much as a tenth of the exchange
                exchange.session = tls.session  # on TLS 1.3 its ticket came with the response at the latest
            say_goodbye(tls)
        except HttpError as error:
            exchange.error = str(error)
            exchange.response = error.partial
            if not error.silent:
                exchange.phase = Phase.RESPONSE
            exchange.symbol = "EOF" if error.ended else NOT_HTTP
            if isinstance(tls, RecordingSocket) and tls.overran:
                exchange.cut_off()
        except OSError as error:
            exchange.failed(error)
            if isinstance(tls, RecordingSocket) and tls.overran:
                exchange.cut_off()
            if isinstance(error, ssl.SSLError) and not exchange.timed_out:
                close_after_alert(tls, deadline.within(_LINGER_SECONDS))


def _unusable(problem: Problem) -> ClientView:
    view = ClientView(
        tool="python",
        tool_version=_VERSION,
        phase=Phase.PREPARE,
        problem=problem.reason,
        error=problem.text,
        error_symbol=problem.symbol,
        exit_predicted=True,
    )
    return replace(view, exit_code=predict(view, trust_unusable=problem.trust, crl_unusable=problem.crl))


def _close_unfinished(error: OSError) -> None:
    """Close what ``SSLSocket._create`` had taken the descriptor over to when it raised: only its frame still has it."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        unfinished = frame.f_locals.get("self")
        if isinstance(unfinished, ssl.SSLSocket):
            unfinished.close()
