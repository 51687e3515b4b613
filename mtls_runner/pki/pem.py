"""PEM text (RFC 7468, and RFC 1421's headers where OpenSSL writes them): read as people's files really have it, and written."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import os
import re
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import KeyCipher, KeyFormat, Secret
from mtls_runner.pki.keys import PrivateKey

__all__ = ["Block", "blocks", "certificate_pem", "pem_block", "pem_key", "plain_text"]

_MARK = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]+)-----")


@dataclass(frozen=True, slots=True)
class Block:
    """One ``BEGIN``/``END`` pair.

    Args:
        label: what it says that it is.
        text: all of it, tidied.
        headers: RFC 1421's.
        der: ``None``: what is between the lines is not base64, or its ``END`` is missing.
        raw: all of it, as it was.
        line: of the ``BEGIN``, from 1.
        begins_line: whether nothing stands before ``BEGIN`` on that line, as OpenSSL wants it (``PEM_read_bio``).
    """

    label: str
    text: bytes = field(repr=False)
    headers: tuple[str, ...]
    der: bytes | None = field(repr=False)
    raw: bytes = field(default=b"", repr=False)
    line: int = 1
    begins_line: bool = True


def pem_block(label: str, der: bytes, headers: str = "") -> bytes:
    """RFC 7468 text of ``der``; ``headers`` are RFC 1421's, each with its newline."""
    body = base64.b64encode(der).decode("ascii")
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    between = f"{headers}\n" if headers else ""
    return f"-----BEGIN {label}-----\n{between}{lines}\n-----END {label}-----\n".encode("latin-1")


def certificate_pem(der: bytes) -> bytes:
    """A certificate as PEM."""
    return pem_block("CERTIFICATE", der)


def plain_text(data: bytes) -> tuple[bytes, str]:
    """``data`` as text with PEM in it, and what of it OpenSSL does not read, for people (``""``: nothing).

    Editors on Windows put a byte order mark first, which OpenSSL skips (``PEM_read_bio``), or write UTF-16.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data.removeprefix(codecs.BOM_UTF8), ""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode(), "is UTF-16 text, which OpenSSL does not read"
        except UnicodeError:
            return data, ""
    if b"\r" in data and b"\n" not in data:
        return data, "ends its lines with CR alone, which OpenSSL does not read"
    return data, ""


def blocks(text: bytes) -> list[Block]:
    """All blocks of a text, in order; any line ends, blanks around lines and text around blocks are fine."""
    found: list[Block] = []
    begin: re.Match[bytes] | None = None
    line, counted, end = 1, 0, 0
    for mark in (*_MARK.finditer(text), None):
        if begin is not None:
            ended = mark is not None and mark[1] == b"END" and mark[2] == begin[2]
            raw = text[begin.start() : len(text) if mark is None else mark.end() if ended else mark.start()]
            line, counted = line + text.count(b"\n", counted, begin.start()), begin.start()
            begins_line = _begins_line(text, begin.start(), end)
            found.append(_block(begin[2].decode("ascii"), raw, ended, line, begins_line))
            end = begin.start() + len(raw)
        begin = mark if mark is not None and mark[1] == b"BEGIN" else None
    return found


def _begins_line(text: bytes, at: int, end: int) -> bool:
    """Whether OpenSSL sees a ``BEGIN``; it skips a byte order mark on the first line after a block, too."""
    if text[at - 3 : at] == codecs.BOM_UTF8 and text[end : at - 3].strip(b"\r") == b"\n":
        return True
    return at == 0 or text[at - 1 : at] in (b"\n", b"\r")


def _block(label: str, raw: bytes, ended: bool, line: int, begins_line: bool) -> Block:
    broken = Block(label, raw, (), None, raw, line, begins_line)
    if not ended:
        return broken
    inside = raw.partition(b"-----BEGIN ")[2].partition(b"-----")[2].rpartition(b"-----END ")[0]
    lines = [line for line in map(bytes.strip, inside.replace(b"\r", b"\n").split(b"\n")) if line]
    try:
        der = base64.b64decode(b"".join(line for line in lines if b":" not in line), validate=True)
    except binascii.Error:
        return broken
    headers = tuple(line.decode("latin-1") for line in lines if b":" in line)
    tidy = pem_block(label, der, "".join(f"{header}\n" for header in headers))
    return Block(label, tidy, headers, der, raw, line, begins_line)


_ITERATIONS = 2048
"""OpenSSL's default (``PKCS5_DEFAULT_ITER``): enough for a lab, and loading stays fast."""

