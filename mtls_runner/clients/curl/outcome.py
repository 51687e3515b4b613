"""A client view from what curl reported: how far it came, why it refused the server, which error it met.

Where curl made several requests on one connection, all heads come in one stream, and all bodies in another.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.clients.curl.binary import CurlRun, Kept
from mtls_runner.clients.curl.trace import CurlTrace
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import ClientView, Direction, HttpResponse, Phase, Reason
from mtls_runner.tls.classify import ISSUER_NAME_EMPTY
from mtls_runner.tls.context import Problem
from mtls_runner.tls.messages import issuer
from mtls_runner.tls.openssl_errors import openssl_errors
from mtls_runner.tls.rules import NOT_HTTP

__all__ = [
    "CONNECT_FAILED",
    "ERRNOS",
    "OUT_OF_MEMORY",
    "READ_LATE",
    "TOO_MANY_REDIRECTS",
    "Written",
    "apart",
    "gone",
    "status_reason",
    "stopped",
    "told",
    "view",
]

_SKEW = timedelta(minutes=5)
_UNTRUSTED = ("OCSP response verification failed", "Could not find certificate ID in OCSP response")
_NO_ISSUER = "Error computing OCSP ID"


def status_reason(words: str, response: bytes | None) -> Reason:
    """Why ``curl --cert-status`` refused: from the response itself, and from curl's words where only it judged.

    Source: ``verifystatus`` in curl's ``lib/vtls/openssl.c``, in whose order this goes.

    Args:
        words: curl's.
        response: the stapled ``OCSPResponse``, DER; ``None``: none came.
    """
    if response is None:
        return Reason.OCSP_UNAVAILABLE
    from cryptography.x509 import ocsp

    try:
        parsed = ocsp.load_der_ocsp_response(response)
        if parsed.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return Reason.OCSP_UNAVAILABLE
        status = parsed.certificate_status
        begin, end = parsed.this_update_utc, parsed.next_update_utc
    except (ValueError, NotImplementedError):
        return Reason.OCSP_INVALID
    if any(text in words for text in _UNTRUSTED):
        return Reason.OCSP_INVALID
    if _NO_ISSUER in words:
        return Reason.OTHER  # the issuer is not in the chain that the server sent, and curl looks nowhere else
    now = datetime.now(UTC)
    if begin > now + _SKEW:
        return Reason.OCSP_NOT_YET_VALID
    if end is not None and end < now - _SKEW:
        return Reason.OCSP_EXPIRED
    if status is ocsp.OCSPCertStatus.REVOKED:
        return Reason.REVOKED
    return Reason.OCSP_UNKNOWN if status is ocsp.OCSPCertStatus.UNKNOWN else Reason.OCSP_INVALID


URL_MALFORMED, CONNECT_FAILED, TOO_MANY_REDIRECTS = 3, 7, 47
_OK, _RESOLVE, _PARTIAL, _TIMEOUT, _EMPTY, _VERIFY = 0, 6, 18, 28, 52, 60
_STATUS, _RECV = 91, 56
#: UNSUPPORTED_PROTOCOL (HTTP/0.9, a version that nobody knows), WEIRD_SERVER_REPLY, OUT_OF_MEMORY (a line of more than 100 kB),
#: BAD_CONTENT_ENCODING (a transfer coding), TOO_LARGE.
OUT_OF_MEMORY = 27
_NOT_HTTP = frozenset((1, 8, OUT_OF_MEMORY, 61, 100))
_ENDS = ("SSL_ERROR_SYSCALL", "SSL_ERROR_ZERO_RETURN")
_PREPARE = frozenset((43, 58, 59, 77, 82))
#: CAs and CRLs are read after the ClientHello was sent, from 7.87 on (``ossl_connect_step2`` in lib/vtls/openssl.c).
READ_LATE = frozenset((77, 82))
#: ``CURLINFO_SSL_VERIFYRESULT`` before curl has looked at OpenSSL's: ``!X509_V_OK`` (lib/vtls/openssl.c).
_NOT_YET = 1
_ERRNO = re.compile(r"errno (\d+)")
#: Of connections that fail, or end.
ERRNOS = (
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EPIPE,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ETIMEDOUT,
)


class Written(Struct, frozen=True):
    """What curl wrote when it was done.

    Args:
        exit_code, error: its exit and last words.
        verify_result: ``%{ssl_verify_result}``.
        local_port: its TCP port; 0 or -1: it never connected.
        http_code: 0: no response.
        handshake_took: seconds until its handshake was complete; 0: it never was.
        not_http: what the lab finds wrong with the response where curl does not mind it; ``""``.
        cut: the response's head is not whole, which curl does not mind either.
        switched: the response is 101, to a request that offered another protocol; curl waits for more.
        connections: that it made for this request; 0: it went on with one.
        head_size, body_size: bytes of the response.
        redirects: how many it followed.
        uploaded: bytes of the request's body that went out.
    """

    exit_code: int
    error: str
    verify_result: int
    local_port: int
    http_code: int
    handshake_took: float
    not_http: str = ""
    cut: bool = False
    switched: bool = False
    connections: int = 1
    head_size: int = 0
    body_size: int = 0
    redirects: int = 0
    uploaded: int = 0


def stopped(error: str, trace: CurlTrace) -> Written:
    """What curl would have written had it ended by itself at its time limit."""
    took = 1.0 if Direction.SENT in trace.finished else 0.0
    return Written(_TIMEOUT, error, _NOT_YET, local_port=0, http_code=0, handshake_took=took)


def view(
    version: str,
    client: ClientSpec,
    written: Written,
    trace: CurlTrace,
    response: HttpResponse | None,
    problem: Problem | None,
    command: str,
) -> ClientView:
    """Put together what is known of one exchange.

    Args:
        version: curl's.
        problem: why its own material could not be used, where its exit says that something of the kind happened.
        command: what a person types to repeat it.
    """
    spoken = bool(trace.finished) or (not client.protocol.encrypted and written.local_port > 0)
    phase = _phase(written, trace, spoken=spoken)
    transcript = trace.transcript
    received = transcript.chain(Direction.RECEIVED)
    refused = any(alert.direction is Direction.RECEIVED and alert.fatal for alert in transcript.alerts())
    # Once OpenSSL has completed the handshake with a good chain, curl checks the name itself, and then that there is an
    # issuer (``servercert`` in lib/vtls/openssl.c).
    own_refusal = (
        written.exit_code == _VERIFY and written.verify_result == _NOT_YET and not refused and bool(trace.finished)
    )
    nameless = own_refusal and received is not None and issuer(received[0]) == ""
    mismatch = own_refusal and not nameless
    # OpenSSL's own 1 (X509_V_ERR_UNSPECIFIED) looks the same, but ends the handshake.
    unspecified = written.exit_code == _VERIFY and not refused and not trace.finished
    symbol = (
        problem.symbol
        if problem is not None
        else ISSUER_NAME_EMPTY
        if nameless
        else _symbol(written, trace, spoken=spoken)
    )
    seen = ClientView(
        tool="curl",
        tool_version=version,
        phase=phase,
        problem=problem.reason if problem is not None else None,
        error=_told(written, problem),
        own_words=written.error if problem is not None and problem.text else "",
        error_symbol=symbol,
        timed_out=written.exit_code == _TIMEOUT and not written.not_http and not written.switched,
        exit_code=written.exit_code,
        verify_code=_verify_code(written, trace, received, client, certain=mismatch or unspecified),
        verify_result=written.verify_result if received is not None and phase is Phase.HANDSHAKE else None,
        name_mismatch=mismatch,
        certificate_requested=trace.requested,
        tls_version=trace.tls_version,
        cipher=trace.cipher,
        alpn=trace.alpn,
        resumed=trace.resumed,
        response=response,
        local_port=_local_port(written, trace),
        command=command,
        body_sent=written.uploaded if client.request.body and phase is not Phase.PREPARE else None,
        encrypted=client.protocol.encrypted,
        ocsp=status_reason(written.error, transcript.stapled()) if written.exit_code == _STATUS else None,
    )
    return transcript.told_to(seen)


def _verify_code(
    written: Written, trace: CurlTrace, received: tuple[bytes, ...] | None, client: ClientSpec, *, certain: bool
) -> int | None:
    """OpenSSL's result; ``certain``: curl's number is that result, even where it equals its initial value."""
    if received is None:
        return None
    if written.verify_result != _NOT_YET or certain:
        return written.verify_result
    return (
        0 if Direction.SENT in trace.finished and not client.insecure else None
    )  # it would not have gone on otherwise


def _local_port(written: Written, trace: CurlTrace) -> int | None:
    """The client's port; curl 8.14 writes -1 where the handshake was not completed, and the trace has it then."""
    if written.local_port > 0:
        return written.local_port
    return trace.local_port or None if trace.said_hello else None


