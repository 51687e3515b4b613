"""What a file of the user's own holds: certificates and keys, told by its content and not by its name."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from asn1crypto import core, parser
from asn1crypto import x509 as asn1

from mtls_runner.model.observation import Reason
from mtls_runner.pki.pem import Block, blocks, pem_block, plain_text
from mtls_runner.tls.material import Problem

__all__ = ["Content", "KeyText", "read_content", "read_octets"]

_LARGEST = 4 * 1024 * 1024

_CERTIFICATES = {"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}
_KEYS = {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"}
_INSTEAD = {
    # what people take for a certificate or a key, and what it is
    "CERTIFICATE REQUEST": "a certificate request, which no authority has signed yet",
    "NEW CERTIFICATE REQUEST": "a certificate request, which no authority has signed yet",
    "PUBLIC KEY": "a public key",
    "X509 CRL": "a certificate revocation list",
    "PKCS7": "PKCS #7; openssl pkcs7 -print_certs makes PEM of it",
    "OPENSSH PRIVATE KEY": "an OpenSSH key; ssh-keygen -p -m PKCS8 converts it",
}


@dataclass(frozen=True, slots=True)
class KeyText:
    """A private key as PEM, still encrypted if it was; ``label`` is its block's."""

    label: str
    text: bytes = field(repr=False)
    der: bytes | None = field(repr=False)
    headers: tuple[str, ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether a passphrase opens it."""
        return self.label == "ENCRYPTED PRIVATE KEY" or any("ENCRYPTED" in header for header in self.headers)


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds, in its order; ``pkcs12``: it is a PKCS #12 file as a whole."""

    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    keys: tuple[KeyText, ...] = ()
    pkcs12: bool = False
    notes: tuple[str, ...] = ()


def read_octets(path: Path) -> bytes | Problem:
    """All of a regular file, or why it can't be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would hang, a device never ends
            return Problem(Reason.MISSING_FILE, "", f"{path.name}: not a regular file")
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        return Problem(Reason.MISSING_FILE, "", f"{path.name}: {error.strerror or 'cannot be read'}")
    if len(data) > _LARGEST:
        return Problem(Reason.MALFORMED, "", f"{path.name}: larger than any certificate or key ({_LARGEST >> 20} MiB)")
    return data


def read_content(path: Path) -> Content | Problem:
    """What the file holds, PEM or DER, or why that can't be said."""
    data = read_octets(path)
    if isinstance(data, Problem):
        return data
    if not data.strip():
        return Problem(Reason.MALFORMED, "", f"{path.name}: an empty file")
    text, trouble = plain_text(data)
    notes = (f"{path.name}: {trouble}; the lab reads it nevertheless",) if trouble else ()
    found = blocks(text)
    if found:
        return _of_pem(path, found, notes)
    if b"-----BEGIN" in text:
        return Problem(Reason.MALFORMED, "", f"{path.name}: PEM whose end is missing")
    return _of_der(path, data)


def _of_pem(path: Path, found: list[Block], notes: tuple[str, ...]) -> Content | Problem:
    certificates: list[bytes] = []
    keys: list[KeyText] = []
    for block in found:
        if block.label in _CERTIFICATES | _KEYS and block.der is None:
            return Problem(Reason.MALFORMED, "", f"{path.name}: its {block.label} is not base64")
        if block.label in _CERTIFICATES and block.der is not None:
            certificates.append(_first_element(block.der))
        elif block.label in _KEYS:
            keys.append(KeyText(block.label, block.text, block.der, block.headers))
    if not certificates and not keys:
        instead = next((_INSTEAD[block.label] for block in found if block.label in _INSTEAD), found[0].label)
        return Problem(Reason.MALFORMED, "", f"{path.name}: neither a certificate nor a private key but {instead}")
    return Content(tuple(certificates), tuple(keys), notes=notes)


def _first_element(der: bytes) -> bytes:
    """A certificate without what ``TRUSTED CERTIFICATE`` has after it; octets that are no DER stay as they are."""
    try:
        first: bytes = core.Any.load(der).dump()
    except ValueError:
        return der
    return first


_INTEGER, _BIT_STRING, _OCTET_STRING, _SEQUENCE = 2, 3, 4, 16  # universal tags (X.680 §8.6)


def _members(data: bytes) -> list[int]:
    """The universal tags of what an outermost SEQUENCE holds; -1 for any other tag."""
    kind, _, tag, _, inner, _ = parser.parse(data, strict=True)
    if (kind, tag) != (0, _SEQUENCE):
        raise ValueError("no SEQUENCE")
    tags: list[int] = []
    at = 0
    while at < len(inner):
        kind, _, tag, _, _, _ = parser.parse(inner[at:])
        tags.append(tag if kind == 0 else -1)
        at += parser.peek(inner[at:])
    return tags


def _of_der(path: Path, data: bytes) -> Content | Problem:
    try:
        tags = _members(data)
    except ValueError:
        return Problem(Reason.MALFORMED, "", f"{path.name}: neither PEM nor DER")
    if tags == [_SEQUENCE, _SEQUENCE, _BIT_STRING] and _is_certificate(data):
        return Content((data,))
    if tags == [_SEQUENCE, _OCTET_STRING]:
        label = "ENCRYPTED PRIVATE KEY"
    elif tags[:3] == [_INTEGER, _SEQUENCE, _OCTET_STRING]:
        label = "PRIVATE KEY"
    elif tags[:9] == [_INTEGER] * 9:
        label = "RSA PRIVATE KEY"
    elif tags[:2] == [_INTEGER, _OCTET_STRING]:
        label = "EC PRIVATE KEY"
    elif tags[:2] == [_INTEGER, _SEQUENCE]:
        return Content(pkcs12=True)
    else:
        return Problem(Reason.MALFORMED, "", f"{path.name}: DER, but neither a certificate nor a private key")
    return Content(keys=(KeyText(label, pem_block(label, data), data),))


def _is_certificate(der: bytes) -> bool:
    try:
        # a certificate request and a CRL have the same three members
        return bool(asn1.Certificate.load(der)["tbs_certificate"]["subject_public_key_info"].native)
    except (ValueError, TypeError, KeyError):
        return False
