"""The material of one plan: forged in memory, written to one private directory when it is asked for."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import TYPE_CHECKING, TypeVar

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import (
    PEM_ONLY,
    CertificateSpec,
    Credential,
    FileForm,
    KeyFormat,
    PresentedFiles,
    Secret,
)
from mtls_runner.model.chain import Issuers
from mtls_runner.model.endpoint import ChainKind, ChainSpec, KeySource
from mtls_runner.model.port import Report
from mtls_runner.model.revocation import CrlSpec, OcspAnswer, ResponderSpec
from mtls_runner.pki.forge import Forge, Forged, making
from mtls_runner.pki.keys import KeyPool, pem_key
from mtls_runner.private_files import file_names, joined_name, make_private, write_private
from mtls_runner.tls.messages import subject

if TYPE_CHECKING:
    from mtls_runner.pki.own import Own
    from mtls_runner.pki.own_store import OwnStore
    from mtls_runner.pki.revocation import Revocations
    from mtls_runner.pki.users_files import UsersFiles

__all__ = ["Store"]

_PLACES = ("authorities", "leaves", "bundles")
_K = TypeVar("_K")
_V = TypeVar("_V")


class Store:
    """Implements :class:`mtls_runner.model.port.Material`.

    Under ``directory`` lie ``authorities/<id>.*``, ``leaves/<id>.*`` (``.crt``, ``.key``, ``.chain.pem``, ``.passphrase``)
    and ``bundles/*.pem``; each file is written once, at its first use. For the user's own material see
    :class:`mtls_runner.pki.own_store.OwnStore`.

    Args:
        directory: made, 0700, if it is not there.
        certificates: the plan's, by id.
        start: when the run began, aware; relative times count from it.
        pool: where keys come from.
        progress: told about work that takes time.
        crls: the plan's CRLs, by id.

    Raises:
        MaterialError: the directory can't be made. A certificate that can't be made is an error for those who ask for it
            only.
    """

    def __init__(
        self,
        directory: Path,
        certificates: Mapping[str, CertificateSpec],
        *,
        start: datetime,
        pool: KeyPool,
        progress: Report | None = None,
        crls: Mapping[str, CrlSpec] | None = None,
    ) -> None:
        self._directory = directory
        self._certificates = certificates
        self._crls = crls or {}
        self._names = file_names(certificates)
        self._failures: dict[str, MaterialError] = {}
        self._credentials: dict[str, Credential] = {}
        self._bundles: dict[tuple[str, ...], Path] = {}
        self._chains: dict[tuple[str, ...], Path] = {}
        self._opened: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._bringing = threading.Lock()
        self._brought: OwnStore | None = None
        for part in (directory, *self.places):
            make_private(part)
        self._start = start
        self._users_files: UsersFiles | None = None
        self._own = self.users_files.own if any(spec.files is not None for spec in certificates.values()) else {}
        self._forge = self._new_forge(start, pool, progress)
        self._forged = self._make(self._forge)
        self._ders = {certificate: forged.der for certificate, forged in self._forged.items()}
        self._ders |= {certificate: own.certificate for certificate, own in self._own.items() if own.certificate}
        self._ids = {der: certificate for certificate, der in self._ders.items()}
        self._lineage = self._trace()
        self._revocations: Revocations | None = None

    @property
    def start(self) -> datetime:
        """When the run began, aware: relative times count from it, but of leaves that are dated for their case."""
        return self._start

    def begin(self, start: datetime) -> None:
        """Leaves that begin or end soon, and that nobody has got yet, are dated by this moment."""
        with self._lock:
            issuers = {spec.issuer for spec in self._certificates.values()}
            given = self._credentials.keys() | {one for ids in self._bundles for one in ids} | issuers
            brief = [
                certificate
                for certificate, forged in self._forged.items()
                if certificate not in given and (forged.spec.not_before.brief or forged.spec.not_after.brief)
            ]
            if brief:
                self._forge.begin(start)
            for certificate in brief:
                self._ids.pop(self._ders[certificate], None)
                self._forged[certificate] = self._forge.make(certificate)
                self._ders[certificate] = der = self._forged[certificate].der
                self._ids[der] = certificate

    @property
    def directory(self) -> Path:
        """The 0700 directory."""
        return self._directory

    @property
    def places(self) -> tuple[Path, ...]:
        """The directories below it that hold what was made."""
        return tuple(self._directory / name for name in _PLACES)

    @property
    def users_files(self) -> UsersFiles:
        """What is said of the user's own files."""
        if self._users_files is None:
            from mtls_runner.pki.users_files import UsersFiles

            self._users_files = UsersFiles(self._certificates, self._start)
        return self._users_files

    def credential(self, certificate: str) -> Credential:
        """Of an authority or leaf, by id; a dictionary look-up after the first time.

        Raises:
            MaterialError: it can't be made, or there is no such id.
        """
        return self._once(self._credentials, certificate, self._write)

    def _once(self, known: dict[_K, _V], key: _K, write: Callable[[_K], _V]) -> _V:
        """What is known, or else written now: by one thread, while others wait."""
        found = known.get(key)
        if found is None:
            with self._lock:
                found = known.get(key)
                if found is None:
                    found = known[key] = write(key)
        return found

    def bundle(self, certificates: Sequence[str]) -> Path:
        """A PEM file with exactly these certificates, in this order; of the user's own, all that their file holds.

        Raises:
            MaterialError: one of them can't be made.
        """
        ids = tuple(certificates)
        if not self._own.keys().isdisjoint(ids):
            return self._users().bundle(ids)
        return self._once(self._bundles, ids, self._write_bundle)

    def chain(self, certificate: str, chain: ChainSpec) -> Path:
        """A PEM file with the certificate and what ``chain`` says comes after it.

        Raises:
            MaterialError: one of them can't be made.
        """
        if not {certificate, *chain.ids}.isdisjoint(self._own):
            return self._users().chain(certificate, chain, self.passphrase(certificate))
        match chain.kind:
            case ChainKind.FULL:
                return self.credential(certificate).chain_path
            case ChainKind.LEAF:
                return self.credential(certificate).certificate_path
            case ChainKind.IDS:
                return self._once(self._chains, (certificate, *chain.ids), self._write_chain)

    def presented(
        self,
        certificate: str,
        chain: ChainSpec,
        key: KeySource | None = None,
        passphrase: Secret | None = None,
        forms: frozenset[FileForm] = PEM_ONLY,
    ) -> PresentedFiles:
        """The files that an end presents itself with: the user's own byte for byte, in any of the forms that it loads.

        Raises:
            FileUnusable: an end can't be given a file of the user's.
            MaterialError: something can't be made.
        """
        ids = {certificate, *chain.ids, *([key.id] if key is not None else [])}
        if not ids.isdisjoint(self._own) or (key is not None and key.file is not None):
            return self._users().presented(certificate, chain, key, passphrase, forms)
        other = key.id if key is not None and key.id is not None else certificate
        return PresentedFiles(self.chain(certificate, chain), self.credential(other).key_path)

    def opened_key(self, certificate: str) -> Path | None:
        """The key of a certificate of the lab's making, not encrypted: for programs that open no other.

        Raises:
            MaterialError: it can't be made.
        """
        credential = self.credential(certificate)
        if credential.passphrase is None:
            return credential.key_path
        return self._once(self._opened, certificate, self._write_opened)

    def renew(self, held: PresentedFiles, by: PresentedFiles) -> None:
        """From now on the files that a client holds are those of another one, as by rename.

        Raises:
            MaterialError: they are the user's own, which nobody replaces.
        """
        for old, new in ((held.certificate, by.certificate), (held.key, by.key)):
            if old is None or new is None or self._directory not in old.parents:
                raise MaterialError("a client's own files are not replaced: only such as the lab has made")
            write_private(old, new.read_bytes())

    def passphrase(self, certificate: str) -> Secret | None:
        """What opens its key, by its description; ``None``: nothing is needed, or there is no such certificate."""
        spec = self._certificates.get(certificate)
        return spec.passphrase if spec is not None else None

    def crl(self, crls: Sequence[str]) -> Path:
        """A PEM file with exactly these CRLs, in this order; the user's own file as it is, where it is the only one.

        Raises:
            MaterialError: one of them can't be made or read.
        """
        own = {one: spec.file for one in crls if (spec := self._crls.get(one)) is not None and spec.file is not None}
        if not own:
            return self._revoked().file(tuple(crls))
        return self._users().crl([(one, own[one] if one in own else self._revoked().pem(one)) for one in crls])

    def ocsp_response(self, responder: ResponderSpec, request: bytes, answer: OcspAnswer) -> bytes:
        """A DER ``OCSPResponse`` to a DER ``OCSPRequest``.

        Raises:
            MaterialError: it can't be made.
        """
        return self._revoked().response(responder, request, answer)

    def ocsp_request(self, certificate: str) -> bytes:
        """A DER ``OCSPRequest`` about a certificate.

        Raises:
            MaterialError: its issuer or its serial number is not known.
        """
        return self._revoked().request(certificate)

    def name(self, der: bytes) -> str:
        """The id of a certificate of this plan, or the RFC 4514 subject of one that is not."""
        return self._ids.get(der) or subject(der) or f"certificate with SHA-256 {hashlib.sha256(der).hexdigest()}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the user's own files: what is odd about them, what was joined or converted so far."""
        return (
            *(self.users_files.notes if self._own else ()),
            *(self._brought.notes if self._brought is not None else ()),
        )

    def in_users_words(self, text: str) -> str:
        """A sentence that names the lab's copies of the user's own files, with those files' names in their places."""
        return self._brought.users_names(text) if self._brought is not None else text

    def _new_forge(self, start: datetime, pool: KeyPool, progress: Report | None) -> Forge:
        specs = self._certificates.values()
        needed = {spec.issuer for spec in specs} | {spec.key.same_as for spec in specs}
        needed |= {crl.issuer for crl in self._crls.values()}
        issuers = {certificate: own.issuer() for certificate, own in self._own.items() if certificate in needed}
        return Forge(self._certificates, start=start, pool=pool, own=issuers, progress=progress)

    def _make(self, forge: Forge) -> dict[str, Forged]:
        forged: dict[str, Forged] = {}
        for certificate in self._certificates:
            if certificate not in self._own:
                try:
                    forged[certificate] = forge.make(certificate)
                except MaterialError as error:
                    self._failures[certificate] = error
        return forged

    def _trace(self) -> Issuers:
        if not self._own:
            return Issuers(self._certificates)
        from mtls_runner.pki.own import own_issuers

        return Issuers(self._certificates, *own_issuers(self._certificates, self._ders, self._own))

    def _users(self) -> OwnStore:
        """What knows the user's own files; it brings in the ASN.1 library, which few scenarios need."""
        from mtls_runner.pki.own_store import OwnStore

        with self._bringing:
            if self._brought is None:
                self._brought = OwnStore(
                    self._directory / "bundles",
                    self._certificates,
                    self._own,
                    self._lineage,
                    self._pem,
                    self._pems,
                    lambda certificate: self.credential(certificate).key_path,
                )
            return self._brought

    def _revoked(self) -> Revocations:
        """What the plan's authorities have withdrawn; few scenarios ask."""
        from mtls_runner.pki.revocation import Revocations

        with self._lock:
            if self._revocations is None:
                bundles = self._directory / "bundles"
                self._revocations = Revocations(
                    bundles, self._certificates, self._crls, self._forge, self._ders, self._start
                )
            return self._revocations

    def _pem(self, certificate: str) -> bytes:
        """PEM text of a certificate of the lab's making."""
        der = self._ders.get(certificate)
        if der is None:
            raise self._failures.get(certificate) or MaterialError(f"there is no certificate {certificate!r}")
        return DER_cert_to_PEM_cert(der).encode()

    def _pems(self, certificate: str) -> bytes:
        """As it is trusted: with the others that it stands for."""
        pem = self._pem(certificate)
        if self._certificates[certificate].count == 1:
            return pem
        return pem + b"".join(DER_cert_to_PEM_cert(der).encode() for der in self._forge.others(certificate))

    def _base(self, certificate: str) -> Path:
        kind = "authorities" if self._certificates[certificate].authority else "leaves"
        return self._directory / kind / self._names[certificate]

    def _write(self, certificate: str) -> Credential:
        if certificate in self._own:
            return self._write_own(certificate, self._own[certificate])
        pem = self._pem(certificate)
        forged = self._forged[certificate]
        spec = forged.spec
        with making(f"certificate {certificate!r}"):
            key = _key_pem(forged, spec.passphrase)
        base = self._base(certificate)
        return Credential(
            id=certificate,
            der=forged.der,
            subject=forged.subject,
            certificate_path=_save(base, ".crt", pem),
            chain_path=self._chain_path(certificate, base, pem),
            key_path=_save(base, ".key", key),
            passphrase=spec.passphrase,
            passphrase_path=_save_passphrase(base, spec.passphrase),
            ancestors=self._lineage.ancestors(certificate),
        )

    def _chain_path(self, certificate: str, base: Path, pem: bytes) -> Path:
        above = self._lineage.intermediates(certificate)
        if not self._own.keys().isdisjoint(above):
            return self._users().chain(certificate, ChainSpec(), None)
        return _save(base, ".chain.pem", pem + b"".join(map(self._pem, above)))

    def _write_own(self, certificate: str, own: Own) -> Credential:
        passphrase = self._certificates[certificate].passphrase
        alone, sent, key = self._users().to_take_away(certificate, passphrase)
        return Credential(
            id=certificate,
            der=own.certificate,
            subject=subject(own.certificate),
            certificate_path=alone,
            chain_path=sent,
            key_path=key,
            passphrase=passphrase,
            passphrase_path=_save_passphrase(self._base(certificate), passphrase),
            ancestors=self._lineage.ancestors(certificate),
        )

    def _write_bundle(self, ids: tuple[str, ...]) -> Path:
        path = self._directory / "bundles" / f"{self._bundle_name(ids)}.pem"
        return write_private(path, b"".join(map(self._pems, ids)))

    def _write_chain(self, ids: tuple[str, ...]) -> Path:
        # "=" is in no certificate's file name
        path = self._directory / "bundles" / f"chain={self._bundle_name(ids)}.pem"
        return write_private(path, b"".join(map(self._pem, ids)))

    def _write_opened(self, certificate: str) -> Path:
        return _save(self._base(certificate), ".opened.key", _key_pem(self._forged[certificate], None))

    def _bundle_name(self, ids: tuple[str, ...]) -> str:
        return joined_name([self._names.get(certificate, "") for certificate in ids])


def _save(base: Path, ending: str, data: bytes) -> Path:
    return write_private(base.with_name(base.name + ending), data)


def _key_pem(forged: Forged, passphrase: Secret | None) -> bytes:
    spec = forged.spec.key
    if not spec.pss:
        return pem_key(forged.key, spec.format, spec.cipher, passphrase)
    if passphrase is not None or spec.format is not KeyFormat.PKCS8:
        raise MaterialError("a key for RSASSA-PSS only is written as PKCS#8, and not encrypted")
    from mtls_runner.pki.key_forms import pss_private_key  # brings in the ASN.1 library
    from mtls_runner.pki.pem import pem_block

    return pem_block("PRIVATE KEY", pss_private_key(forged.key))


def _save_passphrase(base: Path, passphrase: Secret | None) -> Path | None:
    return _save(base, ".passphrase", passphrase.reveal().encode() + b"\n") if passphrase is not None else None
