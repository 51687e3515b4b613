"""What an author may write about a server and a client."""

import re
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct

from mtls_runner.language.certificate import PassphraseField
from mtls_runner.language.document import Value
from mtls_runner.language.expectation import RefusalField, ServerExpect
from mtls_runner.language.shared_words import (
    BACKEND_HERE,
    RUNTIME,
    TOOL_HERE,
    ChainPart,
    ClientAuthMode,
    InPlace,
    Options,
    RequestModel,
    ResponseModel,
    Responses,
    Stapling,
    Tls,
)
from mtls_runner.language.values import (
    Bool,
    Id,
    IdRef,
    Many,
    Maybe,
    Parsed,
    Seconds,
    Short,
    Some,
    Strict,
    about,
    as_bool,
    bounded,
    derived,
    fail,
    keys_of,
    matching,
    one_key,
    separated,
    switch,
    text_value,
    word,
)
from mtls_runner.language.x509_words import ResponderRef
from mtls_runner.model.endpoint import Address, ChainKind, ChainSpec, ProxyProtocol
from mtls_runner.model.names import ascii_host
from mtls_runner.model.traits import ClientProtocol, Runtime

__all__ = [
    "ClientDescription",
    "ClientSettings",
    "OwnFile",
    "RequestModel",
    "ResponseModel",
    "ServerDescription",
    "ServerSettings",
    "VirtualHostDescription",
]

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/\[\]]+)):([0-9]{1,5})")
_NOT_IN_NAMES = frozenset(" /?#@\\")
_LONGEST_NAME, _LONGEST_LABEL = 253, 63
_LONGEST_PROTOCOL = 255
_KEY_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"file": {"type": "string"}}}]}
_ADDRESS_SCHEMA = {"type": "string", "pattern": r"^(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):[0-9]{1,5}$"}
_CACHE = r"off|none|builtin(:[0-9]{1,7})?|shared:[A-Za-z0-9_]{1,32}:[0-9]{1,6}[kKmM]"
_CHAIN_SCHEMA = {
    "anyOf": [{"enum": ["full", "leaf"]}, {"type": "string"}, {"type": "array", "items": {"type": "string"}}]
}


def _address(value: Value) -> Address:
    text = text_value(value)
    match = _HOST_PORT.fullmatch(text)
    if match is None or not text.isprintable() or not 0 < int(match[3]) < 65536:
        raise fail("this is not an address", "host:port, with a port from 1 to 65535; [::1]:8443 for IPv6")
    return Address(match[1] or _ascii(match[2]), int(match[3]))


def _chain(value: Value) -> ChainSpec:
    if value == "full":
        return ChainSpec(ChainKind.FULL)
    if value == "leaf":
        return ChainSpec(ChainKind.LEAF)
    ids = value if isinstance(value, list) else [value]
    return ChainSpec(ChainKind.IDS, tuple(text_value(one) for one in ids))


def _server_name(value: Value) -> str | None:
    if value is None:
        return None
    text = text_value(value)
    if text.startswith("["):
        raise fail("an address has brackets only in a URL", "the address itself, such as ::1")
    if not text or not text.isprintable() or not _NOT_IN_NAMES.isdisjoint(text):
        raise fail("this is not a name", "a DNS name, or null to send none")
    text = _ascii(text)
    if len(text) > _LONGEST_NAME or any(len(label) > _LONGEST_LABEL for label in text.split(".")):
        raise fail("this is too long for a name", "63 characters between dots, 253 together (RFC 1035 §2.3.4)")
    return text


def _ascii(name: str) -> str:
    try:
        return ascii_host(name)
    except ValueError:
        raise fail("this is not a name", "letters that IDNA allows in domain names (RFC 5892)") from None


def _host_name(value: Value) -> str:
    """The name of a virtual host, in lower case: case does not matter in names (RFC 4343)."""
    return _ascii(text_value(value)).lower()


def _optional_id(value: Value) -> str | None:
    return None if value is None else text_value(value)


