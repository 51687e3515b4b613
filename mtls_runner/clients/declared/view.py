"""What a declared client wrote → what it saw of one exchange."""

from __future__ import annotations

import base64
import binascii
import errno
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.clients.curl.outcome import ERRNOS
from mtls_runner.clients.curl.trace import CurlTrace
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.implementation import DeclaredClient
from mtls_runner.model.observation import ClientView, Direction, HttpResponse, Outcome, Phase, Reason
from mtls_runner.tls import REASONS
from mtls_runner.tls.classify import AFTER_VERIFICATION
from mtls_runner.tls.dialects import FACTS, Told, compiled, tls_version, told

__all__ = ["Wrote", "client_view"]

_ERRNOS = {
    text: errno.errorcode[number]
    for number in ERRNOS
    for text in (os.strerror(number).lower(), errno.errorcode[number].lower(), f"errno={number}")
} | dict.fromkeys(("connection reset", "connectionreseterror", "error in the pull function"), "ECONNRESET")
_ERRNOS["could not connect to server"] = "ECONNREFUSED"
"""How programs write errno values; and what Java, asyncio, GnuTLS (lib/errors.c, GNUTLS_E_PULL_ERROR) and libcurl (lib/connect.c)
write for one."""
_ENDS = re.compile(
    r"\bEOF\b|unexpected eof|closed by (?:the )?(?:peer|remote)|peer has closed|non-properly terminated|empty reply"
    r"|remote (?:host|end) (?:terminated|closed)|server disconnected|parser received no bytes",
    re.IGNORECASE,
)
_HUNG_UP = re.compile("socket hang up|socket disconnected")
"""Node's words where the connection was closed; it calls that ECONNRESET, too."""
_NOT_TLS = re.compile("HTTP response to HTTPS client|unexpected TLS packet|plaintext connection|InvalidContentType")
"""As Go, GnuTLS, Java and rustls say it."""
_TROUBLE = re.compile(r"error|fail|refused|could not", re.IGNORECASE)
"""Lines that tell of an error: where both streams are one, the last line need not."""
_UNRESOLVED = re.compile(
    r"no such host|name or service not known|(?:not|unable to) resolve|\bENOTFOUND\b", re.IGNORECASE
)
_NEVER_CONNECTED = ("ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND")


class Wrote(Struct, frozen=True):
    """A client that has ended.

    Args:
        exit_code: its own.
        output, errors: its two streams.
        trace: its handshake messages, where it prints them.
        timed_out: it was killed, since its time was over.
    """

    exit_code: int
    output: bytes
    errors: bytes
    trace: CurlTrace | None = None
    timed_out: bool = False


def client_view(
    name: str,
    version: str,
    declared: DeclaredClient,
    client: ClientSpec,
    wrote: Wrote,
    command: str,
    local_port: int | None,
    *,
    encrypted: bool,
) -> ClientView:
    """What the program wrote, as a :class:`~mtls_runner.model.observation.ClientView`.

    Args:
        name, version: of the tool.
        declared: how to read what it wrote.
        client: what it was told.
        wrote: all of it.
        command: what a person types to repeat it.
        local_port: that it was told to connect from; ``None``: it chose one itself.
        encrypted: whether its key is encrypted.
    """
    lines = _lines(declared, wrote)
    saw = _facts(declared, lines)
    trace = wrote.trace
    response = _response(declared, client, wrote, saw)
    patterns = (*declared.refused, *declared.dialect.lines)
    # A client that checks nothing may say all the same what it would have found.
    said = (
        None if response is not None else told(patterns, lines, lambda one: not (client.insecure and one.verify_code))
    )
    if said is not None and saw.get("verified") and _refuses(said):
        # It has taken the server's certificate already: what it minds now is something else, its own or a session ticket.
        said = replace(said, reasons=(), symbol=AFTER_VERIFICATION)
    problem = (
        _problem(declared, client, lines, encrypted=encrypted) if response is None and not _began(saw, trace) else None
    )
    symbol = _symbol(lines, said) if response is None else ""
    phase = _phase(saw, trace, response, problem, symbol, said, timed_out=wrote.timed_out)
    if phase is Phase.REQUEST and declared.response == "raw" and not (symbol or said or wrote.timed_out):
        symbol = "EOF"  # such a client goes on until the server ends it, and says nothing of that
    verify_code = said.verify_code if said is not None else 0 if trace and Direction.SENT in trace.finished else None
    reasons = frozenset(said.reasons) if said is not None else frozenset()
    view = ClientView(
        tool=name,
        tool_version=version,
        phase=phase,
        problem=_why(problem, client, encrypted=encrypted),
        error=_error(lines, problem or said) if response is None else "",
        error_symbol=symbol,
        timed_out=wrote.timed_out,
        verify_code=verify_code if not client.insecure or verify_code else None,
        name_mismatch=reasons == {Reason.NAME_MISMATCH},
        alerts=(said.alert,) if said is not None and said.alert is not None else (),
        agreed=bool(saw.get("agreed")),
        certificate_requested=_requested(declared, saw),
        sent_chain=_sent(declared, saw),
        received_chain=_certificates(saw, "peer"),
        tls_version=tls_version(_one(saw, "tls")),
        cipher=_one(saw, "cipher"),
        alpn=_one(saw, "alpn") or None,
        response=response,
        body_sent=_number(_one(saw, "body_sent")) if client.request.body else None,
        local_port=local_port or _number(_one(saw, "local_port")),
        command=command,
        reasons=reasons,
    )
    return view if trace is None else _with_messages(view, trace)