_LONGEST = 1023
"""OpenSSL reads passphrases into a buffer of ``PEM_BUFSIZE`` octets, the end mark among them."""


def pem_key(key: PrivateKey, form: KeyFormat, cipher: KeyCipher, passphrase: Secret | None) -> bytes:
    """The key as PEM, encrypted with ``cipher`` if there is a passphrase.

    Raises:
        MaterialError: the key has no such form, or nothing could read the passphrase back.
    """
    if form is KeyFormat.TRADITIONAL and isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        raise MaterialError(
            "an EdDSA key has no traditional PEM form (RFC 8410 §7 defines PKCS#8 only): use format pkcs8"
        )
    plain = PrivateFormat.PKCS8 if form is KeyFormat.PKCS8 else PrivateFormat.TraditionalOpenSSL
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, plain, NoEncryption())
    octets = _octets(passphrase)
    if cipher is KeyCipher.AES_256_CBC:
        return key.private_bytes(Encoding.PEM, plain, BestAvailableEncryption(octets))
    der = key.private_bytes(Encoding.DER, plain, NoEncryption())
    if form is KeyFormat.PKCS8:
        return pem_block("ENCRYPTED PRIVATE KEY", _pbes2_des3(der, octets))
    label = key.private_bytes(Encoding.PEM, plain, NoEncryption()).split(b"-----", 2)[1].decode().removeprefix("BEGIN ")
    vector = os.urandom(8)
    headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,{vector.hex().upper()}\n"
    return pem_block(label, _des3(der, _bytes_to_key(octets, vector), vector), headers)


def _octets(passphrase: Secret) -> bytes:
    octets = passphrase.reveal().encode()
    if not octets:
        raise MaterialError("an empty passphrase encrypts nothing: leave it out")
    if len(octets) > _LONGEST:
        raise MaterialError(f"a passphrase of more than {_LONGEST} octets: OpenSSL reads no more of it")
    if any(mark in octets for mark in (b"\n", b"\r", b"\0")):
        raise MaterialError("a passphrase with a line break or a NUL: no passphrase file can hold it")
    return octets


def _des3(der: bytes, key: bytes, vector: bytes) -> bytes:
    padder = padding.PKCS7(64).padder()
    encryptor = Cipher(TripleDES(key), modes.CBC(vector)).encryptor()
    return encryptor.update(padder.update(der) + padder.finalize()) + encryptor.finalize()


def _bytes_to_key(octets: bytes, salt: bytes) -> bytes:
    """24 octets by OpenSSL's ``EVP_BytesToKey`` (MD5, one round), which traditional PEM prescribes."""
    key = digest = b""
    while len(key) < 24:
        digest = hashlib.md5(digest + octets + salt, usedforsecurity=False).digest()
        key += digest
    return key[:24]


def _pbes2_des3(der: bytes, octets: bytes) -> bytes:
    from mtls_runner.tls import asn1  # 40 ms that few scenarios need

    salt, vector = os.urandom(16), os.urandom(8)
    key = PBKDF2HMAC(hashes.SHA256(), 24, salt, _ITERATIONS).derive(octets)
    info = asn1.keys.EncryptedPrivateKeyInfo(
        {
            "encryption_algorithm": {
                "algorithm": "pbes2",
                "parameters": {
                    "key_derivation_func": {
                        "algorithm": "pbkdf2",
                        "parameters": {
                            "salt": asn1.algos.Pbkdf2Salt("specified", salt),
                            "iteration_count": _ITERATIONS,
                            "prf": {"algorithm": "sha256"},
                        },
                    },
                    "encryption_scheme": {"algorithm": "tripledes_3key", "parameters": vector},
                },
            },
            "encrypted_data": _des3(der, key, vector),
        }
    )
    encoded: bytes = info.dump()
    return encoded
