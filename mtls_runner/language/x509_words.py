"""What X.509 has words for, as an author writes it: subjects, alternative names, usages, OIDs, moments, serials, revocation."""

import ipaddress
import re
from collections.abc import Mapping
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Annotated

from mtls_runner.language.document import Plain, Value
from mtls_runner.language.values import (
    IdRef,
    Json,
    Parsed,
    Strict,
    about,
    fail,
    text_value,
    word,
)
from mtls_runner.model.certificate import KeyAlgorithm, KeyCipher, Moment
from mtls_runner.model.names import DOTTED_OID, ascii_host, ascii_uri, is_address, parse
from mtls_runner.model.revocation import RevocationReason

__all__ = [
    "CIPHERS",
    "DER",
    "EXTENDED_KEY_USAGES",
    "FIRST_MOMENT",
    "HASHES",
    "KEY_ALGORITHMS",
    "KEY_USAGES",
    "MOMENT",
    "OID",
    "SERIAL",
    "SUBJECT",
    "NullableMoment",
    "ResponderRef",
    "Revoked",
    "alternative_name",
    "constraint_name",
    "subject_fault",
    "usages",
]

KEY_ALGORITHMS = tuple(algorithm.value for algorithm in KeyAlgorithm)
#: OpenSSL's own names and their synonyms (``openssl list -cipher-algorithms``).
CIPHERS: Mapping[str, KeyCipher] = {
    **{cipher.value: cipher for cipher in KeyCipher},
    "des3": KeyCipher.DES_EDE3_CBC,
    "aes256": KeyCipher.AES_256_CBC,
}
HASHES = ("sha256", "sha384", "sha512", "sha1", "md5")

