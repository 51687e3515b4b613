"""The bytes of TLS handshake messages and alerts, as far as the lab reads them.

Both clients and the embedded server see the same bytes (OpenSSL's message callback, curl's trace), so that both are
read here. A body that is cut short or malformed reads as nothing, since no observation may break the exchange it observes.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from mtls_runner.model.names import NAMES, escaped
from mtls_runner.model.observation import Alert, Direction
from mtls_runner.tls import SIGNATURE_SCHEMES, WIRE_VERSIONS, alert_name

__all__ = [
    "ALPN",
    "TLS_1_3",
    "ServerHello",
    "alert",
    "block",
    "certificate_authorities",
    "certificates",
    "distinguished_name",
    "extensions",
    "issuer",
    "key_exchange_scheme",
    "protocol",
    "read_server_hello",
    "requested_algorithms",
    "stapled",
    "subject",
    "verify_scheme",
]

TLS_1_3 = 0x0304
_TLS_1_2 = 0x0303
_NAMED_CURVE = 3  # RFC 8422 §5.4
ALPN = 16
_PRE_SHARED_KEY, _SUPPORTED_VERSIONS = 41, 43  # the IANA registry of extensions
_CERTIFICATE_AUTHORITIES = 47  # RFC 8446 §4.2.4
_SIGNATURE_ALGORITHMS = 13  # RFC 8446 §4.2.3
_STATUS_REQUEST = 5  # RFC 6066 §8
_COMPRESSED, _ZLIB = 25, 1  # RFC 8879 §3 and §4

_ENCODINGS = {0x0C: "utf-8", 0x13: "utf-8", 0x16: "utf-8", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}


class _Short(Exception):
    """The bytes end before the structure does."""


def _vectors(data: bytes, width: int) -> Iterator[bytes]:
    """The elements of a list of vectors whose lengths take ``width`` bytes each (RFC 8446 §3.4)."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + width], "big")
        at += width
        if at + size > len(data):
            raise _Short
        yield data[at : at + size]
        at += size