HostName = Annotated[str, Parsed(_host_name, {"type": "string"})]
AddressField = Annotated[Address | None, Parsed(_address, _ADDRESS_SCHEMA)]
ChainField = Annotated[ChainSpec | None, Parsed(_chain, _CHAIN_SCHEMA)]


def _protocol(value: Value) -> str:
    text = text_value(value)
    if not text.isascii() or not text.isprintable() or not 0 < len(text) <= _LONGEST_PROTOCOL:
        raise fail("this is not a protocol's name", "such as http/1.1: 1 to 255 characters of ASCII (RFC 7301)")
    return text


Protocol = Annotated[str, Parsed(_protocol, {"type": "string", "minLength": 1, "maxLength": _LONGEST_PROTOCOL})]
Joined = Annotated[str | None, separated(apart=False)]
Names = Annotated[tuple[str, ...] | None, separated(apart=True)]


class _Endpoint(Strict):
    """What both ends have."""

    chain: ChainField = about(
        "What it sends after its certificate: full (without the root), leaf, or ids in order.", "leaf"
    )
    tls: Some[Tls] = about("Protocol versions that it offers.", ["TLSv1.2", "TLSv1.3"])
    ciphers: Joined = about("OpenSSL cipher list for TLS 1.2 and older.", "ECDHE+AESGCM")
    ciphersuites: Joined = about("TLS 1.3 cipher suites.", "TLS_AES_256_GCM_SHA384")
    groups: Names = about("Key exchange groups in order of preference, under OpenSSL's names.", ["X25519", "P-256"])
    signature_algorithms: Names = about("Signature algorithms, under OpenSSL's names.", "ECDSA+SHA256")
    security_level: Annotated[int | None, bounded(0, 5)] = about("OpenSSL's security level; 2 by default.", 0)
    alpn: Many[Protocol] = about("ALPN protocol names in order of preference.", ["http/1.1"])
    crl_check: Maybe[ChainPart] = about(
        "Which certificates of the other end's chain must not be on a CRL: none, leaf, or chain; chain where `crl` is given.",
        "leaf",
    )
    partial_chain: Maybe[Bool] = about(
        "Whether a trusted certificate that is no root ends a chain (openssl verify -partial_chain).", True
    )
    x509_strict: Maybe[Bool] = about(
        "RFC 5280 checks that OpenSSL skips otherwise (openssl verify -x509_strict).", True
    )


class OwnFile(Struct, frozen=True):
    """A path of the author's, as written."""

    path: str


def _mapped(value: Value) -> str:
    text = text_value(value)
    if not re.fullmatch(r"[\x21-\x7e]+", text) or text.startswith("~") or ".." in text.split("/") or text.endswith("/"):
        raise fail(
            "this is not the path of a file for the server",
            "an absolute path, or one below the server's own directory without '..'",
        )
    return text


MappedPath = Annotated[str, Parsed(_mapped, {"type": "string", "pattern": "[^/]$"})]


def _files(value: Value) -> tuple[str | OwnFile, ...]:
    if isinstance(value, list) and value:
        return tuple(map(_file, value))
    return (_file(value),)


def _file(value: Value) -> str | OwnFile:
    if isinstance(value, dict) and list(value) == ["file"]:
        return OwnFile(text_value(value["file"]))
    if isinstance(value, dict):
        raise fail("an own file is expected here", "{file: path}, relative to the scenario")
    return text_value(value)


_ONE_FILE: list[dict[str, Any]] = [
    {"type": "string", "pattern": r"\.(certificate|chain|key|passphrase|crl)$"},
    one_key("file", {"type": "string"}),
]
_FILE_SCHEMA = {"anyOf": [*_ONE_FILE, {"type": "array", "minItems": 1, "items": {"anyOf": _ONE_FILE}}]}


SessionCache = Annotated[
    str | None,
    matching(
        _CACHE,
        "this is not a cache of sessions",
        "off, none, builtin, builtin:1000 or shared:NAME:1m",
        {"type": "string", "pattern": f"^({_CACHE})$"},
    ),
]