#: RFC 5280 §4.2.1.3.
KEY_USAGES = (
    "digitalSignature",
    "contentCommitment",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
#: RFC 5280 §4.2.1.12.
EXTENDED_KEY_USAGES = (
    "serverAuth",
    "clientAuth",
    "codeSigning",
    "emailProtection",
    "timeStamping",
    "OCSPSigning",
    "anyExtendedKeyUsage",
)
_USAGE_WORDS: Mapping[str, tuple[str, ...]] = {
    "server": ("serverAuth",),
    "client": ("clientAuth",),
    "both": ("serverAuth", "clientAuth"),
    "none": (),
}
_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)+")
"""Of which no host's name is made: its last label would be a number (URL Standard, "ends in a number")."""
_RELATIVE = re.compile(r"[+-]?(?:[0-9]{1,7}[smhdw])+")
_MOMENT_SCHEMA: Json = {
    "type": "string",
    "pattern": r"^(now|[+-]?([0-9]{1,7}[smhdw])+|[0-9]{4}-?[0-9W]{2}-?[0-9]{1,2}([T ].*)?)$",
}
_PART = re.compile(r"([0-9]+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_GENERAL_NAMES = {name.lower(): name for name in ("DNS", "IP", "URI", "email", "dirName", "RID")}
#: As ``openssl`` takes them, in one text.
_SEVERAL = re.compile(rf",\s*(?:{'|'.join(_GENERAL_NAMES)}):", re.IGNORECASE)
_TEXT_OR_NUMBER: Mapping[str, object] = {"type": ["string", "number"]}
#: Where UTCTime begins; certificates and CRLs have no earlier one.
FIRST_MOMENT = datetime(1950, 1, 1, tzinfo=UTC)
_MAX_SERIAL = 1 << 159  # RFC 5280 §4.1.2.2: at most 20 octets, positive


def subject_fault(text: str) -> str:
    """Why ``text`` is no distinguished name of RFC 4514; ``""``: it is one (so is the empty text)."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return ""


def _subject(value: Value) -> str:
    text = text_value(value)
    fault = subject_fault(text)
    if fault:
        raise fail("this is not a distinguished name as RFC 4514 writes it", fault)
    return text


def _oid(value: Value) -> str:
    text = text_value(value)
    if not DOTTED_OID.fullmatch(text):
        raise fail("this is not an OID", "numbers with dots between them, such as 1.3.6.1.5.5.7.3.2")
    return text


def _serial(value: Value) -> int:
    number = value.value if isinstance(value, Plain) else None
    if type(number) is not int or not 0 < number < _MAX_SERIAL:
        raise fail("this is not a serial number", "a whole number from 1 to 2^159 - 1, such as 4711 or 0x1A2B")
    return number


def _der(value: Value) -> bytes:
    try:
        data = bytes.fromhex(text_value(value).replace(":", ""))
    except ValueError:
        data = b""
    if not data:
        raise fail("this is not DER in hexadecimal digits", "such as 05 00 (NULL) or 0c:02:68:69 (UTF8String)")
    return data


def _moment(value: Value) -> Moment:
    text = text_value(value)
    if text == "now":
        return Moment()
    if _RELATIVE.fullmatch(text):
        amounts: dict[str, int] = {}
        for amount, unit in _PART.findall(text):
            amounts[_UNITS[unit]] = amounts.get(_UNITS[unit], 0) + int(amount)
        offset = timedelta(**amounts)
        if abs(offset) <= timedelta(days=366 * 1000):
            offset = -offset if text[0] == "-" else offset
            _not_too_early(datetime.now(UTC) + offset)
            return Moment(offset=offset)
    try:
        absolute = datetime.fromisoformat(text)
    except ValueError:
        raise fail(
            "this is not a time",
            "relative to the run (-10d, +30d, -1h30m), now, or absolute (2026-01-31, 2026-01-31T12:00:00Z)",
        ) from None
    try:
        absolute = absolute.replace(tzinfo=UTC) if absolute.tzinfo is None else absolute.astimezone(UTC)
    except OverflowError:  # of the first year or the last one, and in UTC of none
        absolute = absolute.replace(tzinfo=UTC)
        if absolute.year == MAXYEAR:
            raise fail("this is after the year 9999", "9999-12-31T23:59:59Z or earlier") from None
    _not_too_early(absolute)
    return Moment(absolute=absolute)


def moment(text: str) -> Moment:
    """A time as people write it.

    Raises:
        ValueError: it is none.
    """
    return _moment(text)


def _not_too_early(moment: datetime) -> None:
    if moment < FIRST_MOMENT:
        raise fail("this is before the year 1950", "1950-01-01 or later (RFC 5280 §4.1.2.5)")


def alternative_name(value: Value) -> str:
    """A subject alternative name with its type before it, which is seen from its form where the author gives none."""
    text = text_value(value)
    kind, colon, rest = text.partition(":")
    known = _GENERAL_NAMES.get(kind.lower()) if colon else None
    if known is not None and not (known == "IP" and is_address(text)):
        return _checked_name(known, rest)
    if is_address(text):
        return f"IP:{text}"
    if "://" in text:
        return f"URI:{_with_a_labels('URI', text)}"
    if _NUMBERS.fullmatch(text):
        raise fail("this is not an IP address", "127.0.0.1 or ::1; DNS:… for a name that looks like one")
    return _checked_name("email" if "@" in text else "DNS", text)


def constraint_name(value: Value) -> str:
    """An entry of name constraints; an IP is a network."""
    text = text_value(value)
    kind, colon, rest = text.partition(":")
    known = _GENERAL_NAMES.get(kind.lower()) if colon else None
    if known not in (None, "IP"):
        return (
            f"{known}:{_with_a_labels(known, rest)}" if known in ("DNS", "email", "URI") else _checked_name(known, rest)
        )
    network = rest if known else text
    try:
        return f"IP:{ipaddress.ip_network(network)}"
    except ValueError:
        if known or "/" in text:
            raise fail("this is not a network", "IP:10.0.0.0/8; the bits after the prefix are zero") from None
    kind = "email" if "@" in text else "DNS"
    return f"{kind}:{_with_a_labels(kind, text)}"


def _checked_name(kind: str, rest: str) -> str:
    if kind == "IP" and not is_address(rest):
        raise fail("this is not an IP address", "IP:127.0.0.1 or IP:::1")
    if kind == "RID" and not DOTTED_OID.fullmatch(rest):
        raise fail("this is not an OID", "RID:1.2.3.4")
    if kind == "dirName" and subject_fault(rest):
        raise fail("this is not a distinguished name as RFC 4514 writes it", subject_fault(rest))
    if kind == "DNS" and _SEVERAL.search(rest):
        raise fail("these are several names", "a list: [DNS:localhost, IP:127.0.0.1]")
    if kind in ("DNS", "email") and (not rest or any(c.isspace() for c in rest)):
        raise fail(
            "this is not a name",
            "a DNS name, an IP address, a URI or an email address; or DNS:…, IP:…, URI:…, email:…, dirName:…, RID:…",
        )
    return f"{kind}:{_with_a_labels(kind, rest)}"


def _with_a_labels(kind: str | None, name: str) -> str:
    """As certificates have it (RFC 5280 §7)."""
    try:
        match kind:
            case "DNS":
                return ascii_host(name)
            case "email":
                local, at, host = name.rpartition("@")
                return f"{local}{at}{ascii_host(host)}"
            case "URI":
                return ascii_uri(name)
            case _:
                return name
    except ValueError:
        raise fail("this is not a name", "letters that IDNA allows in domain names (RFC 5892)") from None


def usages(value: Value) -> tuple[str, ...]:
    """One entry of ``usage:``: a word of the lab's, an EKU name or an OID."""
    text = text_value(value)
    if text in _USAGE_WORDS:
        return _USAGE_WORDS[text]
    if text in EXTENDED_KEY_USAGES or DOTTED_OID.fullmatch(text):
        return (text,)
    raise fail("this is not a usage", choices=("server", "client", "both", "none", *EXTENDED_KEY_USAGES, "an OID"))


def key_usage(value: Value) -> str:
    """One bit of keyUsage."""
    text = text_value(value)
    if text == "nonRepudiation":  # X.509's older name of the same bit
        return "contentCommitment"
    if text not in KEY_USAGES:
        raise fail("this is not a key usage", choices=KEY_USAGES)
    return text


SUBJECT = Parsed(_subject, {"type": "string"})
OID = Parsed(_oid, {"type": "string", "pattern": r"^[0-2](\.(0|[1-9][0-9]*))+$"})
SERIAL = Parsed(_serial, {"type": "integer", "minimum": 1})
DER = Parsed(_der, dict(_TEXT_OR_NUMBER))
MOMENT = Parsed(_moment, _MOMENT_SCHEMA)


#: A responder by id, or any URI in its place.
ResponderRef = IdRef


class Revoked(Strict):
    """That a certificate's issuer has withdrawn it."""

    reason: Annotated[RevocationReason | None, word(RevocationReason, "a reason to revoke")] = about(
        "RFC 5280's CRLReason; unspecified by default.", "keyCompromise"
    )
    date: Annotated[Moment | None, MOMENT] = about("Since when; an hour ago by default.", "-2d")


def _moment_or_none(value: Value) -> object:
    return None if value is None else MOMENT.parse(value)


NullableMoment = Parsed(_moment_or_none, {"anyOf": [_MOMENT_SCHEMA, {"type": "null"}]})
