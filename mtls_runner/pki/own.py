"""The user's own material as the lab reads it: leniently, once, for notes, names and what is signed with it.

What an end makes of the files is for that end to say, which gets them as they are (:mod:`mtls_runner.pki.own_bytes`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from mtls_runner.model.certificate import CertificateSpec, Guarded, OwnFiles, Secret
from mtls_runner.model.observation import Reason
from mtls_runner.pki.certificate_facts import facts, loads, subject_name
from mtls_runner.pki.forge import Issuer
from mtls_runner.pki.keys import KeyPair, PrivateKey, key_identifier
from mtls_runner.pki.own_content import Content, KeyText, read_content, read_octets
from mtls_runner.pki.own_keys import Unknown, open_key, open_pkcs12
from mtls_runner.tls.context import Problem

__all__ = ["Own", "own_issuers", "read_own"]


class Own(Guarded, frozen=True):
    """What the files hold, as far as they can be read.

    Args:
        files: the ones that were read.
        certificate: DER; ``b""``: there is none that OpenSSL reads.
        more: other certificates of the same files, in their order.
        key: PEM, still as encrypted as it was; ``None``: no file of a key is named, or it can't be read.
        private: the key itself, where the passphrase opens it.
        problem: the first thing that keeps it from being presented.
        broken: a file that should hold certificates and can't be read.
        notes: what a person should know though it stops nothing.
    """

    hidden: ClassVar = frozenset({"certificate", "more", "key", "private"})

    files: OwnFiles
    certificate: bytes = b""
    more: tuple[bytes, ...] = ()
    key: bytes | None = None
    private: PrivateKey | None = None
    problem: Problem | None = None
    broken: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path | None:
        """The file of the certificate, as the user named it."""
        return self.files.certificate or self.files.pkcs12

    @property
    def key_path(self) -> Path | None:
        """The file of the key, as the user named it."""
        return self.files.key or self.files.pkcs12 or (self.files.certificate if self.key is not None else None)

    @property
    def chain(self) -> tuple[bytes, ...]:
        """``more`` without roots: what is sent after this certificate."""
        return tuple(der for der in self.more if not facts(der).self_issued)

    def unpresentable(self, *, need_key: bool) -> Problem | None:
        """Why an end could not present it; ``None``: nothing speaks against it. ``need_key``: a missing key counts."""
        if self.problem is None and need_key and self.key is None and self.path is not None:
            return Problem(
                Reason.MISSING_FILE, "", f"{self.path.name}: holds no private key, and no other file is given"
            )
        return self.problem

    def issuer(self) -> Issuer | Problem:
        """What it has to sign with, or why it can't sign."""
        if self.private is None or not self.certificate:
            return self.problem or Problem(Reason.MISSING_FILE, "", "no private key is given for it")
        known = facts(self.certificate)
        pair = KeyPair.of(self.private)
        if known.key not in _identifiers(self.private):
            return self.problem or Problem(Reason.KEY_MISMATCH, "", "its key is another certificate's")
        try:
            name = subject_name(self.certificate)
        except ValueError:
            return Problem(Reason.MALFORMED, "", "its certificate can't be read")
        return Issuer(name, pair, known.subject_key or pair.identifier)


def read_own(files: OwnFiles, passphrase: Secret | None, start: datetime | None = None) -> Own:
    """Read the user's own certificate and key, as far as they can be read.

    Args:
        files: the user's.
        passphrase: opens the key.
        start: when the run began, aware, for notes about certificates that are not valid then; ``None``: no such notes.
    """
    own = _read_files(files, passphrase) if files.pkcs12 is None else _read_pkcs12(files, files.pkcs12, passphrase)
    return replace(own, notes=(*own.notes, *_validity(own, start)))


def _identifiers(key: PrivateKey) -> frozenset[bytes | None]:
    """What :class:`CertificateFacts` may say of a certificate with this key: of an EC key, its point may be compressed or not."""
    public = key.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return frozenset({key_identifier(public)})
    compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return frozenset({key_identifier(public), hashlib.sha1(compressed, usedforsecurity=False).digest()})


def _checked(own: Own) -> Own:
    """The same, with the problem of the first certificate that OpenSSL can't read."""
    for der in (own.certificate, *own.more):
        if der and not loads(der):
            trouble = Problem(Reason.MALFORMED, "", f"{_holder(own, der)}: OpenSSL can't read a certificate in it")
            return replace(own, problem=own.problem or trouble)
    return own


def _holder(own: Own, der: bytes) -> str:
    path = own.path if der == own.certificate or own.files.chain is None else own.files.chain
    return path.name if path is not None else "certificate"


def _validity(own: Own, start: datetime | None) -> Iterator[str]:
    for der in (own.certificate, *own.more) if start is not None else ():
        known = facts(der)
        if known.end is not None and start is not None and known.end < start:
            yield f"{_holder(own, der)}: {known.text} expired on {known.end:%Y-%m-%d}"
        if known.begin is not None and start is not None and known.begin > start:
            yield f"{_holder(own, der)}: {known.text} is not valid before {known.begin:%Y-%m-%d}"


