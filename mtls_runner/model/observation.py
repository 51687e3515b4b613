"""What happened: what each end saw, and the one outcome that follows from it.

A client returns a :class:`ClientView`, a running server a :class:`ServerView`; ``tls.classify`` makes one
:class:`Observation` of the two. What could not be observed is ``None`` (or empty), and never matches an expectation.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from mtls_runner.model import Reason
from mtls_runner.model.certificate import Guarded

__all__ = [
    "Alert",
    "ClientView",
    "Conclusion",
    "Direction",
    "HttpRequest",
    "HttpResponse",
    "Message",
    "Observation",
    "Outcome",
    "Phase",
    "Reason",
    "ServerView",
    "field_value",
    "readable",
]


class Outcome(StrEnum):
    """One word for each thing that can happen."""

    ACCEPTED = "accepted"
    ANSWERED = "answered"
    """The handshake was completed and an answer came, and nothing tells whether that is a refusal."""
    SERVER_REFUSED = "server-refused"
    CLIENT_REFUSED = "client-refused"
    NO_AGREEMENT = "no-agreement"
    CLIENT_UNUSABLE = "client-unusable"
    NO_CONNECTION = "no-connection"
    PROTOCOL_ERROR = "protocol-error"
    """The other end broke TLS or HTTP."""
    TIMED_OUT = "timed-out"
    SERVER_STARTED = "server-started"
    """A server's own expectation: it started (``server.expect: {starts: true}``)."""
    SERVER_UNUSABLE = "server-unusable"
    """A server's own expectation: it could not start (``server.expect: {starts: false, reason: …}``)."""


_WITHOUT_REASON = (Outcome.ACCEPTED, Outcome.ANSWERED, Outcome.SERVER_STARTED)


class Direction(StrEnum):
    """Which way a message went, seen from the end that recorded it."""

    SENT = "sent"
    RECEIVED = "received"


class Message(Struct, frozen=True):
    """One handshake message, alert or ChangeCipherSpec, as one end saw it.

    ``name`` is RFC 8446's or RFC 5246's (``ClientHello``, ``CertificateRequest``, …); an alert's is its description.
    ``size`` is in bytes.
    """

    direction: Direction
    name: str
    size: int
    alert: bool = False


class Alert(Struct, frozen=True):
    """A TLS alert (RFC 8446 §6): its description's name and number, and which way it went."""

    direction: Direction
    name: str
    code: int
    fatal: bool = True


class Phase(StrEnum):
    """How far a client came. Each includes the ones before it."""

    PREPARE = "prepare"
    CONNECT = "connect"
    HANDSHAKE = "handshake"
    REQUEST = "request"
    """Its own handshake, if it makes one, is complete; on TLS 1.3 the server has not yet judged the client certificate."""
    RESPONSE = "response"
    """Something of a response arrived."""
    DONE = "done"
    """A whole response arrived, or all that a client that speaks no HTTP waits for."""


class HttpRequest(Struct, frozen=True):
    """A request as a server (or the application behind it) saw it; field values as octets in Latin-1."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()


def readable(fields: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Header fields for people: what stands beyond ASCII is UTF-8, as scenarios are, or else Latin-1 (RFC 9110 §5.5)."""
    return tuple((name, _utf8(value)) for name, value in fields)


def _utf8(value: str) -> str:
    try:
        return value if value.isascii() else value.encode("latin-1").decode()
    except UnicodeError:
        return value


def field_value(fields: Iterable[tuple[str, str]], name: str) -> str | None:
    """All values that a header field has, as one (RFC 9110 §5.2); ``None``: it is not there.

    Args:
        fields: names and values.
        name: in lower case.
    """
    found = [value for key, value in fields if key.lower() == name]
    return ", ".join(found) if found else None


