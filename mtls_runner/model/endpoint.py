"""What a scenario describes of servers and clients, once defaults, short forms and ``like:`` are resolved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar
from urllib.parse import unquote

from msgspec import Struct

from mtls_runner.model.certificate import Guarded, Secret
from mtls_runner.model.observation import HttpResponse, field_value, readable
from mtls_runner.model.revocation import ResponderSpec, RevocationCheck, StaplingSpec
from mtls_runner.model.traits import BackendTraits, ClientProtocol, ClientTraits, Directives, Runtime

if TYPE_CHECKING:
    from mtls_runner.model.case import Matcher, Observed

__all__ = [
    "Address",
    "ByIdentity",
    "ByMeeting",
    "ChainKind",
    "ChainSpec",
    "ClientAuth",
    "ClientSpec",
    "EndSpec",
    "KeySource",
    "MappedFile",
    "MappedPart",
    "ProxyProtocol",
    "RefusalForm",
    "Request",
    "Response",
    "ServerSpec",
    "TlsVersion",
    "VerifyFlag",
    "VirtualHost",
    "decoded_path",
    "has_gap",
]


class TlsVersion(StrEnum):
    """Protocol versions under nginx's names (``ssl_protocols``)."""

    V1_0 = "TLSv1"
    V1_1 = "TLSv1.1"
    V1_2 = "TLSv1.2"
    V1_3 = "TLSv1.3"


def has_gap(versions: Sequence[TlsVersion]) -> bool:
    """Whether a version between the lowest and the highest is left out; ascending."""
    known = tuple(TlsVersion)
    first = known.index(versions[0])
    return tuple(versions) != known[first : first + len(versions)]


class ChainKind(StrEnum):
    """What an end sends of its chain."""

    FULL = "full"
    """The certificate and its intermediates, without the root."""
    LEAF = "leaf"
    """The certificate alone."""
    IDS = "ids"
    """Exactly the listed certificates after the leaf, in that order."""


class ChainSpec(Struct, frozen=True):
    """What an end is configured to send after its own certificate."""

    kind: ChainKind = ChainKind.FULL
    ids: tuple[str, ...] = ()


class VerifyFlag(StrEnum):
    """OpenSSL ``X509_V_FLAG_*`` that change a verdict; never left to an interpreter's default."""

    PARTIAL_CHAIN = "partial_chain"
    """A trusted certificate that is no root ends a chain (``X509_V_FLAG_PARTIAL_CHAIN``)."""
    STRICT = "x509_strict"
    """RFC 5280 checks that OpenSSL skips otherwise (``X509_V_FLAG_X509_STRICT``)."""


class Address(Struct, frozen=True):
    """Host (name or IP literal, without brackets) and TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_DEFAULT_BODY_LIMIT = 1 << 20
"""Bytes of a response's body that are kept."""


class ProxyProtocol(StrEnum):
    """How a client tells where it comes from, as a proxy in front of the server would (haproxy.org, proxy-protocol.txt)."""

    V1 = "v1"
    V2 = "v2"


class KeySource(Struct, frozen=True):
    """A private key other than the presented certificate's own: another certificate's by id, or a file."""

    id: str | None = None
    file: Path | None = None


class Request(Guarded, frozen=True):
    """The HTTP request (RFC 9110). ``Host`` is added when absent.

    ``limit_rate``: bytes of its body a second, as ``curl --limit-rate``; 0: as fast as they go.
    """

    hidden: ClassVar = frozenset({"headers", "body"})

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    limit_rate: int = 0

    @property
    def safe(self) -> bool:
        """Whether it may be made twice (RFC 9110 §9.2.1)."""
        return self.method in ("GET", "HEAD")

    @property
    def host(self) -> str | None:
        """Its own ``Host``; ``None``: the one that is added."""
        return next((value for name, value in self.headers if name.lower() == "host"), None)


