"""Names as an author writes them → names as X.509 has them. Each text is parsed once."""

from __future__ import annotations

import ipaddress
import warnings
from functools import lru_cache

from cryptography import x509

from mtls_runner.errors import MaterialError
from mtls_runner.model.distinguished_name import parse
from mtls_runner.tls.dns_names import ascii_host, ascii_uri

__all__ = ["constraint", "distinguished_name", "general_name"]


@lru_cache(maxsize=4096)
def distinguished_name(text: str) -> x509.Name:
    """RFC 4514 text → Name; ``""`` is the empty name.

    Raises:
        MaterialError: it is none.
    """
    try:
        return x509.Name(x509.RelativeDistinguishedName(map(_attribute, rdn)) for rdn in reversed(parse(text)))
    except ValueError as error:
        raise MaterialError(
            f"{text!r} is not a distinguished name as RFC 4514 writes it (CN=name,O=organization): {error}"
        ) from error


def _attribute(pair: tuple[str, str]) -> x509.NameAttribute[str]:
    oid, value = x509.ObjectIdentifier(pair[0]), pair[1]
    try:
        return x509.NameAttribute(oid, value)
    except ValueError:
        # X.520 gives most attributes a character at the least and 64 at most; OpenSSL reads others, too.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x509.NameAttribute(oid, value, _validate=False)


@lru_cache(maxsize=4096)
def general_name(text: str) -> x509.GeneralName:
    """``DNS:…``, ``IP:…``, ``URI:…``, ``email:…``, ``dirName:…``, ``RID:…`` → GeneralName (RFC 5280 §4.2.1.6).

    Raises:
        MaterialError: it is none.
    """
    kind, colon, value = text.partition(":")
    try:
        if not colon:
            raise ValueError("no type before a colon")
        return _general_name(kind, value)
    except ValueError as error:  # UnicodeError is one
        raise MaterialError(f"{text!r} is not a subject alternative name: {error}") from error


def _general_name(kind: str, value: str) -> x509.GeneralName:
    match kind.lower():
        case "dns":
            return x509.DNSName(ascii_host(value))
        case "ip":
            return x509.IPAddress(ipaddress.ip_address(value))
        case "uri":
            return x509.UniformResourceIdentifier(ascii_uri(value))
        case "email":
            local, at, host = value.rpartition("@")
            return x509.RFC822Name(f"{local}{at}{ascii_host(host)}")
        case "dirname":
            return x509.DirectoryName(distinguished_name(value))
        case "rid":
            return x509.RegisteredID(x509.ObjectIdentifier(value))
        case _:
            raise ValueError("its type is none of DNS, IP, URI, email, dirName, RID")


@lru_cache(maxsize=4096)
def constraint(text: str) -> x509.GeneralName:
    """An entry of name constraints (RFC 5280 §4.2.1.10): as :func:`general_name`, an IP is a network (CIDR or netmask).

    Raises:
        MaterialError: it is none.
    """
    kind, _, value = text.partition(":")
    if kind.lower() != "ip":
        return general_name(text)
    try:
        return x509.IPAddress(ipaddress.ip_network(value))
    except ValueError as error:
        raise MaterialError(f"{text!r} is not a name constraint: {error}") from error