class HttpResponse(Struct, frozen=True):
    """A response as the client saw it; header names in lower case, values as octets in Latin-1, or as the client read them.

    ``body`` is what was kept of ``size`` bytes that came: all, or the first of them (``ClientSpec.body_limit``).
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    size: int = 0

    @property
    def cut(self) -> bool:
        """Whether more came of the body than was kept."""
        return self.size > len(self.body)


class ClientView(Guarded, frozen=True):
    """What a client saw of one exchange; nothing here is an interpretation.

    Args:
        tool, tool_version: who (``curl``, ``7.88.1``).
        phase: how far it came.
        problem: why its own material could not be used (``client-unusable``), set only in ``PREPARE``; or, as
            ``protocol-version``, that it allows no version that its security level can speak; or ``cipher``.
        error: the tool's own last word (an exception's reason, curl's message); for people, never matched.
        own_words: the tool's own message, where ``error`` is the lab's explanation of what is wrong with the material.
        error_symbol: OpenSSL's symbolic reason (``CERTIFICATE_VERIFY_FAILED``), an errno name (``ECONNREFUSED``), ``ENOTFOUND``
            (the name can't be resolved), ``EOF`` (the connection was closed, with close_notify or without) or ``HTTP`` (what came
            is not HTTP/1.1); ``""``.
        timed_out: the time limit passed in ``phase``.
        exit_code: curl's exit, or for another client what curl of a named version would have exited with.
        exit_predicted: ``exit_code`` is that prediction.
        verify_result: what the client itself gives as the result of its verification, where that is another number than
            ``verify_code`` (curl's ``%{ssl_verify_result}``: 1 where curl itself refuses); ``None``: the same.
        verify_code: OpenSSL's result for the server's chain (``X509_V_*``; 0 is OK); ``None``: it was not verified.
        name_mismatch: the chain was good, the name was not.
        ocsp: what it held against the server by OCSP, though the chain was good.
        alerts: in order.
        messages: handshake messages, in order.
        agreed: both ends had agreed on version and cipher suite, as it says itself where its messages are not seen.
        certificate_requested: a CertificateRequest arrived; ``None``: not known.
        ca_names: certificate_authorities of the CertificateRequest, RFC 4514; ``None``: none came or not known.
        requested_algorithms: signature algorithms of the CertificateRequest (RFC 8446 §4.2.3 names); ``None``: as for the names.
        sent_chain: DER certificates of the Certificate message that it sent; ``None``: it sent no such message.
        received_chain: DER certificates that the server sent; ``None``: no such message.
        tls_version, cipher, alpn, resumed: as negotiated.
        response: what came back.
        received: the same as bytes, of a client that makes no HTTP requests, as far as they were kept.
        local_port: its TCP port, which the server sees as the peer's; ``None``: never connected.
        command: what a person types to repeat it, without a secret.
        signature_algorithms: those by which the server, then the client, proved to have its key (RFC 8446 §4.2.3 names);
            ``None``: that end did not, or it was not seen.
        reasons: what its own words allow as the reason why it ended the exchange, where they give no code: of a refusal
            (``client-refused``) or of a disagreement (``no-agreement``). Empty: they don't say.
        messages_left_out: how many messages came after those that were kept.
        request_number: which of its connection's requests this is, from 1; the handshake's fields are the connection's.
        stays_open: the client keeps the connection for further requests.
        encrypted: it speaks TLS.
        body_sent: bytes of its request's body that went out; ``None``: it has none, or nobody counted.
    """

    hidden: ClassVar = frozenset({"sent_chain", "received_chain", "received"})

    tool: str
    tool_version: str
    phase: Phase
    problem: Reason | None = None
    error: str = ""
    own_words: str = ""
    error_symbol: str = ""
    timed_out: bool = False
    exit_code: int | None = None
    exit_predicted: bool = False
    verify_result: int | None = None
    verify_code: int | None = None
    name_mismatch: bool = False
    alerts: tuple[Alert, ...] = ()
    messages: tuple[Message, ...] = ()
    agreed: bool = False
    certificate_requested: bool | None = None
    ca_names: tuple[str, ...] | None = None
    sent_chain: tuple[bytes, ...] | None = None
    received_chain: tuple[bytes, ...] | None = None
    tls_version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    resumed: bool | None = None
    response: HttpResponse | None = None
    received: bytes | None = None
    local_port: int | None = None
    command: str = ""
    ocsp: Reason | None = None
    signature_algorithms: tuple[str | None, str | None] = (None, None)
    reasons: frozenset[Reason] = frozenset()
    messages_left_out: int = 0
    request_number: int = 1
    stays_open: bool = False
    requested_algorithms: tuple[str, ...] | None = None
    encrypted: bool = True
    body_sent: int | None = None

    @property
    def shaken(self) -> bool:
        """Whether it completed its own handshake."""
        return self.phase in (Phase.REQUEST, Phase.RESPONSE, Phase.DONE)

    @property
    def answered(self) -> bool:
        """Whether any part of an answer came."""
        return self.phase is Phase.RESPONSE or (
            self.phase is Phase.DONE and (self.response is not None or bool(self.received))
        )

    @property
    def sent_certificate(self) -> bool:
        """Whether it sent one, be it compressed in a way that can't be read here (RFC 8879 §3: Brotli, Zstandard)."""
        compressed = (
            each.name == "CompressedCertificate" and each.direction is Direction.SENT for each in self.messages
        )
        return bool(self.sent_chain) or any(compressed)


class ServerView(Struct, frozen=True):
    """What a server saw of one connection.

    Args:
        source: where it comes from, for people (``python ssl``, ``nginx log``).
        handshake_complete: whether the server finished its handshake; ``None``: it doesn't tell.
        timed_out: it gave up waiting for the client.
        error: its own words, for people.
        error_symbol: OpenSSL's symbolic reason (``PEER_DID_NOT_RETURN_A_CERTIFICATE``), or ``""``.
        verify_code: OpenSSL's result for the client's chain; ``None``: nothing was verified.
        client_verify: as nginx ``$ssl_client_verify``: ``SUCCESS``, ``NONE``, ``FAILED:…``; ``None``: unknown.
        client_subject: RFC 4514 subject of the client certificate it saw; ``None``: none, or unknown.
        ocsp: what it held against the client by OCSP, though the chain was good.
        presented: subject of the certificate that the client sent, whatever became of it; ``None``: none, or unknown.
        refused_status: the HTTP status by which it refused the certificate itself (nginx 400/495/496/497), or ``None``.
        wants_proxy_protocol: it closed the connection, since that did not begin with the PROXY protocol.
        alerts, messages: from the server's side, in order; empty where it doesn't tell.
        request: the HTTP request it saw.
        behind: id of a server of the plan that this one connected to, as a proxy, and what that server saw; ``None``: none.
        unheard: ids of servers of the plan that it could have connected to, and that saw nothing.
        upstream_request: what it forwarded to an application, as that application saw it.
        server_name: SNI as received.
        tls_version, cipher: as negotiated.
        resumed: the session was resumed.
        log: its log lines of this connection.
        telling: whether these say anything of it that the lab understands; ``False``: nothing but the lines is known.
        reasons: what its own words allow as the reason why it ended the exchange, where they give no code: of a refusal
            (``server-refused``) or of a disagreement (``no-agreement``). Empty: they don't say.
        heard: rank of its latest news among those of its server's connections: what came later (a request, its end) is higher.
    """

    source: str
    handshake_complete: bool | None = None
    error: str = ""
    error_symbol: str = ""
    verify_code: int | None = None
    client_verify: str | None = None
    client_subject: str | None = None
    refused_status: int | None = None
    alerts: tuple[Alert, ...] = ()
    messages: tuple[Message, ...] = ()
    request: HttpRequest | None = None
    upstream_request: HttpRequest | None = None
    behind: tuple[str, ServerView] | None = None
    unheard: tuple[str, ...] = ()
    server_name: str | None = None
    tls_version: str | None = None
    cipher: str | None = None
    resumed: bool | None = None
    log: tuple[str, ...] = ()
    telling: bool = True
    ocsp: Reason | None = None
    presented: str | None = None
    timed_out: bool = False
    reasons: frozenset[Reason] = frozenset()
    wants_proxy_protocol: bool = False
    heard: int = 0


class Conclusion(Struct, frozen=True):
    """Who refused whom, and why, as far as the evidence carries.

    Args:
        outcome: exactly one; ``None``: nothing that the lab recognises (an error, never a pass).
        reasons: what the evidence allows, in the order of :class:`Reason`: one, or several where it can't tell them apart;
            empty where the outcome has none, or nothing says why.
    """

    outcome: Outcome | None
    reasons: tuple[Reason, ...] = ()

    @property
    def reason(self) -> Reason | None:
        """The one that the evidence allows; ``other``: nothing says why; ``None``: several are possible, or none is due."""
        if len(self.reasons) == 1:
            return self.reasons[0]
        return Reason.OTHER if not self.determined and not self.reasons else None

    @property
    def determined(self) -> bool:
        """Whether the evidence allows exactly one reason, or the outcome has none."""
        return len(self.reasons) == 1 or self.outcome in (None, *_WITHOUT_REASON)

    @property
    def written(self) -> str:
        """As a scenario writes it: ``accepted``, ``server-refused: expired``, ``server-refused: [unknown-ca, self-signed]``."""
        if self.outcome is None:
            return "not recognised"
        if len(self.reasons) > 1:
            return f"{self.outcome}: [{', '.join(self.reasons)}]"
        return f"{self.outcome}: {self.reason}" if self.reason is not None else str(self.outcome)


class Observation(Conclusion, frozen=True):
    """The outcome of one exchange, and all that was seen. Field names are those of ``expect:`` in a scenario.

    Args:
        summary: one sentence for people: who refused whom, and why.
        hint: what usually causes it or what to do; ``""``.
        evidence: one short sentence for each fact that the outcome and reason rest on, client's and server's.
        alert, alert_from: the fatal alert that ended it (RFC 8446 name) and the end that sent it (``client``/``server``).
        client_chain: ids (or subjects, where the lab doesn't know the certificate) that the client really sent.
        server_chain: the same for the server.
        handshake: names of the handshake messages in order, as the client saw them.
        server_name: the name that the server received (SNI); ``None``: none, or it doesn't tell.
        server_signature_algorithm, client_signature_algorithm: the one by which that end proved to have its key.
        redirects: how many were followed; ``None``: the client follows none.
        body_sent: whether all of the request's body went out; ``None``: it has none, or nobody counted.
        upstream: what a server of the plan behind the server saw: ``outcome``, ``reason``, ``client_subject``, as far as known.
        client, server: the two views; ``server`` is ``None`` where the server can't be asked or never saw it.
    """

    summary: str = ""
    hint: str = ""
    evidence: tuple[str, ...] = ()
    status: int | None = None
    headers: tuple[tuple[str, str], ...] | None = None
    body: bytes | None = None
    received: bytes | None = None
    redirects: int | None = None
    body_sent: bool | None = None
    curl_exit: int | None = None
    alert: str | None = None
    alert_from: str | None = None
    ssl_verify_result: int | None = None
    server_verify_code: int | None = None
    tls_version: str | None = None
    cipher: str | None = None
    alpn: str | None = None
    server_subject: str | None = None
    client_subject: str | None = None
    client_verify: str | None = None
    client_chain: tuple[str, ...] | None = None
    server_chain: tuple[str, ...] | None = None
    client_ca_names: tuple[str, ...] | None = None
    upstream_headers: tuple[tuple[str, str], ...] | None = None
    handshake: tuple[str, ...] | None = None
    resumed: bool | None = None
    server_log: tuple[str, ...] | None = None
    client: ClientView | None = None
    server: ServerView | None = None
    server_name: str | None = None
    server_signature_algorithm: str | None = None
    client_signature_algorithm: str | None = None
    upstream: tuple[tuple[str, str], ...] | None = None

    @property
    def predicted(self) -> bool:
        """Whether ``curl_exit`` is what curl would have exited with: another client connected."""
        return self.curl_exit is not None and self.client is not None and self.client.exit_predicted
