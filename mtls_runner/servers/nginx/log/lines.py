"""nginx's error log at level ``info`` and the lab's access log → what the server saw of one connection."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct

from mtls_runner.model.observation import Alert, ClientView, Direction, HttpRequest, Reason, ServerView
from mtls_runner.servers.nginx.log.ocsp import OcspVerdict, ocsp_held
from mtls_runner.servers.nginx.write.access_log import MARK
from mtls_runner.tls import alert_name
from mtls_runner.tls.messages import subject
from mtls_runner.tls.openssl_errors import NOT_SIGNED_SO, openssl_errors

__all__ = ["LogLine", "fingerprint_of", "parse_line", "server_view"]

# ngx_log_error_core in src/core/ngx_log.c; the connection's number is ngx_connection_s.number.
_LINE = re.compile(
    r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<level>[a-z]+)\] \d+#\d+: (?:\*(?P<connection>\d+) )?(?P<message>.*)",
    re.DOTALL,
)
# Before the log is open, or to the terminal: ngx_log_stderr.
_EARLY = re.compile(r"nginx: \[(?P<level>[a-z]+)\] (?P<message>.*)", re.DOTALL)

# What a connection was doing when something ended it before any request: ngx_http_ssl_handshake sets the first,
# ngx_http_wait_request_handler the second, ngx_http_init_connection the third (proxy_protocol). A request ends in an access
# line instead.
# With an upstream it also handshakes (`… to upstream`), as a client: that ends nothing here.
_ENDINGS = re.compile(r" while (?:SSL handshaking|waiting for request|reading PROXY protocol)(?:,|$)")
_HANDSHAKING = re.compile(r" while SSL handshaking(?:,|$)")
_TO_UPSTREAM = " while SSL handshaking to upstream"
# ngx_ssl_clear_error: an OpenSSL error that somebody left behind (a failed verification does); the connection goes on.
_STALE = "ignoring stale global SSL error"
# ngx_proxy_protocol_read in src/core/ngx_proxy_protocol.c; the octets that came follow, which may hold line feeds.
_NO_PROXY_HEADER = 'broken header: "'

# ngx_ssl_ocsp_validate in src/event/ngx_event_openssl_stapling.c: a resumed session has no verified chain, so that nginx builds
# one from the certificate that is in the session and from what it trusts; it does not log OpenSSL's code for what is wrong.
_NOT_VERIFIED_ANEW = "X509_verify_cert() failed"
_OF_A_SESSION = frozenset(
    (Reason.UNKNOWN_CA, Reason.EXPIRED, Reason.REVOKED, Reason.NO_CRL, Reason.CRL_EXPIRED, Reason.CRL_INVALID)
)
"""What can be wrong with a chain that was good when the session was made: who is trusted, what time it is, what a CRL says."""
# ngx_ssl_verify_callback in src/event/ngx_event_openssl.c lets every verification go on; but SSL_get_error takes what that has
# left in the queue of errors for a failure of the handshake, if this has to wait for more of the client's flight just then.
_OF_A_SIGNATURE = frozenset((Reason.BAD_SIGNATURE, Reason.CRL_INVALID))

# ngx_http_process_request in src/http/ngx_http_request.c.
_VERIFY_ERROR = re.compile(r"client SSL certificate verify error: (?:\((?P<code>\d+):)?(?P<text>[^,)]*)")
_MINDED = ("client sent ", "client intended ")
_NO_CERTIFICATE = "client sent no required SSL certificate"
# ngx_ssl_verify_error_optional: with `optional_no_ca` nothing but $ssl_client_verify's prose tells these codes apart.
# OpenSSL's words for them (X509_verify_cert_error_string), hyphens taken out, since they came with 3.0.
_TOLERATED = {
    "self signed certificate": 18,
    "self signed certificate in certificate chain": 19,
    "unable to get local issuer certificate": 20,
    "unable to get issuer certificate": 2,
    "unable to verify the first certificate": 21,
    "certificate not trusted": 27,
}
_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/\d\.\d")  # RFC 9112 §3
_GAVE_UP = "408"
"""Of a request that did not come in time: nginx closes without an answer, and logs that (ngx_http_finalize_request)."""
_WORKER_GONE = re.compile(r"worker process \d+ exited ")
_ALERT_NUMBER = re.compile(r"SSL alert number (\d+)")


class LogLine(Struct, frozen=True):
    """One line.

    Args:
        text: as it came.
        connection: the connection's number, ``None`` for a line that belongs to none.
        level: of an error-log line; ``""`` for others.
        message: of an error-log line.
        access: the lab's own fields, of an access-log line.
    """

    text: str
    connection: int | None = None
    level: str = ""
    message: str = ""
    access: Mapping[str, str] | None = None

    def __hash__(self) -> int:
        return hash((self.text, self.connection))

    @property
    def ends_connection(self) -> bool:
        """Whether nothing that matters follows about this connection, as long as it had no request."""
        return (
            self.access is not None
            or self.wants_proxy_protocol
            or (not self.is_stale and _ENDINGS.search(self.message) is not None)
        )

    @property
    def wants_proxy_protocol(self) -> bool:
        """Whether it closes the connection, since that did not begin with the PROXY protocol (``listen … proxy_protocol``)."""
        return self.message.startswith(_NO_PROXY_HEADER)

    @property
    def is_telling(self) -> bool:
        """Whether something was not as it should be; what a client did wrong is told at the level ``info``."""
        return self.level not in ("", "info", "notice") or self.message.startswith(_MINDED)

    @property
    def is_stale(self) -> bool:
        """Whether it tells of no event of its own connection."""
        return self.message.startswith(_STALE)

    @property
    def is_fatal(self) -> bool:
        """Whether nginx did not start, or did not take a new configuration, for this."""
        return self.level in ("emerg", "alert") and self.connection is None

    @property
    def is_warning(self) -> bool:
        """Whether it is a warning, which mostly is about the configuration."""
        return self.level == "warn"

    @property
    def starts_worker(self) -> bool:
        """Whether workers come now: listening sockets are bound before that (ngx_init_cycle, ngx_master_process_cycle)."""
        return self.message.startswith("start worker process")

    @property
    def rereads(self) -> bool:
        """Whether the master has begun to read its configuration again (ngx_master_process_cycle)."""
        return self.message.endswith("reconfiguring")

    @property
    def ends_worker(self) -> bool:
        """Whether a worker is gone (ngx_process_get_status)."""
        return _WORKER_GONE.match(self.message) is not None

    @property
    def client_alerts(self) -> tuple[int, ...]:
        """Numbers of the alerts that the client sent, as far as it tells of any."""
        if self.is_stale or _TO_UPSTREAM in self.message:
            return ()
        return tuple(int(found[1]) for found in _ALERT_NUMBER.finditer(self.message))


@lru_cache(maxsize=64)  # nginx logs the requests of one connection alike
def parse_line(text: str) -> LogLine:
    """Whatever a container writes: a line that is neither of the two kinds has only its text."""
    if text.startswith(MARK):
        try:
            fields = json.loads(text)
            return LogLine(text, connection=int(fields["connection"]), access={k: str(v) for k, v in fields.items()})
        except (ValueError, KeyError, TypeError):
            return LogLine(text)
    found = _LINE.fullmatch(text)
    if found:
        number = found["connection"]
        return LogLine(text, int(number) if number else None, found["level"], found["message"])
    early = _EARLY.fullmatch(text)
    return LogLine(text, None, early["level"], early["message"]) if early else LogLine(text)


def server_view(lines: Sequence[LogLine], client: ClientView) -> ServerView:
    """What the lines of one connection say; ``client`` only names the certificate by its fingerprint."""
    return _view_of(tuple(lines), client.sent_chain[0] if client.sent_chain else None)


@lru_cache(maxsize=16)
def _view_of(lines: tuple[LogLine, ...], leaf: bytes | None) -> ServerView:
    access = next((line.access for line in reversed(lines) if line.access is not None), None)  # the last request's
    fields = access or {}
    refusal = next((line for line in lines if _is_refusal(line)), None)
    telling = [line for line in lines if not line.is_stale]
    failure = next((line for line in telling if _HANDSHAKING.search(line.message)), None)
    word = refusal or failure or next((line for line in telling if line.is_telling), None)
    held = _held(refusal, lines)
    words = (_without_context(word.message) if word else "", held.cause if held else "")
    verify = fields.get("verify") or None
    protocol = fields.get("protocol") or None
    who = _subject(fields, leaf)
    symbol, reasons = _failed(failure)
    return ServerView(
        source="nginx log",
        handshake_complete=protocol is not None if access is not None else None if failure is None else False,
        error="; ".join(filter(None, words)),
        timed_out=fields.get("status") == _GAVE_UP,
        wants_proxy_protocol=any(line.wants_proxy_protocol for line in lines),
        error_symbol=symbol,
        reasons=reasons,
        verify_code=_verify_code(refusal, verify),
        client_verify=verify,
        client_subject=who,
        presented=who,
        refused_status=_status(fields) if refusal else None,
        alerts=_alerts(lines),
        request=_request(fields),
        server_name=fields.get("server_name") or None,
        tls_version=protocol,
        cipher=fields.get("cipher") or None,
        resumed=fields["resumed"] == "r" if protocol else None,
        log=tuple(line.text for line in lines),
        ocsp=held.reason if held else None,
    )


def _failed(failure: LogLine | None) -> tuple[str, frozenset[Reason]]:
    """OpenSSL's symbolic reason for a handshake that failed, and what a failure without a code of its own allows."""
    if failure is None:
        return "", frozenset()
    if failure.message.startswith(_NOT_VERIFIED_ANEW):
        return "CERTIFICATE_VERIFY_FAILED", _OF_A_SESSION
    errors = openssl_errors(failure.message)
    symbol = next((error.symbol for error in errors if error.symbol), "")
    return symbol, _OF_A_SIGNATURE if not symbol and NOT_SIGNED_SO in errors else frozenset()


