"""The bytes of TLS handshake messages and alerts, as far as the lab reads them.

Both clients and the embedded server see the same bytes (OpenSSL's message callback, curl's trace), so that both are
read here. A body that is cut short or malformed reads as nothing, since no observation may break the exchange it observes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from mtls_runner.model.distinguished_name import NAMES, escaped
from mtls_runner.model.observation import Alert, Direction
from mtls_runner.tls.names import alert_name

__all__ = ["alert", "certificate_authorities", "certificates", "distinguished_name", "issuer", "stapled", "subject"]

_TLS_1_3 = 0x0304
_CERTIFICATE_AUTHORITIES = 47  # RFC 8446 §4.2.4
_STATUS_REQUEST = 5  # RFC 6066 §8

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


def certificates(message: bytes, version: int) -> tuple[bytes, ...] | None:
    """The DER certificates of a Certificate message, header included (RFC 8446 §4.4.2, RFC 5246 §7.4.2)."""
    try:
        at = 4
        if version < _TLS_1_3:
            entries, _ = _vector(message, at, 3)
            return tuple(_vectors(entries, 3))
        _, at = _vector(message, at, 1)
        entries, _ = _vector(message, at, 3)
        found = []
        at = 0
        while at < len(entries):
            certificate, at = _vector(entries, at, 3)
            _, at = _vector(entries, at, 2)
            found.append(certificate)
        return tuple(found)
    except _Short:
        return None


def stapled(message: bytes, version: int) -> bytes | None:
    """The OCSP response in a CertificateStatus message or, on TLS 1.3, in a Certificate message, header included.

    RFC 6066 §8, RFC 8446 §4.4.2.1. ``None``: there is none.
    """
    try:
        if version < _TLS_1_3:
            return _status(message[4:])
        _, at = _vector(message, 4, 1)
        entries, _ = _vector(message, at, 3)
        _, at = _vector(entries, 0, 3)
        extensions, _ = _vector(entries, at, 2)
        at = 0
        while at < len(extensions):
            kind = int.from_bytes(extensions[at : at + 2], "big")
            body, at = _vector(extensions, at + 2, 2)
            if kind == _STATUS_REQUEST:
                return _status(body)
    except _Short:
        return None
    return None


def _status(body: bytes) -> bytes | None:
    """``CertificateStatus``, of which OCSP is the one kind that is in use."""
    return _vector(body, 1, 3)[0] if body[:1] == b"\x01" else None


def certificate_authorities(message: bytes, version: int) -> tuple[str, ...] | None:
    """The names in a CertificateRequest, header included, as RFC 4514 (RFC 8446 §4.2.4, RFC 5246 §7.4.4).

    Empty when the server names none.
    """
    try:
        at = 4
        if version < _TLS_1_3:
            _, at = _vector(message, at, 1)
            _, at = _vector(message, at, 2)
            names, _ = _vector(message, at, 2)
            return tuple(map(distinguished_name, _vectors(names, 2)))
        _, at = _vector(message, at, 1)
        extensions, _ = _vector(message, at, 2)
        at = 0
        while at < len(extensions):
            kind = int.from_bytes(extensions[at : at + 2], "big")
            body, at = _vector(extensions, at + 2, 2)
            if kind == _CERTIFICATE_AUTHORITIES:
                names, _ = _vector(body, 0, 2)
                return tuple(map(distinguished_name, _vectors(names, 2)))
    except _Short:
        return None
    return ()


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
