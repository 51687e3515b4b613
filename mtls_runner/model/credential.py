"""Material once it is made: where its files lie and what they hold. A repr never shows a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

__all__ = ["PEM_ONLY", "Credential", "FileForm", "Presented", "Secret"]


class FileForm(StrEnum):
    """How certificates and keys lie in a file, under the names of curl's ``--cert-type`` and ``--key-type``."""

    PEM = "PEM"
    DER = "DER"
    PKCS12 = "P12"


PEM_ONLY = frozenset({FileForm.PEM})
"""What programs on OpenSSL load that don't say otherwise."""


class Secret:
    """A string that ``repr``, ``str``, ``format`` and logging never show."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The string itself; call it only where it is handed to TLS code or written to a 0600 file."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))


@dataclass(frozen=True, slots=True)
class Credential:
    """One certificate with its key, as files in the run's private directory.

    Args:
        id: the authority's or leaf's id in the scenario.
        der: the certificate, DER.
        subject: its subject, RFC 4514.
        certificate_path: PEM, the certificate alone.
        chain_path: PEM, the certificate and then its intermediates, without the root (RFC 8446 §4.4.2 order).
        key_path: PEM, encrypted at rest when the scenario gives a passphrase; mode 0600. ``None``: no key (own material).
        passphrase: opens the key; ``None`` when it is not encrypted.
        passphrase_path: a file that holds the passphrase and a newline, 0600 (nginx ``ssl_password_file``).
        ancestors: ids of its issuers, nearest first, ending with the root; empty for a self-signed one.
    """

    id: str
    der: bytes = field(repr=False)
    subject: str
    certificate_path: Path
    chain_path: Path
    key_path: Path | None
    passphrase: Secret | None = None
    passphrase_path: Path | None = None
    ancestors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Presented:
    """The files that an end presents itself with.

    Args:
        certificate: the certificate, and what is sent after it.
        key: its private key; ``None``: it lies in the certificate's file, or there is none.
        certificate_form, key_form: what the files are.
    """

    certificate: Path
    key: Path | None
    certificate_form: FileForm = FileForm.PEM
    key_form: FileForm = FileForm.PEM