class EndSpec(Guarded, frozen=True, kw_only=True):
    """What a server and a client have in common.

    Args:
        chain: what it is configured to send.
        trust: ids of the certificates that the other end's chain is checked against, in order.
        tls: protocol versions that it offers, ascending.
        ciphers: OpenSSL cipher string for TLS 1.2 and below; ``None``: the program's own default.
        ciphersuites: TLS 1.3 cipher suites, colon-separated; ``None``: OpenSSL's default.
        groups: key exchange groups in order of preference; empty: OpenSSL's default.
        signature_algorithms: what it accepts and uses; empty: OpenSSL's default.
        security_level: OpenSSL security level, 0 to 5.
        alpn: ALPN protocol names in order of preference.
        verify_flags: OpenSSL verification flags.
        crl: ids of the CRLs that it has loaded.
        crl_check: which certificates of the other end's chain must not be on them.
        clock: how far ahead its program's clock is.
    """

    chain: ChainSpec = ChainSpec()
    trust: tuple[str, ...] = ()
    tls: tuple[TlsVersion, ...] = (TlsVersion.V1_2, TlsVersion.V1_3)
    ciphers: str | None = None
    ciphersuites: str | None = None
    groups: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()
    security_level: int = 2
    alpn: tuple[str, ...] = ()
    verify_flags: frozenset[VerifyFlag] = frozenset()
    crl: tuple[str, ...] = ()
    crl_check: RevocationCheck = RevocationCheck.NONE
    clock: timedelta = timedelta(0)


class ClientSpec(EndSpec, frozen=True):
    """One client. For the rest see :class:`EndSpec`.

    Args:
        tool: what connects.
        certificate: id of the leaf to present; ``None``: none.
        key: another key than the certificate's own; ``None``: its own.
        passphrase: what the client is given to open the key with; ``None``: nothing.
        insecure: as ``curl --insecure``: neither chain nor name is checked.
        server_name: SNI and the name that is checked (RFC 6066 §3); ``None``: none sent, the address is checked.
        connect: where to connect; ``None``: the server's own address.
        request: what it asks for.
        timeout: seconds for the whole exchange.
        body_limit: bytes of a response's body that are kept; what comes after them is read and dropped.
        repeat: connections, one after the other; all must end alike.
        post_handshake_auth: whether it takes a request for its certificate after the handshake (TLS 1.3, RFC 8446 §4.6.2);
            ``None``: as its program does.
        cert_status: as ``curl --cert-status``: asks for a stapled OCSP response, and takes none for a refusal.
        proxy_protocol: what it sends before the handshake; ``None``: nothing.
        protocol: what it speaks.
        send: its own bytes, where it makes no HTTP requests.
        location: it follows redirects (``curl --location``): to its own server, and by the name in their URL (``NAME`` or
            ``NAME:PORT``) to other servers of the plan; ``None``: it does not.
        reached: where these are, while they run.
        until: what it reads up to then; empty: until the server closes. With neither it only connects.
    """

    hidden: ClassVar = frozenset({"send"})

    tool: ClientTraits
    certificate: str | None = None
    key: KeySource | None = None
    passphrase: Secret | None = None
    insecure: bool = False
    server_name: str | None = "localhost"
    connect: Address | None = None
    request: Request = Request()
    timeout: float = 10.0
    body_limit: int = _DEFAULT_BODY_LIMIT
    repeat: int = 1
    cert_status: bool = False
    post_handshake_auth: bool | None = None
    proxy_protocol: ProxyProtocol | None = None
    protocol: ClientProtocol = ClientProtocol.HTTPS
    send: bytes = b""
    until: bytes = b""
    location: tuple[tuple[str, ServerSpec], ...] | None = None
    reached: tuple[tuple[str, Address], ...] = ()

    @property
    def says(self) -> str:
        """What it sends once it is connected, for people; ``""``: nothing."""
        if self.protocol.asks:
            return f"{self.request.method} {self.request.path}"
        return repr(self.send)[1:] if self.send else ""


class ClientAuth(StrEnum):
    """nginx ``ssl_verify_client``: off, optional, optional_no_ca, on."""

    NONE = "none"
    OPTIONAL = "optional"
    OPTIONAL_NO_CA = "optional_no_ca"
    REQUIRED = "required"


def decoded_path(target: str) -> str:
    """The path of a request's target as nginx's ``location`` compares it: without the query, and %-decoded (RFC 3986 §6.2.2)."""
    return unquote(target.partition("?")[0])