def _upstreams(value: Value) -> tuple[tuple[str, str | None], ...]:
    if isinstance(value, dict):
        return tuple((name, text_value(server)) for name, server in value.items())
    return tuple((text_value(name), None) for name in (value if isinstance(value, list) else [value]))


_UPSTREAMS_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "additionalProperties": {"type": "string"}},
    ]
}


class ServerSettings(_Endpoint):
    """What lab.yaml may set for every server."""

    backend: Annotated[str | InPlace | None, BACKEND_HERE] = about("What serves: {backends}.", "nginx")
    runtime: Annotated[Runtime | None, RUNTIME] = about(
        "How its program is run, where the backend has a choice: process (of this machine) or container.", "process"
    )
    client_auth: Maybe[ClientAuthMode] = about(
        "Whether it asks for a client certificate and demands one; required by default.", "optional"
    )
    verify_depth: Annotated[int | None, bounded(0, 100)] = about(
        "nginx's ssl_verify_depth; its own default is 1, OpenSSL's 100.", 2
    )
    response: Maybe[ResponseModel] = about("What it answers.", {"status": 200, "body": "hello"})
    responses: Maybe[Responses] = about(
        "What it answers on some paths, which are compared %-decoded.", {"/health": {"body": "ok"}}
    )
    options: Maybe[Options] = about("The backend's own settings.", {"memory": "256m"})


class _LoneServer(ServerSettings):
    """A server but for its virtual hosts."""

    like: Maybe[Id] = about("The id of a server whose description this one takes over.", "server")
    certificate: Maybe[IdRef] = about(
        "The id of the leaf it presents; `server` by default, or the only leaf.", "server"
    )
    passphrase: PassphraseField = about(
        "What it opens its key with; the leaf's own by default, null for nothing.", "secret", None
    )
    trust: Many[IdRef] = about(
        "Authorities that client certificates are checked against; the only one by default.", ["ca"]
    )
    crl: Many[IdRef] = about(
        "CRLs that client certificates are looked up in: an authority's own, by its id, or others of `crls`.", ["ca"]
    )
    ocsp: Maybe[ChainPart] = about(
        "Which certificates of a client's chain it asks OCSP responders about: none, leaf, or chain.", "leaf"
    )
    ocsp_responder: Maybe[ResponderRef] = about("Whom it asks; the one that each certificate names by default.", "ocsp")
    ocsp_cache: Maybe[Bool] = about("Whether it remembers what they said.", True)
    stapling: Annotated[
        Stapling | None, Short(switch("responder"), {"type": ["string", "boolean", "null"]}, nullable=True)
    ] = about("Whether it sends an OCSP response with its certificate, and where it has it from.", True, "ocsp")
    advertise: Many[IdRef] = about(
        "Whose names it sends as acceptable authorities; those of `trust` by default, nobody's at the embedded server.",
        ["ca"],
    )
    other_certificates: Many[IdRef] = about(
        "Leaves with keys of other types, for clients that can't use the first one's.", ["server-rsa"]
    )
    names: Many[HostName] = about(
        "Names of its own, where it has virtual hosts; it serves all names that none of them has.", ["www.example.com"]
    )
    reject_handshake: Maybe[Bool] = about(
        "Whether it ends handshakes for its names (unrecognized_name); a server with hosts for those that none of them has, and "
        "without a name.",
        True,
    )
    session_cache: SessionCache = about(
        "nginx's ssl_session_cache: what the server keeps of sessions; nothing by default.", "shared:one:1m"
    )
    session_tickets: Maybe[Bool] = about("Whether clients keep sessions, in tickets; true by default.", False)
    session_ticket_key: Maybe[Id] = about(
        "Name of the key that encrypts tickets, the same after a reload and for all that name it; a random one by default.",
        "first",
    )
    refusal: RefusalField = about(
        "How it refuses a client once the handshake is done, where it doesn't tell: the answer's form, or closed.",
        {"status": 302, "headers": {"location": {"contains": "/login"}}},
        "closed",
    )
    address: AddressField = about("Where an external server listens.", "127.0.0.1:8443")
    image: Maybe[IdRef] = about("The container's image; lab.yaml's by default.", "nginx:1.27")
    config: Maybe[IdRef] = about("An own configuration, relative to the scenario.", "nginx.conf")
    port: Annotated[int | None, bounded(1, 65535)] = about(
        "The port that `config` listens on in the container; only beside it.", 443
    )
    files: Maybe[dict[MappedPath, Annotated[tuple[str | OwnFile, ...], Parsed(_files, _FILE_SCHEMA)]]] = about(
        "Where the configuration expects the lab's material, or own files; relative: below the server's own directory (nginx: "
        "/etc/nginx); of a list, one behind the other in one file.",
        {"/etc/nginx/certs/tls.key": "leaves.server.key", "/etc/nginx/error.html": {"file": "error.html"}},
        {"/etc/haproxy/site.pem": ["leaves.server.chain", "leaves.server.key"]},
    )
    substitutes: Maybe[dict[str, IdRef]] = about(
        "What takes the place of texts of `config`, such as the SHA-1 of a certificate that can't be had.",
        {"d2c8…": "leaves.client.fingerprint"},
    )
    upstreams: Annotated[tuple[tuple[str, str | None], ...] | None, Parsed(_upstreams, _UPSTREAMS_SCHEMA)] = about(
        "Applications that it passes requests to, as it names them: by name, address or unix:/path; a stub answers there, or a "
        "server of the file, by its id.",
        ["app", "10.0.0.5:8080", "unix:/run/app.sock"],
        {"app": "app"},
    )
    expect: Maybe[ServerExpect] = about("Whether it starts.", {"starts": False, "reason": "wrong-passphrase"})