def _is_refusal(line: LogLine) -> bool:
    return line.message.startswith(_NO_CERTIFICATE) or _VERIFY_ERROR.match(line.message) is not None


def _verify_code(refusal: LogLine | None, verify: str | None) -> int | None:
    found = _VERIFY_ERROR.match(refusal.message) if refusal else None
    if found and found["code"]:
        return int(found["code"])
    if verify == "SUCCESS":
        return 0
    if verify and verify.startswith("FAILED:"):
        return _TOLERATED.get(verify.removeprefix("FAILED:").replace("-", " "))
    return None


def _held(refusal: LogLine | None, lines: Sequence[LogLine]) -> OcspVerdict | None:
    """OCSP comes after a good chain, and its refusals have no code."""
    found = _VERIFY_ERROR.match(refusal.message) if refusal else None
    if found is None or found["code"]:
        return None
    # the request's context follows the verdict (ngx_http_log_error)
    verdict = found["text"].partition(" while ")[0]
    return ocsp_held(verdict, [line.message for line in lines])


def _status(access: Mapping[str, str]) -> int:
    """The status by which it refused; without an access line, what nginx answers (400 for NGX_HTTPS_CERT_ERROR and the like)."""
    status = access.get("status", "")
    return int(status) if status.isdigit() else 400