def _vector(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    size = int.from_bytes(data[at : at + width], "big")
    start = at + width
    if start > len(data) or start + size > len(data):
        raise _Short
    return data[start : start + size], start + size


def _kinds(extensions: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each extension in a list of them (RFC 8446 §4.2)."""
    at = 0
    while at < len(extensions):
        kind = int.from_bytes(extensions[at : at + 2], "big")
        body, at = _vector(extensions, at + 2, 2)
        yield kind, body


def certificates(message: bytes, version: int) -> tuple[bytes, ...] | None:
    """The DER certificates of a Certificate or CompressedCertificate message, header included.

    RFC 8446 §4.4.2, RFC 8879 §4, RFC 5246 §7.4.2. ``None``: it can't be read; so is what another algorithm than zlib compressed.
    """
    try:
        body = _certificate_body(message)
        if version < TLS_1_3:
            entries, _ = _vector(body, 0, 3)
            return tuple(_vectors(entries, 3))
        _, at = _vector(body, 0, 1)
        entries, _ = _vector(body, at, 3)
        found = []
        at = 0
        while at < len(entries):
            certificate, at = _vector(entries, at, 3)
            _, at = _vector(entries, at, 2)
            found.append(certificate)
        return tuple(found)
    except _Short:
        return None


def _certificate_body(message: bytes) -> bytes:
    """The body of a Certificate message, decompressed if need be, up to the size that the message announces."""
    if message[:1] != bytes((_COMPRESSED,)):
        return message[4:]
    algorithm, size = int.from_bytes(message[4:6], "big"), int.from_bytes(message[6:9], "big")
    compressed, _ = _vector(message, 9, 3)
    if algorithm != _ZLIB or not size:
        raise _Short
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(compressed, size)
    except zlib.error:
        raise _Short from None
    if len(body) != size or stream.decompress(stream.unconsumed_tail, 1):
        raise _Short
    return body


def stapled(message: bytes, version: int) -> bytes | None:
    """The OCSP response in a CertificateStatus message or, on TLS 1.3, in a message of certificates, header included.

    RFC 6066 §8, RFC 8446 §4.4.2.1. ``None``: there is none.
    """
    try:
        if version < TLS_1_3:
            return _status(message[4:])
        body = _certificate_body(message)
        _, at = _vector(body, 0, 1)
        entries, _ = _vector(body, at, 3)
        _, at = _vector(entries, 0, 3)
        extensions, _ = _vector(entries, at, 2)
        for kind, value in _kinds(extensions):
            if kind == _STATUS_REQUEST:
                return _status(value)
    except _Short:
        return None
    return None


def _status(body: bytes) -> bytes | None:
    """The response in a ``CertificateStatus``, whose only kind in use is OCSP."""
    return _vector(body, 1, 3)[0] if body[:1] == b"\x01" else None


@lru_cache(maxsize=64)  # a server asks everybody for the same
def certificate_authorities(message: bytes, version: int) -> tuple[str, ...] | None:
    """The names in a CertificateRequest, header included, as RFC 4514 (RFC 8446 §4.2.4, RFC 5246 §7.4.4).

    Empty when the server names none.
    """
    try:
        _, names = _request(message, version, _CERTIFICATE_AUTHORITIES)
        return tuple(map(distinguished_name, _vectors(names, 2)))
    except _Short:
        return None


@lru_cache(maxsize=64)
def requested_algorithms(message: bytes, version: int) -> tuple[str, ...] | None:
    """The signature algorithms in a CertificateRequest (header included), by which a client may sign its CertificateVerify."""
    try:
        algorithms, _ = _request(message, version, _SIGNATURE_ALGORITHMS)
    except _Short:
        return None
    pairs = (algorithms[at : at + 2] for at in range(0, len(algorithms) - 1, 2))
    return tuple(filter(None, map(_scheme, pairs)))


def _request(message: bytes, version: int, wanted: int) -> tuple[bytes, bytes]:
    """The two lists of a CertificateRequest: of signature algorithms and of names; on TLS 1.3 only the ``wanted`` one."""
    at = 4
    if version < TLS_1_3:
        _, at = _vector(message, at, 1)
        algorithms, at = _vector(message, at, 2) if version >= _TLS_1_2 else (b"", at)
        names, _ = _vector(message, at, 2)
        return algorithms, names
    _, at = _vector(message, at, 1)
    extensions, _ = _vector(message, at, 2)
    for kind, body in _kinds(extensions):
        if kind == wanted:
            found, _ = _vector(body, 0, 2)
            return found, found
    return b"", b""


class ServerHello(NamedTuple):
    """What a ServerHello says: version, cipher suite, and what else was chosen.

    Args:
        version: as negotiated, on the wire (``0x0304``).
        cipher: OpenSSL's name of the cipher suite, or its number.
        alpn: the protocol that the server chose, up to TLS 1.2; ``None``: none, or it comes later.
        pre_shared_key: on TLS 1.3 the server took one.
    """

    version: int
    cipher: str
    alpn: str | None
    pre_shared_key: bool

    @property
    def tls_version(self) -> str | None:
        """The version by name."""
        named = WIRE_VERSIONS.get(self.version)
        return named.value if named is not None else None


def read_server_hello(data: bytes) -> ServerHello | None:
    """A whole message, its header included; ``None``: it is cut short."""
    if len(data) < 4 + 35:
        return None
    found = extensions(data, 4 + 34, suites_width=0)
    suite = 4 + 35 + data[4 + 34]
    code = int.from_bytes(data[suite : suite + 2], "big")
    return ServerHello(
        int.from_bytes(found.get(_SUPPORTED_VERSIONS, data[4:6]), "big"),
        _suites().get(code, f"0x{code:04X}"),
        protocol(found.get(ALPN)),
        _PRE_SHARED_KEY in found,
    )


def extensions(data: bytes, at: int, *, suites_width: int) -> dict[int, bytes]:
    """The extensions of a ClientHello or ServerHello, read from its legacy_session_id on."""
    at += 1 + (data[at] if at < len(data) else 0)
    if suites_width:  # ClientHello: a list of cipher suites and one of compression methods
        at += 2 + int.from_bytes(data[at : at + 2], "big")
        at += 1 + (data[at] if at < len(data) else 0)
    else:  # ServerHello: one of each
        at += 3
    return block(data, at)


def block(data: bytes, at: int) -> dict[int, bytes]:
    """An extension block, as far as it goes (RFC 8446 §4.2)."""
    end = min(len(data), at + 2 + int.from_bytes(data[at : at + 2], "big"))
    at += 2
    found: dict[int, bytes] = {}
    while at + 4 <= end:
        kind, size = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        found[kind] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return found


def protocol(extension: bytes | None) -> str | None:
    """The one name in a server's ALPN extension (RFC 7301 §3.1)."""
    if extension is None or len(extension) < 3:
        return None
    return extension[3 : 3 + extension[2]].decode("ascii", "replace")


@cache
def _suites() -> dict[int, str]:
    """OpenSSL's names of all cipher suites that it knows, by their number on the wire."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {suite["id"] & 0xFFFF: suite["name"] for suite in context.get_ciphers()}


def _scheme(code: bytes) -> str | None:
    return SIGNATURE_SCHEMES.get(int.from_bytes(code, "big"), f"0x{code.hex().upper()}") if len(code) == 2 else None


def verify_scheme(message: bytes, version: int) -> str | None:
    """The signature scheme in a CertificateVerify, header included; ``None``: before TLS 1.2, where none is named."""
    return _scheme(message[4:6]) if version >= _TLS_1_2 else None


def key_exchange_scheme(message: bytes, version: int) -> str | None:
    """The signature scheme in a ServerKeyExchange with a named curve (RFC 8422 §5.4), header included; ``None``: another kind."""
    if version != _TLS_1_2 or message[4:5] != bytes((_NAMED_CURVE,)) or len(message) < 8:
        return None
    at = 8 + message[7]
    return _scheme(message[at : at + 2])


def alert(message: bytes, direction: Direction) -> Alert | None:
    """An alert record's two bytes (RFC 8446 §6). On TLS 1.3 every alert but closure is fatal, whatever its level says."""
    if len(message) < 2:
        return None
    level, code = message[0], message[1]
    return Alert(direction, alert_name(code), code, fatal=level == 2 and code != 0)


# --- distinguished names ---------------------------------------------------------------------------------------------


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content and end of the DER element at ``at`` (X.690 §8.1)."""
    if at + 2 > len(data):
        raise _Short
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        width = size & 0x7F
        if not 1 <= width <= 4 or at + width > len(data):
            raise _Short
        size, at = int.from_bytes(data[at : at + width], "big"), at + width
    if at + size > len(data):
        raise _Short
    return tag, data[at : at + size], at + size


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, content, at = _element(data, at)
        yield tag, content


def _oid(content: bytes) -> str:
    arcs: list[int] = []
    value = 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            if not arcs:
                first = min(value // 40, 2)
                arcs = [first, value - 40 * first]
            else:
                arcs.append(value)
            value = 0
    return ".".join(map(str, arcs))


def _attribute(content: bytes) -> str:
    (_, oid), (tag, value) = list(_elements(content))[:2]
    kind = _oid(oid)
    name = NAMES.get(kind, kind)
    encoding = _ENCODINGS.get(tag)
    if encoding is None:
        return f"{name}=#{value.hex()}"
    return f"{name}={escaped(value.decode(encoding, 'replace'))}"


@lru_cache(maxsize=1024)
def distinguished_name(der: bytes) -> str:
    """A DER ``Name`` as RFC 4514 text (last RDN first); an unreadable one as ``#<hex>``."""
    try:
        _, content, _ = _element(der, 0)
        rdns = ["+".join(_attribute(pair) for _, pair in _elements(rdn)) for _, rdn in _elements(content)]
    except (_Short, ValueError):
        return f"#{der.hex()}"
    return ",".join(reversed(rdns))


def _name(certificate: bytes, fields_before: int) -> str:
    """A ``Name`` of a DER certificate's ``TBSCertificate`` (RFC 5280 §4.1); ``""`` for an unreadable one."""
    try:
        _, content, _ = _element(certificate, 0)
        _, tbs, _ = _element(content, 0)
        at = 0
        tag, _, end = _element(tbs, at)
        if tag == 0xA0:  # [0] version, absent in version 1
            at = end
        for _ in range(fields_before):
            _, _, at = _element(tbs, at)
        _, _, end = _element(tbs, at)
        return distinguished_name(tbs[at:end])
    except _Short:
        return ""


@lru_cache(maxsize=4096)
def subject(certificate: bytes) -> str:
    """The subject of a DER certificate as RFC 4514 text; ``""`` for an empty or unreadable one."""
    return _name(certificate, 4)  # serialNumber, signature, issuer, validity


def issuer(certificate: bytes) -> str:
    """The issuer of a DER certificate as RFC 4514 text; ``""`` for an empty or unreadable one."""
    return _name(certificate, 2)  # serialNumber, signature