#: What a virtual host may say otherwise than its server.
_OF_A_HOST = (
    *("reject_handshake", "certificate", "other_certificates", "passphrase", "chain"),
    *("client_auth", "verify_depth", "trust", "advertise", "crl", "crl_check", "ocsp", "ocsp_responder", "ocsp_cache"),
    *("response", "responses", "refusal", "session_cache", "session_tickets", "session_ticket_key"),
)


if TYPE_CHECKING:

    class VirtualHostDescription(_LoneServer):
        """A name-based host on a server's port."""
else:
    VirtualHostDescription = derived(
        "VirtualHostDescription",
        "A name-based host on a server's port: what it says itself, and the server's own description for the rest.",
        {
            "names": (
                Many[HostName],
                about(
                    "What clients call it (SNI and Host). Its id by default; *.example.com has every name below.",
                    ["www.example.com", "*.example.com"],
                ),
            )
        }
        | keys_of(_LoneServer, _OF_A_HOST),
    )


class ServerDescription(_LoneServer):
    """A server."""

    virtual_hosts: Maybe[dict[Id, VirtualHostDescription]] = about(
        "Name-based hosts on its port, by id.", {"shop": {"names": ["shop.example.com"], "client_auth": "none"}}
    )


class ClientSettings(_Endpoint):
    """What lab.yaml may set for every client."""

    tool: Annotated[str | InPlace | None, TOOL_HERE] = about("What connects: {tools}; {tool} by default.", "curl")
    insecure: Maybe[Bool] = about("As curl --insecure: neither chain nor name is checked.", True)
    server_name: Annotated[str | None, Parsed(_server_name, {"type": ["string", "null"]})] = about(
        "Name for SNI and for the check; localhost by default, null for none.", "www.example.com"
    )
    request: Maybe[RequestModel] = about("What it asks for.", {"path": "/orders"})
    timeout: Maybe[Seconds] = about("Seconds for the whole exchange; 10 by default.", 2.5)
    body_limit: Annotated[int | None, bounded(1, 1 << 30)] = about(
        "Bytes of a response's body that are kept to compare and report, 1 MiB by default; the rest is read and dropped.",
        10485760,
    )
    repeat: Annotated[int | None, bounded(1, 1000)] = about("Connections, one after the other; all must end alike.", 3)


