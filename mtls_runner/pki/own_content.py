"""What a file of the user's own holds: certificates and keys, told by its content and not by its name.

It is read leniently, for what the lab says about it and signs with. What an end makes of the file is for that end to say.
"""

from __future__ import annotations

import base64
import binascii
import re
import stat
from pathlib import Path
from typing import ClassVar

from mtls_runner.model.certificate import Guarded
from mtls_runner.model.observation import Reason
from mtls_runner.pki.pem import Block, blocks, pem_block, plain_text
from mtls_runner.tls import asn1
from mtls_runner.tls.context import Problem

__all__ = [
    "CONVERTIBLE",
    "Content",
    "KeyText",
    "der_label",
    "first_element",
    "is_keystore",
    "read_content",
    "read_octets",
]

LARGEST = 64 * 1024 * 1024
"""Octets; revocation lists of this size exist."""

PKCS12 = "PKCS12"
_CERTIFICATES = {"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}
_KEYS = {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"}
CONVERTIBLE = frozenset({"CERTIFICATE", "X509 CRL"} | _KEYS)
"""Labels of what is PEM once it stands between such lines."""

_INSTEAD = {
    # what people take for a certificate or a key, and what it is
    "CERTIFICATE REQUEST": "a certificate request, which no authority has signed yet",
    "NEW CERTIFICATE REQUEST": "a certificate request, which no authority has signed yet",
    "PUBLIC KEY": "a public key",
    "X509 CRL": "a certificate revocation list",
    "PKCS7": "PKCS #7; openssl pkcs7 -print_certs makes PEM of it",
    "OPENSSH PRIVATE KEY": "an OpenSSH key; ssh-keygen -p -m PKCS8 converts it",
}
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_KEYSTORES = {
    b"\xfe\xed\xfe\xed": "a Java keystore (JKS); keytool -importkeystore -deststoretype pkcs12 makes PKCS #12 of it",
    b"\xce\xce\xce\xce": "a Java keystore (JCEKS); keytool -importkeystore -deststoretype pkcs12 makes PKCS #12 of it",
}
_MAGIC = {
    **_KEYSTORES,
    b"PuTTY-User-Key-File": "a PuTTY key; puttygen converts it",
}


class KeyText(Guarded, frozen=True):
    """A private key as PEM, still encrypted if it was; ``label`` is its block's."""

    hidden: ClassVar = frozenset({"text", "der"})

    label: str
    text: bytes
    der: bytes | None
    headers: tuple[str, ...] = ()

    @property
    def encrypted(self) -> bool:
        """Whether a passphrase opens it."""
        return self.label == "ENCRYPTED PRIVATE KEY" or any("ENCRYPTED" in header for header in self.headers)


class Content(Guarded, frozen=True):
    """What a file holds, in its order.

    Args:
        certificates: DER.
        texts: the certificates' PEM blocks, as they stand in the file; empty: it is no PEM.
        keys: private keys.
        pkcs12: it is a PKCS #12 file as a whole.
        notes: what OpenSSL would not read, or reads in a way that people may not expect.
    """

    hidden: ClassVar = frozenset({"certificates", "texts"})

    certificates: tuple[bytes, ...] = ()
    texts: tuple[bytes, ...] = ()
    keys: tuple[KeyText, ...] = ()
    pkcs12: bool = False
    notes: tuple[str, ...] = ()


def read_octets(path: Path) -> bytes | Problem:
    """All of a regular file, or why it can't be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would hang, a device never ends
            return Problem(Reason.MISSING_FILE, "", f"{path.name}: not a regular file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        return Problem(Reason.MISSING_FILE, "", f"{_short(path.name)}: {error.strerror or 'cannot be read'}")
    if len(data) > LARGEST:
        return Problem(Reason.MALFORMED, "", f"{path.name}: larger than any certificate or key ({LARGEST >> 20} MiB)")
    return data


def _short(name: str) -> str:
    """A file's name, for messages: one that no file system takes says nothing by its length."""
    return name if len(name) <= 80 else f"{name[:60]}…"


def is_keystore(path: Path) -> bool:
    """Whether it is one of Java's own forms, JKS or JCEKS, which OpenSSL does not read."""
    data = read_octets(path)
    return not isinstance(data, Problem) and data.startswith(tuple(_KEYSTORES))


def read_content(path: Path) -> Content | Problem:
    """What the file holds, PEM or DER, or why that can't be said."""
    data = read_octets(path)
    if isinstance(data, Problem):
        return data
    if not data.strip():
        return Problem(Reason.MALFORMED, "", f"{path.name}: an empty file")
    text, trouble = plain_text(data)
    notes = (f"{path.name}: {trouble}",) if trouble else ()
    found = blocks(text)
    if found:
        return _of_pem(path, found, notes)
    return _of_der(path, data)


def _of_pem(path: Path, found: list[Block], notes: tuple[str, ...]) -> Content | Problem:
    certificates: list[bytes] = []
    texts: list[bytes] = []
    keys: list[KeyText] = []
    for block in found:
        if block.label not in _CERTIFICATES | _KEYS:
            continue
        if block.der is None:
            ended = b"-----END " in block.raw
            why = f"its {block.label} is not base64" if ended else "PEM whose end is missing"
            return Problem(Reason.MALFORMED, "", f"{path.name}: {why} (line {block.line})")
        if not block.der:
            return Problem(Reason.MALFORMED, "", f"{path.name}: its {block.label} is empty (line {block.line})")
        if not block.begins_line:
            passed = f"line {block.line} does not begin with the BEGIN of its {block.label}, as OpenSSL wants it"
            notes += (f"{path.name}: {passed}",)
        key = KeyText(block.label, block.text, block.der, block.headers)
        if not key.encrypted and (block.headers or _BLANK_LINE.search(block.raw)):
            within = (
                f"the {block.label} at line {block.line} has header or blank lines in it, which OpenSSL does not read"
            )
            notes += (f"{path.name}: {within}",)
        if block.label in _KEYS:
            keys.append(key)
            continue
        certificates.append(first_element(block.der))
        texts.append(block.raw)
        if block.label == "TRUSTED CERTIFICATE":
            notes += (
                f"{path.name}: a TRUSTED CERTIFICATE; OpenSSL keeps to its trust settings, and reads it first in a chain only",
            )
    if not certificates and not keys:
        instead = next((_INSTEAD[block.label] for block in found if block.label in _INSTEAD), found[0].label)
        return Problem(Reason.MALFORMED, "", f"{path.name}: neither a certificate nor a private key but {instead}")
    return Content(tuple(certificates), tuple(texts), tuple(keys), notes=tuple(dict.fromkeys(notes)))


def first_element(der: bytes) -> bytes:
    """The first DER value, as OpenSSL reads a file (without what ``TRUSTED CERTIFICATE`` has after a certificate).

    Octets that are no DER stay as they are.
    """
    try:
        first: bytes = asn1.core.Any.load(der).dump()
    except ValueError:
        return der
    return first


_SEQUENCE = 16


def _members(data: bytes) -> list[int]:
    """The universal tags of what an outermost SEQUENCE holds; -1 for any other tag. What follows it is ignored."""
    kind, _, tag, _, inner, _ = asn1.parser.parse(data)
    if (kind, tag) != (0, _SEQUENCE):
        raise ValueError("no SEQUENCE")
    tags: list[int] = []
    at = 0
    while at < len(inner) and len(tags) < 16:
        kind, _, tag, _, _, _ = asn1.parser.parse(inner[at:])
        tags.append(tag if kind == 0 else -1)
        at += asn1.parser.peek(inner[at:])
    return tags


def der_label(data: bytes) -> str | None:
    """The PEM label of what a DER file holds, :data:`PKCS12`, or ``None``: it is no DER of these kinds."""
    try:
        tags = _members(data) if data[:1] == b"0" else []
    except ValueError:
        return None
    match (
        tags
    ):  # universal tags (X.680 §8.6): 2 INTEGER, 3 BIT STRING, 4 OCTET STRING, 6 OBJECT IDENTIFIER, 16 SEQUENCE
        case [16, 16, 3]:
            if _is_certificate(data):
                return "CERTIFICATE"
            return "X509 CRL" if _is_crl(data) else None
        case [16, 4]:
            return "ENCRYPTED PRIVATE KEY"
        case [2, 16, 4, *_]:
            return "PRIVATE KEY"
        case [2, 2, 2, 2, 2, 2, 2, 2, 2, *_]:
            return "RSA PRIVATE KEY"
        case [2, 4, *_]:
            return "EC PRIVATE KEY"
        case [2, 16, *_]:
            return PKCS12
        case [6, -1]:
            return "PKCS7"
    return None


def _of_der(path: Path, data: bytes) -> Content | Problem:
    label = der_label(data)
    if label == "CERTIFICATE":
        return Content((first_element(data),))
    if label in _KEYS:
        whole = first_element(data)
        return Content(keys=(KeyText(label, pem_block(label, whole), whole),))
    if label == PKCS12:
        return Content(pkcs12=True)
    if label is not None:
        return Problem(
            Reason.MALFORMED, "", f"{path.name}: neither a certificate nor a private key but {_INSTEAD[label]}"
        )
    instead = next((what for magic, what in _MAGIC.items() if data.startswith(magic)), "") or _in_base64(data)
    if instead:
        return Problem(Reason.MALFORMED, "", f"{path.name}: neither a certificate nor a private key but {instead}")
    try:
        _members(data)
    except ValueError:
        return Problem(Reason.MALFORMED, "", f"{path.name}: neither PEM nor DER")
    return Problem(Reason.MALFORMED, "", f"{path.name}: DER, but neither a certificate nor a private key")


def _in_base64(data: bytes) -> str:
    """What is encoded once more, as in a Kubernetes Secret, or has lost its BEGIN and END lines; ``""``: nothing is."""
    try:
        inner = base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return ""
    if b"-----BEGIN " in inner:
        return "the base64 of a PEM file; base64 -d makes PEM of it"
    return "base64 without its BEGIN and END lines" if der_label(inner) is not None else ""


def _is_certificate(der: bytes) -> bool:
    try:
        # a certificate request and a CRL have the same three members
        return bool(asn1.x509.Certificate.load(der)["tbs_certificate"]["subject_public_key_info"].native)
    except (ValueError, TypeError, KeyError):
        return False


def _is_crl(der: bytes) -> bool:
    try:
        return bool(asn1.crl.CertificateList.load(der)["tbs_cert_list"]["this_update"].native)
    except (ValueError, TypeError, KeyError):
        return False
