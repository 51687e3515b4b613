"""Names as people type them: distinguished names (RFC 4514), internationalized domain names, and addresses in their place.

Two texts mean the same distinguished name where attribute types (by name or OID), values and order agree, however they were
escaped.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, urlsplit

__all__ = [
    "ATTRIBUTES",
    "DOTTED_OID",
    "NAMES",
    "Name",
    "ascii_host",
    "ascii_uri",
    "covers",
    "escaped",
    "is_address",
    "parse",
    "same_form",
    "write",
]

#: Attribute types: RFC 4514 §3's nine, and those of RFC 4519, PKCS #9 and X.520 that OpenSSL prints under these names.
ATTRIBUTES: Mapping[str, str] = {
    "CN": "2.5.4.3",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "C": "2.5.4.6",
    "STREET": "2.5.4.9",
    "DC": "0.9.2342.19200300.100.1.25",
    "UID": "0.9.2342.19200300.100.1.1",
    "emailAddress": "1.2.840.113549.1.9.1",
    "serialNumber": "2.5.4.5",
    "SN": "2.5.4.4",
    "GN": "2.5.4.42",
    "title": "2.5.4.12",
    "initials": "2.5.4.43",
    "pseudonym": "2.5.4.65",
    "generationQualifier": "2.5.4.44",
    "dnQualifier": "2.5.4.46",
    "postalCode": "2.5.4.17",
    "organizationIdentifier": "2.5.4.97",
}
NAMES: Mapping[str, str] = {oid: name for name, oid in ATTRIBUTES.items()}

#: Relative names in the order of the text (the last one first, RFC 4514 §2.1), each with its attributes: OID and value.
Name = tuple[tuple[tuple[str, str], ...], ...]

DOTTED_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,39})){1,40}")
_TYPE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9][0-9.]*)\s*=\s*")
_PAIR = r"\\(?:[ \"#+,;<=>\\]|[0-9a-fA-F]{2})"
_VALUE = re.compile(rf"(?:{_PAIR}|[^\\\"+,;<>\x00])*")
_CHARACTER = re.compile(rf"({_PAIR})|(.)", re.DOTALL)
_STRINGS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}


@lru_cache(maxsize=4096)
def parse(text: str) -> Name:
    """What a text says; the empty text is the empty name.

    Raises:
        ValueError: it is no distinguished name; the message says why, for people.
    """
    if not text.strip():
        return ()
    rdns: list[list[tuple[str, str]]] = [[]]
    at = 0
    while True:
        found = _TYPE.match(text, at)
        if found is None:
            raise ValueError("CN=name,O=organization is the form; a comma or quote within a value takes a backslash")
        oid = _type(found[1])
        raw = _VALUE.match(text, found.end())
        end = raw.end() if raw is not None else found.end()
        value = _value(text[found.end() : end])
        if found[1] == "C" and len(value) != 2:
            raise ValueError("C takes the two letters of a country")
        rdns[-1].append((oid, value))
        if end == len(text):
            return tuple(map(tuple, rdns))
        if text[end] not in ",+":
            raise ValueError("a character here takes a backslash before it (RFC 4514 §2.4)")
        if text[end] == ",":
            rdns.append([])
        at = end + 1


def _type(written: str) -> str:
    if written[0].isdigit():
        if not DOTTED_OID.fullmatch(written):
            raise ValueError(f"{written} is not an OID")
        return written
    if written == "street":  # as OpenSSL spells it
        return ATTRIBUTES["STREET"]
    if written not in ATTRIBUTES:
        raise ValueError(f"{written} is not a name of RFC 4514; any other attribute can be written by its OID")
    return ATTRIBUTES[written]


def _value(raw: str) -> str:
    """Without escapes, and without blanks at its end that were not escaped (people write "CN = a, O = b")."""
    if raw.startswith("#"):
        return _encoded(raw[1:].strip())
    data, kept = bytearray(), 0
    for pair, plain in _CHARACTER.findall(raw):
        if not pair:
            data += plain.encode()
        elif len(pair) == 2:
            data += pair[1:].encode()
        else:
            data.append(int(pair[1:], 16))
        if pair or not plain.isspace():
            kept = len(data)
    try:
        return bytes(data[:kept]).decode()
    except UnicodeDecodeError:
        raise ValueError("the bytes that are written in hexadecimal digits are not UTF-8") from None


def _encoded(digits: str) -> str:
    """A value in hexadecimal digits is its BER encoding (RFC 4514 §2.4); here, a string's."""
    try:
        data = bytes.fromhex(digits)
        encoding = _STRINGS[data[0]]
        if data[1] != len(data) - 2:
            raise ValueError
        return data[2:].decode(encoding)
    except (ValueError, LookupError):
        raise ValueError(
            "# begins the hexadecimal digits of an encoded string; as a character it takes a backslash"
        ) from None


def write(rdns: Iterable[Iterable[tuple[str, str]]]) -> str:
    """The text of a name in one form: as :data:`Name`; attribute types by name where they have one."""
    return ",".join("+".join(f"{NAMES.get(oid, oid)}={escaped(value)}" for oid, value in rdn) for rdn in rdns)


def escaped(value: str) -> str:
    """RFC 4514 §2.4."""
    text = "".join(f"\\{c}" if c in '\\"+,;<>' else "\\00" if c == "\0" else c for c in value)
    if text[:1] in {"#", " "}:
        text = "\\" + text
    if len(value) > 1 and value.endswith(" "):
        text = text[:-1] + "\\ "
    return text


def same_form(text: str) -> str:
    """Equal for texts that mean the same name; a text that is none stays as it is."""
    try:
        return write(sorted(rdn) for rdn in parse(text))
    except ValueError:
        return text


@lru_cache(maxsize=1024)
def ascii_host(name: str) -> str:
    """A name with A-labels for labels with other letters (IDNA 2008 after UTS #46's mapping, as curl and browsers do).

    What is ASCII stays as it is: ``*`` for any label, a leading dot, patterns of nginx.

    Raises:
        ValueError: a label is none that IDNA 2008 allows.
    """
    if name.isascii():
        return name
    import idna

    mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
    return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split("."))


def ascii_uri(uri: str) -> str:
    """A URI for an IRI (RFC 3987 §3.1): its host with A-labels, everything else percent-encoded UTF-8.

    Raises:
        ValueError: as :func:`ascii_host`.
    """
    if uri.isascii():
        return uri
    host = urlsplit(uri).netloc.rpartition("@")[2]
    return quote(uri.replace(host, ascii_host(host), 1), safe="%/:=&?~#+!$,;'@()*[]")


def is_address(text: str) -> bool:
    """Whether it is an IP address, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def covers(known: str, asked: str) -> bool:
    """Whether a DNS name of a certificate is for the one that was asked for; a wildcard stands for the first label
    (RFC 6125 §6.4.3).
    """
    if known.startswith("*."):
        return asked.partition(".")[2] == known[2:] and bool(asked.partition(".")[0])
    return known == asked