def _phase(written: Written, trace: CurlTrace, *, spoken: bool) -> Phase:
    """How far it came; ``spoken``: its handshake is complete, or it makes none and is connected."""
    if written.switched:
        return Phase.DONE
    if written.not_http or (written.exit_code in _NOT_HTTP and spoken):
        return Phase.RESPONSE
    if written.exit_code == _OK:
        return Phase.RESPONSE if written.cut else Phase.DONE
    if trace.answered or written.http_code:
        return Phase.RESPONSE
    if written.exit_code not in (_VERIFY, _STATUS) and (written.handshake_took > 0 or (spoken and not trace.finished)):
        return Phase.REQUEST
    if trace.said_hello and written.exit_code not in READ_LATE:
        return Phase.HANDSHAKE
    if written.exit_code in _PREPARE:
        return Phase.PREPARE
    return (
        Phase.CONNECT if written.local_port <= 0 or written.exit_code in (_RESOLVE, CONNECT_FAILED) else Phase.HANDSHAKE
    )


def _told(written: Written, problem: Problem | None) -> str:
    if written.not_http:
        return f"{written.not_http} (curl: {written.error})" if written.error else written.not_http
    if written.switched:
        return ""
    if written.cut and written.exit_code == _OK:
        return "the server closed the connection within the head of its response"
    if problem is not None and problem.text:
        return f"{problem.text} (curl: {written.error})"
    return written.error