def _octets(value: Value) -> bytes:
    if isinstance(value, dict) and list(value) == ["hex"]:
        try:
            octets = bytes.fromhex(text_value(value["hex"]))
        except ValueError:
            raise fail("these are no bytes in hexadecimal digits", "pairs of digits, such as 16 03 01") from None
    elif isinstance(value, dict):
        raise fail("bytes are expected here", "a text, or {hex: 16 03 01}")
    else:
        octets = text_value(value).encode()
    if not octets:
        raise fail("there are no bytes here", "at least one; left out, there are none")
    return octets


_OCTETS_SCHEMA = {
    "anyOf": [
        {"type": ["string", "number", "boolean"]},
        one_key("hex", {"type": ["string", "number"]}),
    ]
}


def _location(value: Value) -> tuple[tuple[str, str], ...] | None:
    followed = as_bool(value)
    if followed is not None:
        return () if followed else None
    if isinstance(value, dict) and value:
        return tuple((_host_name(name), text_value(server)) for name, server in value.items())
    raise fail("this is not a way to follow redirects", "true, or {shop.example: the id of a server}")


_LOCATION_SCHEMA = {"anyOf": [{"type": "boolean"}, {"type": "object", "additionalProperties": {"type": "string"}}]}
Octets = Annotated[bytes | None, Parsed(_octets, _OCTETS_SCHEMA)]


class ClientDescription(ClientSettings):
    """A client."""

    certificate: Annotated[str | None, Parsed(_optional_id, {"type": ["string", "null"]})] = about(
        "The id of the leaf it presents; none by default.", "client"
    )
    key: Annotated[str | OwnFile | None, Parsed(_file, _KEY_SCHEMA)] = about(
        "Another key than the certificate's own: a certificate's id, or a file.", "other", {"file": "wrong.key"}
    )
    passphrase: PassphraseField = about(
        "What it opens its key with; the leaf's own by default, null for nothing.", "secret", None
    )
    trust: Many[IdRef] = about("What the server's chain is checked against; the root of that chain by default.", ["ca"])
    crl: Many[IdRef] = about("CRLs that the server's certificates are looked up in, as a server's.", ["ca"])
    post_handshake_auth: Maybe[Bool] = about(
        "Whether it takes a request for its certificate after the handshake (TLS 1.3). curl does; Python's client, if told.",
        True,
    )
    cert_status: Maybe[Bool] = about(
        "As curl --cert-status: asks for a stapled OCSP response, and refuses a server without a good one.", True
    )
    proxy_protocol: Annotated[ProxyProtocol | None, word(ProxyProtocol, "a version of the PROXY protocol")] = about(
        "What it sends first, as a proxy before the server would (curl: v1 only, --haproxy-protocol).", "v2"
    )
    connect: AddressField = about("Where to connect; the server's own address by default.", "127.0.0.1:9")
    location: Annotated[tuple[tuple[str, str], ...] | None, Parsed(_location, _LOCATION_SCHEMA)] = about(
        "As curl --location: follows redirects, on its own server (true) or also to servers of the file, by the name in the URL.",
        True,
        {"shop.example": "shop"},
    )
    protocol: Annotated[ClientProtocol | None, word(ClientProtocol, "a protocol that clients speak")] = about(
        "What it speaks: https by default, http, or bytes of your own (`send`, `until`) within TLS (tls) or without (tcp).",
        "tcp",
    )
    send: Octets = about(
        "What it says, where it speaks tls or tcp: a text (UTF-8) or hexadecimal digits.",
        "PING\r\n",
        {"hex": "16 03 01"},
    )
    until: Octets = about(
        "What it reads up to then; until the server closes by default. With neither `send` nor `until` it only connects.",
        "\r\n",
    )