def _with_messages(view: ClientView, trace: CurlTrace) -> ClientView:
    """The view with the handshake messages that the client printed, which count more than its words."""
    return replace(
        trace.transcript.told_to(view),
        certificate_requested=trace.requested,
        tls_version=trace.tls_version or view.tls_version,
        cipher=trace.cipher or view.cipher,
        alpn=trace.alpn or view.alpn,
        resumed=trace.resumed,
    )


def _refuses(said: Told) -> bool:
    """Whether it refuses the server's certificate; the signature of the handshake is checked later, and does not count."""
    if said.reasons == (Reason.BAD_SIGNATURE,):
        return False
    return bool(said.symbol or frozenset(said.reasons) & REASONS[Outcome.CLIENT_REFUSED])


def _lines(declared: DeclaredClient, wrote: Wrote) -> list[str]:
    """The lines of both streams, but not of a raw response."""
    parts = (wrote.errors,) if declared.response == "raw" else (wrote.output, wrote.errors)
    return [line.rstrip("\r") for part in parts for line in part.decode("utf-8", "replace").split("\n")]


def _facts(declared: DeclaredClient, lines: Sequence[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    regexes = [compiled(expression) for expression in declared.facts]
    lines = lines[_last_connection(regexes, lines) :]
    for regex in regexes:
        for line in lines:
            match = regex.search(line)
            if match is None:
                continue
            FACTS.add(regex.pattern)
            for name, text in match.groupdict().items():
                if text is not None:
                    found[name].append(text)
    return found


def _last_connection(regexes: Sequence[re.Pattern[str]], lines: Sequence[str]) -> int:
    """Index of the line where the last connection begins: a client that connects once more tells the port of each."""
    ports = [
        (number, match["local_port"])
        for regex in regexes
        if "local_port" in regex.groupindex
        for number, line in enumerate(lines)
        if (match := regex.search(line)) is not None and match["local_port"] is not None
    ]
    return ports[-1][0] if len({port for _, port in ports}) > 1 else 0


def _one(saw: Mapping[str, list[str]], name: str) -> str | None:
    return saw[name][0] if saw.get(name) else None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _certificates(saw: Mapping[str, list[str]], name: str) -> tuple[bytes, ...] | None:
    found = [_decoded(text) for text in saw.get(name, ())]
    return tuple(one for one in found if one) or None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _sent(declared: DeclaredClient, saw: Mapping[str, list[str]]) -> tuple[bytes, ...] | None:
    """The certificates that it sent; empty: it was asked and sent an empty message; ``None``: it does not tell."""
    chain = _certificates(saw, "sent")
    none = saw.get("no_certificate") or (saw.get("asked") and _tells(declared, "sent"))
    return () if chain is None and none else chain


def _tells(declared: DeclaredClient, fact: str) -> bool:
    """Whether the client prints this fact at all."""
    return any(f"(?P<{fact}>" in text for text in declared.facts)


def _requested(declared: DeclaredClient, saw: Mapping[str, list[str]]) -> bool | None:
    if saw.get("asked"):
        return True
    return False if saw.get("tls") and _tells(declared, "asked") else None


def _began(saw: Mapping[str, list[str]], trace: CurlTrace | None) -> bool:
    """Whether a handshake began, which means that its own material could be used."""
    return trace.said_hello if trace is not None else bool(saw.get("local_port"))


def _problem(declared: DeclaredClient, client: ClientSpec, lines: Sequence[str], *, encrypted: bool) -> Told | None:
    passphrase = client.passphrase is not None or encrypted
    patterns = (*declared.start, *declared.dialect.start)
    return told(patterns, lines, lambda said: said.unusable(passphrase=passphrase) is not None)


def _why(problem: Told | None, client: ClientSpec, *, encrypted: bool) -> Reason | None:
    if problem is None:
        return None
    reason = problem.unusable(passphrase=client.passphrase is not None or encrypted)
    return Reason.PASSPHRASE_NEEDED if reason is Reason.WRONG_PASSPHRASE and client.passphrase is None else reason


def _symbol(lines: Sequence[str], said: Told | None) -> str:
    """OpenSSL's symbolic reason, or its equivalent of what another library says; an errno's name, ``EOF`` or ``ENOTFOUND``."""
    if said is not None and said.symbol and not said.alert:
        return said.symbol
    for line in reversed(lines):
        if _NOT_TLS.search(line):
            return "WRONG_VERSION_NUMBER"
        if _HUNG_UP.search(line):
            return "EOF"
        for text, name in _ERRNOS.items():
            if text in line.lower():
                return name
        if _UNRESOLVED.search(line):
            return "ENOTFOUND"
    return "EOF" if any(_ENDS.search(line) for line in lines) else ""


def _phase(
    saw: Mapping[str, list[str]],
    trace: CurlTrace | None,
    response: HttpResponse | None,
    problem: Told | None,
    symbol: str,
    said: Told | None,
    *,
    timed_out: bool,
) -> Phase:
    if response is not None:
        return Phase.DONE
    if problem is not None:
        return Phase.PREPARE
    if said is not None and (said.verify_code or said.reasons):
        # Even where it looks at the server's certificate once the handshake is over (libcurl since 8.17).
        return Phase.HANDSHAKE
    if trace is not None:
        if Direction.SENT in trace.finished and Direction.RECEIVED in trace.finished:
            return Phase.REQUEST
        if trace.said_hello:
            return Phase.HANDSHAKE
    elif saw.get("tls"):
        return Phase.REQUEST
    return Phase.CONNECT if symbol in _NEVER_CONNECTED or (trace is not None and timed_out) else Phase.HANDSHAKE


def _error(lines: Sequence[str], said: Told | None) -> str:
    if said is not None:
        return said.line.strip()
    written = [line.strip() for line in reversed(lines) if line.strip()]
    return next((line for line in written if _TROUBLE.search(line)), written[0] if written else "")


def _response(
    declared: DeclaredClient, client: ClientSpec, wrote: Wrote, saw: Mapping[str, list[str]]
) -> HttpResponse | None:
    """The response, if all of it came."""
    if declared.response == "raw":
        return _raw(client, wrote)
    status = _number(_one(saw, "status"))
    if status is None or wrote.exit_code != 0:
        return None
    names = [name.lower() for name in saw.get("header_name", ())]
    headers = tuple(zip(names, saw.get("header_value", ()), strict=False))
    body = _decoded(_one(saw, "body") or "")
    return HttpResponse(status, headers, body[: client.body_limit], len(body))


_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r?\n(.*?)\r?\n\r?\n", re.DOTALL)


def _raw(client: ClientSpec, wrote: Wrote) -> HttpResponse | None:
    """The last head that is no informational one (RFC 9110 §15.2), and as much of the body as its length says."""
    text = wrote.output
    found = _STATUS.match(text)
    while found is not None and found[1].startswith(b"1"):
        text = text[found.end() :]
        found = _STATUS.match(text)
    if found is None:
        return None
    headers = tuple(
        (name.strip().lower(), value.strip())
        for name, colon, value in (line.partition(":") for line in found[2].decode("latin-1").splitlines())
        if colon
    )
    body = text[found.end() :]
    length = _number(dict(headers).get("content-length"))
    if length is not None and len(body) < length and client.request.method != "HEAD":
        return None
    body = body if length is None else body[:length]
    return HttpResponse(int(found[1]), headers, body[: client.body_limit], len(body))