def _symbol(written: Written, trace: CurlTrace, *, spoken: bool) -> str:
    """OpenSSL's symbolic reason, an errno's name, or ``EOF``; by code wherever curl gives one."""
    if written.switched:
        return ""
    if written.not_http:
        return NOT_HTTP
    if written.exit_code == _OK:
        return "EOF" if written.cut else ""
    if written.exit_code == _RESOLVE:
        return "ENOTFOUND"
    if written.exit_code in (_EMPTY, _PARTIAL):
        return "EOF"
    if written.exit_code in _NOT_HTTP and spoken:
        return NOT_HTTP
    coded = openssl_errors(written.error)
    if coded:
        return "EOF" if coded[0].symbol == "UNEXPECTED_EOF_WHILE_READING" else coded[0].symbol
    numbered = _ERRNO.search(written.error)
    if numbered is not None:
        return errno.errorcode.get(int(numbered[1]), "")
    # Elsewhere curl puts strerror(3)'s text into its words; the child's locale is C.
    texts = {os.strerror(number): errno.errorcode[number] for number in (*ERRNOS, errno.EADDRNOTAVAIL)}
    for said in (written.error, *reversed(trace.notes)):
        for text, name in texts.items():
            if text in said:
                return name
    if written.exit_code == _RECV and trace.answered:
        return NOT_HTTP  # neither TLS nor the socket has anything against it: it is a chunk that can't be read
    # SSL_get_error(3): without an errno, the peer closed the connection.
    return "EOF" if any(name in written.error for name in _ENDS) else ""


def told(finished: CurlRun, count: int) -> list[Written]:
    """What ``--write-out '%{json}\\n'`` said of each request (curl's manual, WRITE OUT)."""
    try:
        results = [json.loads(line) for line in finished.output.splitlines()]
        if len(results) != count:
            raise ValueError(finished.output)
        return [
            Written(
                exit_code=finished.exit_code if count == 1 else int(one["exitcode"]),
                error=str(one.get("errormsg") or (finished.errors.partition("\n")[0] if count == 1 else "")),
                verify_result=int(one.get("ssl_verify_result", 0)),
                local_port=int(one.get("local_port", 0)),
                http_code=int(one.get("http_code", 0)),
                handshake_took=float(one.get("time_appconnect", 0)),
                connections=int(one.get("num_connects", 1)),
                head_size=int(one.get("size_header", 0)),
                body_size=int(one.get("size_download", 0)),
                redirects=int(one.get("num_redirects", 0)),
                uploaded=int(one.get("size_upload", 0)),
            )
            for one in results
        ]
    except (ValueError, AttributeError, KeyError) as error:
        raise LabError(f"curl (exit {finished.exit_code}) wrote no result: {finished.errors.strip()}") from error


def apart(
    written: Sequence[Written], heads: Kept, bodies: Kept, clients: Sequence[ClientSpec]
) -> Iterator[tuple[bytes, Kept]]:
    """Head and body of each response.

    Raises:
        LabError: there are too many bytes of them to tell them apart.
    """
    if len(written) == len(clients) == 1:
        yield bytes(heads.data), bodies
        return
    if heads.size > heads.limit or bodies.size > bodies.limit:
        raise LabError(f"the responses on one connection have more than {bodies.limit} bytes together")
    head, body = 0, 0
    for one, client in zip(written, clients, strict=False):
        kept = Kept(client.body_limit)
        kept.add(bytes(bodies.data[body : body + one.body_size]))
        yield bytes(heads.data[head : head + one.head_size]), kept
        head, body = head + one.head_size, body + one.body_size


def gone(before: ClientView) -> ClientView:
    """The view of a request that was not made: curl found the connection closed, and opened another one for it."""
    return replace(
        before,
        phase=Phase.REQUEST,
        problem=None,
        response=None,
        error="the server had closed the connection before this request",
        error_symbol="EOF",
        exit_code=None,
        request_number=before.request_number + 1,
        stays_open=False,
    )
