"""What the lab wants to know of a certificate that it did not make.

Read leniently: ``cryptography`` refuses certificates that OpenSSL accepts, and OpenSSL has the last word here.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from cryptography.x509 import Name, load_der_x509_certificate
from msgspec import Struct

from mtls_runner.pki.lenient import attempt, load_certificate
from mtls_runner.tls import asn1
from mtls_runner.tls.messages import subject as subject_text

__all__ = ["CertificateFacts", "facts", "loads", "subject_name"]

_T = TypeVar("_T")


class CertificateFacts(Struct, frozen=True):
    """What could not be read is ``None``, or empty.

    Args:
        text: the subject, RFC 4514.
        subject, issuer: comparable forms of the names (RFC 5280 §7.1: case and blanks don't count).
        key: SHA-1 of the subjectPublicKey, as :func:`mtls_runner.pki.keys.key_identifier` makes it.
        subject_key, authority_key: the key identifiers of its extensions.
        begin, end: validity, aware.
    """

    text: str
    subject: str | None
    issuer: str | None
    key: bytes | None
    subject_key: bytes | None
    authority_key: bytes | None
    begin: datetime | None
    end: datetime | None

    @property
    def self_issued(self) -> bool:
        """Subject and issuer are the same name, as a root's are."""
        return self.subject is not None and self.subject == self.issuer

    def names_as_issuer(self, other: CertificateFacts) -> bool:
        """Whether ``other`` may have issued it, by its name and, where both say so, by its key."""
        if self.issuer is None or self.issuer != other.subject:
            return False
        return None in {self.authority_key, other.subject_key} or self.authority_key == other.subject_key


def loads(der: bytes) -> bool:
    """Whether OpenSSL reads it as a certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError):
        return False
    return True


@lru_cache(maxsize=1024)
def facts(der: bytes) -> CertificateFacts:
    """The facts of a DER certificate; of anything else there are none."""

    loaded = load_certificate(der)

    def read(what: Callable[[Any], _T]) -> _T | None:
        return attempt(lambda: what(loaded)) if loaded is not None else None

    return CertificateFacts(
        text=subject_text(der),
        subject=read(lambda one: str(one.subject.hashable)),
        issuer=read(lambda one: str(one.issuer.hashable)),
        key=read(
            lambda one: hashlib.sha1(
                # without the BIT STRING's first octet, the number of unused bits
                one.public_key["public_key"].contents[1:],
                usedforsecurity=False,
            ).digest()
        ),
        subject_key=read(lambda one: one.key_identifier),
        authority_key=read(lambda one: one.authority_key_identifier),
        begin=read(lambda one: one.not_valid_before),
        end=read(lambda one: one.not_valid_after),
    )


def subject_name(der: bytes) -> Name:
    """The subject, with the string types that it is written with.

    Raises:
        ValueError: it can't be read.
    """
    twin = asn1.x509.Certificate.load(der).copy()
    twin["tbs_certificate"]["serial_number"] = 1  # the library refuses others, and nothing but the name counts
    return load_der_x509_certificate(twin.dump()).subject