class Response(Struct, frozen=True):
    """What a server answers: for one path, or (``path`` is ``None``) for every other.

    Args:
        path: %-decoded, as :func:`decoded_path` has it.
        client_auth: what the path demands of the client, as applications do; ``None``: what the server demands.
        identity: it answers who the client is, as JSON.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    path: str | None = None
    client_auth: ClientAuth | None = None
    identity: bool = False

    @property
    def rules(self) -> bool:
        """Whether the answer depends on who the client is."""
        return self.client_auth is not None or self.identity


class RefusalForm(Struct, frozen=True):
    """How a server refuses a client once the handshake is done, as its author declares it.

    Args:
        status, body: alternatives; empty: any.
        headers: name in lower case and alternatives; all of them have to fit.
        closed: it closes the connection without an answer (nginx's 444).
    """

    status: tuple[Matcher, ...] = ()
    headers: tuple[tuple[str, tuple[Matcher, ...]], ...] = ()
    body: tuple[Matcher, ...] = ()
    closed: bool = False

    def fits(self, response: HttpResponse) -> bool:
        """Whether an answer has this form."""
        if self.closed:
            return False
        shown = readable(response.headers)
        fields = [(wanted, field_value(shown, name)) for name, wanted in self.headers]
        wanted: list[tuple[tuple[Matcher, ...], Observed]] = [(self.status, response.status), *fields]
        wanted.append((self.body, response.body.decode("utf-8", "replace")))
        return all(not ways or any(way.fits(value) for way in ways) for ways, value in wanted)


class MappedPart(StrEnum):
    """What a file holds of a certificate or authority of the lab's."""

    CERTIFICATE = "certificate"
    CHAIN = "chain"
    KEY = "key"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word of the language
    CRL = "crl"


class MappedFile(Struct, frozen=True):
    """What goes into a file that an own configuration expects.

    Args:
        path: there; relative ones begin at the program's own directory.
        own: a file of the user's; ``None``: the lab's material goes into it.
        certificate: id of the certificate, or of the CRL.
        part: what of it.
    """

    path: str
    own: Path | None = None
    certificate: str = ""
    part: MappedPart = MappedPart.CERTIFICATE


class ServerSpec(EndSpec, frozen=True):
    """One server. For the rest see :class:`EndSpec`.

    Args:
        id: unique within the plan; ``server`` for the only one.
        backend: what runs it.
        configured_for: the backend that its own configuration (``config``) is written for, where ``backend`` is another one;
            ``None``: it is for ``backend``, or there is none.
        runtime: how its program is run, where the backend has a choice; ``None``: as it does of its own accord.
        certificate: id of the leaf it presents; ``None`` only where the backend brings its own (external, ``config``).
        passphrase: what it is given to open its key with; ``None``: nothing.
        client_auth: whether it asks for and demands a client certificate.
        advertise: ids whose subjects go into CertificateRequest's certificate_authorities; ``None``: those of ``trust``.
        verify_depth: nginx ``ssl_verify_depth``; ``None``: the program's own default (nginx: 1).
        responses: what it answers; the entry whose ``path`` is ``None`` is for every path not named.
        address: where an ``external`` server listens.
        options: the backend's own settings (``image``, ``config``, ``port``, …), each a name with a text.
        files: what an own configuration expects; entries with the same path are joined in one file, in order.
        substitutes: texts of an own configuration, each with the id of the certificate whose fingerprint (SHA-1, as nginx and
            OpenSSL print it) takes its place.
        upstreams: applications of an own configuration, as it names them, that are stubs, or servers of the plan.
        behind: those of them that are servers of the plan; a stub answers at the others.
        reached: where these are, while they run.
        asked: names by which the plan's clients ask for it, while it runs with an own configuration.
        ocsp: which certificates of a client's chain it asks OCSP responders about (nginx ``ssl_ocsp``).
        ocsp_responder: URI that it asks; ``None``: the one in each certificate.
        ocsp_cache: whether it remembers what they said (nginx ``ssl_ocsp_cache``).
        stapling: whether it sends an OCSP response with its own certificate.
        responders: those that it can reach.
        names: of its default name-based host, which also serves every other name that none of ``hosts`` has.
        hosts: name-based virtual hosts on the same port.
        reject_handshake: it ends a handshake for its own names by the alert unrecognized_name (nginx ``ssl_reject_handshake``).
        other_certificates: ids of leaves with keys of other types, presented to clients that can't use the first one's.
        refusal: how it refuses a client by HTTP, or by closing; ``None``: not declared.
        alone: its files are replaced while it runs, so that it shares neither process nor container with another.
        session_cache: nginx ``ssl_session_cache``; ``None``: what the backend does of its own accord.
        session_tickets: whether sessions are kept by clients, in tickets (RFC 5077), rather than in its cache.
        session_ticket_key: name of the key that encrypts tickets; hosts with equal names share it. ``None``: a random one.
    """

    id: str
    backend: BackendTraits
    certificate: str | None
    passphrase: Secret | None
    client_auth: ClientAuth = ClientAuth.REQUIRED
    advertise: tuple[str, ...] | None = None
    verify_depth: int | None = None
    responses: tuple[Response, ...] = (Response(),)
    address: Address | None = None
    configured_for: BackendTraits | None = None
    options: tuple[tuple[str, str], ...] = ()
    files: tuple[MappedFile, ...] = ()
    substitutes: tuple[tuple[str, str], ...] = ()
    upstreams: tuple[str, ...] = ()
    behind: tuple[tuple[str, ServerSpec], ...] = ()
    reached: tuple[tuple[str, Address], ...] = ()
    asked: tuple[str, ...] = ()
    ocsp: RevocationCheck = RevocationCheck.NONE
    ocsp_responder: str | None = None
    ocsp_cache: bool = False
    stapling: StaplingSpec | None = None
    responders: tuple[ResponderSpec, ...] = ()
    names: tuple[str, ...] = ()
    hosts: tuple[VirtualHost, ...] = ()
    reject_handshake: bool = False
    other_certificates: tuple[str, ...] = ()
    session_cache: str | None = None
    session_tickets: bool = True
    session_ticket_key: str | None = None
    refusal: RefusalForm | None = None
    alone: bool = False
    runtime: Runtime | None = None

    def host(self, name: str | None) -> ServerSpec:
        """The description that counts for a name (SNI or Host): of the virtual host that has it, or its own."""
        if name is not None and self.hosts:
            wanted = name.lower().rstrip(".")
            for fits in (str.__eq__, _wildcard):
                for host in self.hosts:
                    if any(fits(wanted, known.lower()) for known in host.names):
                        return host.server
        return self

    def response_to(self, target: str) -> Response | None:
        """What it answers to a request for this path and query; ``None``: its description does not say."""
        by_path = {response.path: response for response in self.responses}
        return by_path.get(decoded_path(target)) or by_path.get(None)

    @property
    def directives(self) -> Directives | None:
        """In which words its own configuration speaks; ``None``: it has none, or nobody knows."""
        return (self.configured_for or self.backend).directives if self.option("config") else None

    @property
    def every_host(self) -> tuple[ServerSpec, ...]:
        """Its own description, then that of each of its name-based virtual hosts."""
        return (self, *(host.server for host in self.hosts))

    @property
    def asks_later(self) -> bool:
        """Whether it asks for no certificate in the handshake, but on some of its paths after it."""
        return self.client_auth is ClientAuth.NONE and any(one.client_auth is not None for one in self.responses)

    @property
    def stubs(self) -> tuple[str, ...]:
        """Those of ``upstreams`` where a stub answers."""
        return tuple(name for name in self.upstreams if name not in dict(self.behind))

    def option(self, name: str, default: str = "") -> str:
        """The backend's own setting ``name``."""
        return dict(self.options).get(name, default)


def _wildcard(name: str, known: str) -> bool:
    """``*.example.com`` has any name below it (nginx ``server_name``)."""
    return known.startswith("*.") and name.endswith(known[1:])


class VirtualHost(Struct, frozen=True):
    """A name-based host on a server's port.

    Args:
        id: unique on its server.
        names: what clients call it (SNI, Host); ``*.example.com`` has any name below.
        server: its description, with the server's own where it says nothing itself; it has no hosts.
    """

    id: str
    names: tuple[str, ...]
    server: ServerSpec


K = TypeVar("K")
V = TypeVar("V")


class ByIdentity(Generic[K, V]):
    """A mapping from objects, two equal ones being two.

    It holds its keys: the identity of an object that is gone is given to a new one (Python's documentation of ``id``),
    which would be taken for the old one.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[int, tuple[K, V]] = {}

    def get(self, key: K) -> V | None:
        """What is remembered about this very object."""
        entry = self._entries.get(id(key))
        return None if entry is None else entry[1]

    def set(self, key: K, value: V) -> V:
        """Remember it, and return it."""
        self._entries[id(key)] = (key, value)
        return value


class ByMeeting(Generic[V]):
    """What is remembered about a server and a client that meet: many cases of one file have the same two.

    It holds both, as :class:`ByIdentity` does. Threads may ask; what two of them make at a time is the same.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[tuple[int, int], tuple[ServerSpec, ClientSpec | None, V]] = {}

    def get(self, server: ServerSpec, client: ClientSpec | None, make: Callable[[], V]) -> V:
        """What is remembered, or is made now."""
        key = (id(server), id(client))
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = (server, client, make())
        return entry[2]