def _subject(access: Mapping[str, str], leaf: bytes | None) -> str | None:
    """nginx's fingerprint proves which certificate it saw; its own text of a name spells rarer attributes differently."""
    name = access.get("subject") or None
    fingerprint = access.get("fingerprint")
    if not fingerprint:
        return name
    if leaf is not None and fingerprint_of(leaf) == fingerprint:
        return subject(leaf)
    return name or ""  # a certificate's name may be empty


def fingerprint_of(data: bytes) -> str:
    """The fingerprint of a certificate, as ``$ssl_client_fingerprint`` has it."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _alerts(lines: Sequence[LogLine]) -> tuple[Alert, ...]:
    """Alerts that came from the client; nginx does not log the ones it sends."""
    numbers = [number for line in lines for number in line.client_alerts]
    return tuple(Alert(Direction.RECEIVED, alert_name(number), number) for number in dict.fromkeys(numbers))


def _request(access: Mapping[str, str]) -> HttpRequest | None:
    found = _REQUEST_LINE.fullmatch(access.get("request", ""))
    return HttpRequest(found[1], found[2]) if found else None


def _without_context(message: str) -> str:
    """The message without its context (ngx_http_log_error appends ``, client: …, server: …``) and without octets of TLS."""
    if message.startswith(_NO_PROXY_HEADER):
        return "broken header: what came is not the PROXY protocol"
    return message.partition(", client: ")[0]
