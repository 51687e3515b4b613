"""What lies in a directory of forged material: an index for people and programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Struct, to_builtins

from mtls_runner.errors import without_warnings
from mtls_runner.model.certificate import CertificateSpec, Credential
from mtls_runner.model.revocation import CrlSpec
from mtls_runner.pki.certificate_facts import facts
from mtls_runner.tls.messages import issuer

__all__ = ["CertificateEntry", "CrlEntry", "Index", "certificate_entry", "crl_entry", "index_json"]


class CertificateEntry(Struct, frozen=True):
    """One certificate.

    Args:
        id: in the scenario.
        kind: ``root``, ``intermediate`` or ``leaf``.
        subject, issuer: RFC 4514.
        issued_by: id of the issuer; ``None``: itself, or somebody who is not in the scenario.
        serial: hexadecimal.
        not_before, not_after: RFC 3339, UTC; ``""`` where they can't be read.
        san, usage: names and extended key usage, as the scenario has them.
        key: the algorithm; ``own`` for the user's own material.
        encrypted: the key needs the passphrase beside it.
        defects: what is wrong on purpose.
        revoked: why it is; ``None``: it is not.
        sha256: fingerprint, hexadecimal.
        files: by role.
    """

    id: str
    kind: str
    subject: str
    issuer: str
    issued_by: str | None
    serial: str
    not_before: str
    not_after: str
    san: tuple[str, ...]
    usage: tuple[str, ...]
    key: str
    encrypted: bool
    defects: tuple[str, ...]
    revoked: str | None
    sha256: str
    files: Mapping[str, str]


class CrlEntry(Struct, frozen=True):
    """One certificate revocation list."""

    id: str
    issued_by: str
    this_update: str
    next_update: str
    revoked: tuple[str, ...]
    files: Mapping[str, str]


class Index(Struct, frozen=True):
    """Of one scenario's material.

    Args:
        scenario, description: the file's own.
        source: its path as given.
        made_at: RFC 3339, UTC.
        certificates, crls: what there is.
        notes: what is not there, and why.
    """

    scenario: str
    description: str
    source: str
    made_at: str
    certificates: tuple[CertificateEntry, ...]
    crls: tuple[CrlEntry, ...]
    notes: tuple[str, ...]


def certificate_entry(spec: CertificateSpec, credential: Credential, files: Mapping[str, str]) -> CertificateEntry:
    """The entry of what was made of a description."""
    told = facts(credential.der)
    issuer, serial, fingerprint = _read(credential.der)
    own = spec.files is not None
    return CertificateEntry(
        id=spec.id,
        kind=("root" if not credential.ancestors else "intermediate") if spec.authority else "leaf",
        subject=credential.subject,
        issuer=issuer,
        issued_by=credential.ancestors[0] if credential.ancestors else None,
        serial=serial,
        not_before=_moment(told.begin),
        not_after=_moment(told.end),
        san=() if own else spec.san or (),
        usage=() if own else spec.extended_key_usage or (),
        key="own" if own else str(spec.key.algorithm),
        encrypted=credential.passphrase is not None,
        defects=() if own else tuple(map(str, spec.defects)),
        revoked=str(spec.revoked.reason) if spec.revoked is not None else None,
        sha256=fingerprint,
        files=files,
    )


def crl_entry(spec: CrlSpec, start: datetime, files: Mapping[str, str]) -> CrlEntry:
    """The entry of a CRL; of the user's own file nothing is known."""
    own = spec.file is not None
    return CrlEntry(
        id=spec.id,
        issued_by=spec.issuer,
        this_update="" if own else _moment(spec.this_update.resolve(start)),
        next_update="" if own else _moment(spec.next_update.resolve(start)),
        revoked=() if own else spec.revoked,
        files=files,
    )


def index_json(index: Index) -> bytes:
    """As JSON."""
    return json.dumps({"made_by": "mtls-run forge", "version": 1, **to_builtins(index)}, indent=1).encode() + b"\n"


def _read(der: bytes) -> tuple[str, str, str]:
    """Issuer, serial number and fingerprint; empty where they can't be read."""
    try:
        with without_warnings():
            certificate = x509.load_der_x509_certificate(der)
            return issuer(der), f"{certificate.serial_number:X}", certificate.fingerprint(SHA256()).hex()
    except ValueError:
        return "", "", ""


def _moment(when: datetime | None) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when is not None else ""
