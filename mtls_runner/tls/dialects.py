"""What a program's line says, by a dialect: who refused whom, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from msgspec import Struct

from mtls_runner.model.implementation import Pattern
from mtls_runner.model.observation import Alert, Direction, Reason
from mtls_runner.tls import ALERTS, alert_name
from mtls_runner.tls.openssl_errors import OpensslError, openssl_errors, why_unusable

__all__ = ["FACTS", "GROUPS", "PLACEHOLDERS", "SEEN", "Told", "compiled", "tls_version", "told"]

_PORT = "{{client_port}}"
_ID = "{{id}}"
#: What stands for a connection's number in a regular expression.
PLACEHOLDERS = (_PORT, _ID)
#: Named groups that mean something, and what.
GROUPS: dict[str, str] = {
    "code": "OpenSSL's verify code, X509_V_*",
    "error": "OpenSSL's packed error, hexadecimal",
    "agreed": "there when both ends had agreed on version and cipher suite: keys were made",
    "alert": "an alert's number",
    "alert_name": "an alert's name, in small letters or capitals, with underscores, blanks or neither",
    "alpn": "the ALPN protocol",
    "asked": "there when the server asked for a certificate",
    "body": "the response's body, base64",
    "body_sent": "bytes of the request's body that went out",
    "certificate": "the client's certificate, base64 of DER",
    "cipher": "the cipher suite",
    "header_name": "a response field's name",
    "header_value": "its value",
    "local_port": "the client's port",
    "method": "the request's",
    "no_certificate": "there when the client sent none",
    "application_port": "where it connects from to an application of the lab's, which tells of later requests that no line does",
    "path": "the request's",
    "peer": "a certificate of the server's, base64 of DER",
    "process": "number of the process that served it: another one after a reload",
    "resumed": "1 or true for a resumed session",
    "sent": "a certificate that the client sent, base64 of DER",
    "server_name": "SNI",
    "status": "of the response",
    "symbol": "OpenSSL's symbolic reason",
    "subject": "the client certificate's, RFC 4514",
    "tls": "the version",
    "verified": "there when the other end's certificate was verified, and taken",
    "verify": "SUCCESS, NONE or FAILED",
}
#: Patterns that have read a line in this process; ``mtls-run implementation check`` asks which ones never did.
SEEN: set[Pattern] = set()
#: The same of the regular expressions of facts.
FACTS: set[str] = set()
_ALERT_NAMES = {name.replace("_", ""): name for name in ALERTS.values()}
_LOCKED = (Reason.PASSPHRASE_NEEDED, Reason.WRONG_PASSPHRASE)
_VERIFY_FAILED = "CERTIFICATE_VERIFY_FAILED"


@lru_cache(maxsize=1024)
def compiled(match: str) -> re.Pattern[str]:
    """A declared regular expression, its placeholders in place.

    Raises:
        re.error: it is none.
    """
    text = match.replace(_PORT, r"(?P<client_port>\d{1,5})").replace(_ID, r"(?P<id>[^\[\]()]+?)")
    return re.compile(text)


_ON_THE_WIRE = {"3.1": "TLSv1", "3.2": "TLSv1.1", "3.3": "TLSv1.2", "3.4": "TLSv1.3"}
_VERSION = re.compile(r"tls[ _]?v?1(?:[._]([0-3]))?(?:\.0)?", re.IGNORECASE)


def tls_version(text: str | None) -> str | None:
    """As the lab names it, ``TLSv1.3``, from ``tls1.3``, ``TLS 1.3``, the number on the wire (``3.4``); other words stay."""
    text = _ON_THE_WIRE.get(text or "", text)
    found = _VERSION.fullmatch(text) if text is not None else None
    if found is None:
        return text
    return f"TLSv1.{found[1]}" if found[1] not in (None, "0") else "TLSv1"


class Told(Struct, frozen=True):
    """What a line of a program's log says of a connection.

    Args:
        line: as it came.
        pattern: that matched it.
        reasons: what it allows.
        verify_code: OpenSSL's.
        symbol: OpenSSL's symbolic reason, where the line has its error.
        error: OpenSSL's error itself.
        alert: that the other end sent.
    """

    line: str
    pattern: Pattern
    reasons: tuple[Reason, ...] = ()
    verify_code: int | None = None
    symbol: str = ""
    error: OpensslError | None = None
    alert: Alert | None = None

    def unusable(self, *, passphrase: bool) -> Reason | None:
        """What it says of the program's own material; ``passphrase``: as :func:`why_unusable` has it."""
        if self.reasons:
            return next((reason for reason in self.reasons if passphrase or reason not in _LOCKED), self.reasons[0])
        return why_unusable(self.error, passphrase=passphrase) if self.error is not None else None


def told(
    patterns: Iterable[Pattern], lines: Sequence[str], wanted: Callable[[Told], bool] | None = None
) -> Told | None:
    """By the first pattern that matches any of the lines and says something; ``None``: none does.

    Args:
        patterns: in order.
        lines: of one connection, or of one start.
        wanted: whether what a line says is of use.
    """
    for pattern in patterns:
        regex = compiled(pattern.match)
        for line in lines:
            for found in regex.finditer(line):
                said = _told(line, pattern, found)
                if said is not None and (wanted is None or wanted(said)):
                    SEEN.add(pattern)
                    return said
    return None


def _told(line: str, pattern: Pattern, found: re.Match[str]) -> Told | None:
    groups = {name: text for name, text in found.groupdict().items() if text}
    if "code" in groups or pattern.code is not None:
        code = pattern.code if pattern.code is not None else int(groups["code"])
        return Told(line, pattern, verify_code=code, symbol=_VERIFY_FAILED) if code else None
    if "error" in groups:
        return _of_error(line, pattern, groups["error"])
    alert = _alert(pattern, groups)
    if alert is not None:
        return Told(line, pattern, alert=alert)
    if "symbol" in groups:
        return Told(line, pattern, symbol=groups["symbol"])
    return Told(line, pattern, reasons=pattern.reasons) if pattern.reasons else None


def _of_error(line: str, pattern: Pattern, packed: str) -> Told | None:
    errors = openssl_errors(f"error:{packed.zfill(8)}:::")
    if not errors:
        return None
    symbol = errors[0].symbol
    if symbol.startswith("ALERT_"):
        name = symbol.removeprefix("ALERT_").lower()
        return Told(line, pattern, symbol=symbol, error=errors[0], alert=_received(name))
    return Told(line, pattern, symbol=symbol, error=errors[0])


def _alert(pattern: Pattern, groups: dict[str, str]) -> Alert | None:
    if pattern.alert is not None:
        return _received(pattern.alert)
    if "alert" in groups:
        return _received(alert_name(int(groups["alert"])))
    name = _ALERT_NAMES.get(re.sub(r"[ _-]", "", groups.get("alert_name", "")).lower())
    return _received(name) if name is not None else None


def _received(name: str) -> Alert:
    code = next((number for number, known in ALERTS.items() if known == name), 0)
    return Alert(Direction.RECEIVED, name, code)
