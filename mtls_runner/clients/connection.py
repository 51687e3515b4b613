"""A connection of the client inside this process: its handshake, and what is said on it, as the lab's own nouns."""

from __future__ import annotations

import errno
import platform
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline, ended_by
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import ClientView, Direction, HttpResponse, Phase, field_value
from mtls_runner.tls.context import Problem
from mtls_runner.tls.http import ask, upload
from mtls_runner.tls.http_response import HttpError, ResponseReader
from mtls_runner.tls.openssl_errors import ENDED, predict, told
from mtls_runner.tls.rules import NOT_HTTP
from mtls_runner.tls.sockets import RecordingSocket, Transcript, close_after_alert, cut_off, limit, say_goodbye

if TYPE_CHECKING:
    from mtls_runner.clients.dialogue import Dialogue

__all__ = ["VERSION", "PythonConnection"]

VERSION = platform.python_version()
"""Python's version."""
_LINGER_SECONDS = 2.0
_NAME_CODES = frozenset((62, 64))  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


class PythonConnection:
    """One connection as it goes on. Implements :class:`mtls_runner.model.port.KeptConnection`.

    Args:
        client: as described.
        host: the Host field's value.
        keep: it carries further requests, or its session is resumed.
    """

    __slots__ = (
        "_before",
        "_client",
        "_dialogue",
        "_host",
        "_keep",
        "_number",
        "_reader",
        "_session",
        "_sock",
        "_view",
        "alpn",
        "body_sent",
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
        self._before: tuple[int, ClientView] | None = None
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
        self.body_sent: int | None = None

    def failed(self, error: OSError) -> None:
        """Note why the socket, or TLS on it, failed."""
        if isinstance(error, TimeoutError) and not isinstance(error, ssl.SSLError):
            self.cut_off()
            return
        if isinstance(error, ssl.SSLError):
            self.symbol = "EOF" if isinstance(error, ENDED) else error.reason or ""
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
        """Note that it never connects, since its own material can't be used."""
        view = ClientView(
            tool="python",
            tool_version=VERSION,
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
        """What the client saw of the last request."""
        if self._view is None:
            self._view = self._told()
        return self._view

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session, as of the last request: on TLS 1.3 its ticket has come by then."""
        if isinstance(self._sock, ssl.SSLSocket) and self.phase is Phase.DONE:  # a copy costs a tenth of an exchange
            return self._sock.session
        return self._session

    def ask(self, client: ClientSpec, deadline: Deadline) -> ClientView:
        """Another request on it; a server that has closed it already is not asked any more, as curl does not."""
        self._number += 1
        self._view = self.response = self.received = self.body_sent = None
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
        """Close the connection, with close_notify where it is still open."""
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
        going = upload(client.request, self._host)
        try:
            self.response = ask(sock, self._reader, client.request, going, deadline, client.body_limit)
        finally:
            self.body_sent = going.sent if client.request.body else None
        self.phase = Phase.DONE
        if not self._keep:
            if isinstance(sock, ssl.SSLSocket):
                say_goodbye(sock)
        elif going.stopped or _is_last(
            self.response
        ):  # a server may wait for the client to close it, and log the request only then
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
        """The client's view, of what is known by now."""
        seen, before = self.transcript.size, self._before
        if before is None or before[0] != seen or self.symbol or self.timed_out:
            view = self._all_told()
        else:
            view = replace(
                before[1],
                phase=self.phase,
                response=self.response,
                received=self.received,
                body_sent=self._body_sent,
                request_number=self._number,
                stays_open=self._sock is not None,
            )
            if self.response == before[1].response and view.phase is before[1].phase:
                return view
        if self._client.protocol.asks:
            view = replace(view, exit_code=predict(view))
        self._before = seen, view
        return view

    @property
    def _body_sent(self) -> int | None:
        return self.body_sent if self.body_sent is not None or not self._client.request.body else 0

    def _all_told(self) -> ClientView:
        """The client's view with all that the transcript says; most requests on an open connection add nothing to that."""
        # ssl tells of them once the handshake is complete
        hello = self.transcript.server_hello() if self.tls_version is None else None
        view = ClientView(
            tool="python",
            tool_version=VERSION,
            phase=self.phase,
            error=self.error,
            error_symbol=self.symbol,
            timed_out=self.timed_out,
            verify_code=self.verify_code,
            name_mismatch=self.name_mismatch,
            certificate_requested=self.transcript.requested() if self._client.protocol.encrypted else None,
            tls_version=hello.tls_version if hello is not None else self.tls_version,
            cipher=hello.cipher if hello is not None else self.cipher,
            alpn=self.alpn if hello is None else self.transcript.protocol(),
            resumed=self.resumed,
            local_port=self.local_port,
            response=self.response,
            received=self.received,
            body_sent=self._body_sent,
            request_number=self._number,
            stays_open=self._sock is not None,
            exit_predicted=True,
            encrypted=self._client.protocol.encrypted,
        )
        view = self.transcript.told_to(view)
        if self.verify_code is None and not self._client.insecure and _finished(view):
            return replace(
                view, verify_code=0
            )  # it would not have gone on otherwise (TLS 1.2: the server's never came)
        return view


def _finished(view: ClientView) -> bool:
    """Whether it sent its Finished."""
    return any(each.name == "Finished" and each.direction is Direction.SENT for each in view.messages)


def _is_last(response: HttpResponse) -> bool:
    """Whether the server says that it closes the connection after this response (RFC 9112 §9.6)."""
    options = field_value(response.headers, "connection") or ""
    return "close" in (option.strip().lower() for option in options.split(","))