def _read_pkcs12(files: OwnFiles, path: Path, passphrase: Secret | None) -> Own:
    data = read_octets(path)
    if isinstance(data, Problem):
        return Own(files, problem=data, broken=path)
    found = open_pkcs12(data, passphrase, path.name)
    if isinstance(found, Problem):
        return Own(files, problem=found, broken=path)
    if not found.certificates:
        trouble = Problem(Reason.MALFORMED, "", f"{path.name}: no certificate in it")
        return Own(files, problem=trouble, broken=path)
    return _sorted(_checked(Own(files, found.certificates[0], found.certificates[1:], found.key_pem, found.key)))


def _read_files(files: OwnFiles, passphrase: Secret | None) -> Own:
    own = Own(files)
    certificates: tuple[bytes, ...] = ()
    keys: tuple[KeyText, ...] = ()
    for path in (files.certificate, files.chain):
        if path is None and files.certificate is not None:
            continue
        content = _certificates(path)
        if isinstance(content, Problem):
            own = replace(own, problem=own.problem or content, broken=own.broken or path)
            continue
        own = replace(own, notes=own.notes + content.notes)
        certificates += tuple(der for der in content.certificates if der not in certificates)
        if path == files.certificate:
            keys = content.keys
    holder = files.key or files.certificate
    if files.key is not None and files.key != files.certificate:
        found = _keys(files.key)
        if isinstance(found, Problem):
            own, keys = replace(own, problem=own.problem or found), ()
        else:
            own, keys = replace(own, notes=own.notes + found.notes), found.keys
    own = _checked(replace(own, certificate=certificates[0] if certificates else b"", more=certificates[1:]))
    return _sorted(_with_key(own, keys, passphrase, holder.name if holder is not None else "key"))


def _keys(path: Path) -> Content | Problem:
    content = read_content(path)
    if isinstance(content, Content) and not content.keys:
        kind = "a PKCS #12 file; name it as pkcs12" if content.pkcs12 else "no private key in it"
        return Problem(Reason.MALFORMED, "", f"{path.name}: {kind}")
    return content


def _certificates(path: Path | None) -> Content | Problem:
    if path is None:
        return Problem(Reason.MISSING_FILE, "", "no file of a certificate is given")
    content = read_content(path)
    if isinstance(content, Problem):
        return content
    if content.pkcs12:
        return Problem(Reason.MALFORMED, "", f"{path.name}: a PKCS #12 file; name it as pkcs12")
    if not content.certificates:
        return Problem(Reason.MALFORMED, "", f"{path.name}: no certificate in it")
    return content


def _with_key(own: Own, keys: tuple[KeyText, ...], passphrase: Secret | None, name: str) -> Own:
    """The same, with the key that belongs to the certificate, or else the first key."""
    if not keys:
        return own
    wanted = {facts(der).key for der in (own.certificate, *own.more)}
    fallback: Own | None = None
    for number, key in enumerate(keys):
        opened = open_key(key, passphrase, name)
        if isinstance(opened, Problem):
            candidate = replace(own, key=key.text, problem=own.problem or opened)
        elif isinstance(opened, Unknown):
            candidate = replace(own, key=key.text, notes=(*own.notes, opened.text))
        else:
            candidate = replace(own, key=key.text, private=opened)
            if not wanted.isdisjoint(_identifiers(opened)):
                late = f"{name}: the certificate's key is not the first one in it, which is the one that OpenSSL takes"
                return candidate if number == 0 else replace(candidate, notes=(*candidate.notes, late))
        fallback = fallback or candidate
    return fallback or own


def _sorted(own: Own) -> Own:
    """The same, with the key's certificate first, as OpenSSL requires; a key that belongs to none is a mismatch."""
    if own.private is None or not own.certificate:
        return own
    wanted = _identifiers(own.private)
    everything = (own.certificate, *own.more)
    mine = next((der for der in everything if facts(der).key in wanted), None)
    holder = (own.files.certificate or own.files.pkcs12 or Path("certificate")).name
    if mine is None:
        where = own.key_path.name if own.key_path is not None else "key"
        trouble = Problem(Reason.KEY_MISMATCH, "", f"{where}: not the key of {holder}")
        return replace(own, problem=own.problem or trouble)
    if mine == own.certificate:
        return own
    note = f"{holder}: the key's certificate does not come first in it, as OpenSSL wants it"
    return replace(
        own, certificate=mine, more=tuple(der for der in everything if der != mine), notes=(*own.notes, note)
    )


def own_issuers(
    certificates: Mapping[str, CertificateSpec], ders: Mapping[str, bytes], own: Mapping[str, Own]
) -> tuple[dict[str, str | None], frozenset[str]]:
    """The issuer of each own certificate within the plan, and which of them are roots.

    It is the declared issuer where that fits the certificate, else the first authority that does.
    """
    issuers: dict[str, str | None] = {}
    roots: set[str] = set()
    for certificate in own:
        known = facts(ders.get(certificate, b""))
        issuers[certificate] = None
        if known.self_issued:
            roots.add(certificate)
            continue
        declared = certificates[certificate].issuer
        candidates = [declared] if declared is not None else []
        candidates += [spec.id for spec in certificates.values() if spec.authority and spec.id != certificate]
        fitting = (other for other in candidates if known.names_as_issuer(facts(ders.get(other, b""))))
        issuers[certificate] = next(fitting, None)
    return issuers, frozenset(roots)
