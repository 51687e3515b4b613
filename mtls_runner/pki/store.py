"""The material of one plan: forged in memory, written to one private directory when it is asked for."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.credential import Credential, Secret
from mtls_runner.model.endpoint import ChainKind, ChainSpec
from mtls_runner.model.revocation import CrlSpec, OcspAnswer, ResponderSpec
from mtls_runner.pki.at_rest import pem_key
from mtls_runner.pki.forge import Forge, Forged
from mtls_runner.pki.keys import KeyPool, Progress
from mtls_runner.pki.lineage import Lineage
from mtls_runner.pki.pem import certificate_pem
from mtls_runner.pki.private_files import file_names, make_private, write_private
from mtls_runner.pki.revocation import Revocations
from mtls_runner.pki.users_files import UsersFiles
from mtls_runner.tls.messages import subject

if TYPE_CHECKING:
    from mtls_runner.pki.own import Own

__all__ = ["Store"]

_LONGEST_BUNDLE_NAME = 120


class Store:
    """Implements :class:`mtls_runner.model.port.Material`.

    Under ``directory`` lie ``authorities/<id>.*``, ``leaves/<id>.*`` (``.crt``, ``.key``, ``.chain.pem``, ``.passphrase``)
    and ``bundles/*.pem``; each file is written once, at its first use. Of the user's own material there are tidy copies;
    what can't be read is answered with the user's own path, so that whoever loads it fails as the user's tools would.

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
        progress: Progress | None = None,
        crls: Mapping[str, CrlSpec] | None = None,
    ) -> None:
        self._directory = directory
        self._certificates = certificates
        self._crls = crls or {}
        self._names = file_names(certificates)
        self._failures: dict[str, str] = {}
        self._credentials: dict[str, Credential] = {}
        self._bundles: dict[tuple[str, ...], Path] = {}
        self._chains: dict[tuple[str, ...], Path] = {}
        self._lock = threading.Lock()
        for part in (directory, *(directory / name for name in ("authorities", "leaves", "bundles"))):
            make_private(part)
        self.users_files = UsersFiles(certificates, start)
        self._own = self.users_files.own
        forge = self._forge(start, pool, progress)
        self._forged = self._make(forge)
        self._ders = {certificate: forged.der for certificate, forged in self._forged.items()}
        self._ders |= {certificate: own.certificate for certificate, own in self._own.items() if own.certificate}
        self._ids = {der: certificate for certificate, der in self._ders.items()}
        self._lineage = self._trace()
        self._revocations = Revocations(directory / "bundles", certificates, self._crls, forge, self._ders, start)

    @property
    def directory(self) -> Path:
        """The 0700 directory."""
        return self._directory

    def credential(self, certificate: str) -> Credential:
        """Of an authority or leaf, by id; a dictionary look-up after the first time.

        Raises:
            MaterialError: it can't be made, or there is no such id.
        """
        credential = self._credentials.get(certificate)
        if credential is None:
            with self._lock:
                credential = self._credentials.get(certificate) or self._write(certificate)
                self._credentials[certificate] = credential
        return credential

    def bundle(self, certificates: Sequence[str]) -> Path:
        """A PEM file with exactly these certificates, in this order; of the user's own, all that their file holds.

        Raises:
            MaterialError: one of them can't be made.
        """
        ids = tuple(certificates)
        path = self._bundles.get(ids)
        if path is None:
            with self._lock:
                path = self._bundles.get(ids) or self._write_bundle(ids)
                self._bundles[ids] = path
        return path

    def chain(self, certificate: str, chain: ChainSpec) -> Path:
        """A PEM file with the certificate and what ``chain`` says comes after it.

        Raises:
            MaterialError: one of them can't be made.
        """
        match chain.kind:
            case ChainKind.FULL:
                return self.credential(certificate).chain_path
            case ChainKind.LEAF:
                return self.credential(certificate).certificate_path
            case ChainKind.IDS:
                ids = (certificate, *chain.ids)
                path = self._chains.get(ids)
                if path is None:
                    with self._lock:
                        path = self._chains.get(ids) or self._write_chain(ids)
                        self._chains[ids] = path
                return path

    def crl(self, crls: Sequence[str]) -> Path:
        """A PEM file with exactly these CRLs, in this order; the user's own file as it is, where it is the only one.

        Raises:
            MaterialError: one of them can't be made or read.
        """
        return self._revocations.file(tuple(crls))

    def ocsp_response(self, responder: ResponderSpec, request: bytes, answer: OcspAnswer) -> bytes:
        """A DER ``OCSPResponse`` to a DER ``OCSPRequest``.

        Raises:
            MaterialError: it can't be made.
        """
        return self._revocations.response(responder, request, answer)

    def ocsp_request(self, certificate: str) -> bytes:
        """A DER ``OCSPRequest`` about a certificate.

        Raises:
            MaterialError: its issuer or its serial number is not known.
        """
        return self._revocations.request(certificate)

    def name(self, der: bytes) -> str:
        """The id of a certificate of this plan, or the RFC 4514 subject of one that is not."""
        return self._ids.get(der) or subject(der) or f"certificate with SHA-256 {hashlib.sha256(der).hexdigest()}"

    def write_all(self) -> None:
        """Write everything, for people who keep the directory.

        Raises:
            MaterialError: something can't be made.
        """
        for certificate in self._certificates:
            self.credential(certificate)
        for crl in self._crls:
            self.crl((crl,))

    def _forge(self, start: datetime, pool: KeyPool, progress: Progress | None) -> Forge:
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
                    self._failures[certificate] = str(error)
        return forged

    def _trace(self) -> Lineage:
        if not self._own:
            return Lineage(self._certificates, {}, frozenset())
        from mtls_runner.pki.own import own_issuers

        return Lineage(self._certificates, *own_issuers(self._certificates, self._ders, self._own))

    def _pem(self, certificate: str) -> bytes:
        der = self._ders.get(certificate)
        if der is not None:
            return certificate_pem(der)
        own = self._own.get(certificate)
        if own is not None and own.problem is not None:
            raise MaterialError(f"certificate {certificate!r}: {own.problem.text}")
        raise MaterialError(self._failures.get(certificate, f"there is no certificate {certificate!r}"))

    def _broken(self, ids: Sequence[str]) -> Path | None:
        """The user's file of the first of these certificates that can't be read."""
        return next((self._own[one].broken for one in ids if one in self._own and one not in self._ders), None)

    def _intermediates(self, certificate: str) -> bytes:
        pem = b""
        for issuer in self._lineage.intermediates(certificate):
            pem += self._pem(issuer)
            if issuer in self._own:
                pem += b"".join(map(certificate_pem, self._own[issuer].chain))
        return pem

    def _base(self, certificate: str) -> Path:
        kind = "authorities" if self._certificates[certificate].authority else "leaves"
        return self._directory / kind / self._names[certificate]

    def _write(self, certificate: str) -> Credential:
        if certificate in self._own:
            return self._write_own(certificate, self._own[certificate])
        pem = self._pem(certificate)
        forged = self._forged[certificate]
        spec = forged.spec
        try:
            key = pem_key(forged.key, spec.key.format, spec.key.cipher, spec.passphrase)
        except MaterialError as error:
            raise MaterialError(f"certificate {certificate!r}: {error}") from error
        base = self._base(certificate)
        return Credential(
            id=certificate,
            der=forged.der,
            subject=forged.subject,
            certificate_path=_save(base, ".crt", pem),
            chain_path=_save(base, ".chain.pem", pem + self._intermediates(certificate)),
            key_path=_save(base, ".key", key),
            passphrase=spec.passphrase,
            passphrase_path=_save_passphrase(base, spec.passphrase),
            ancestors=self._lineage.ancestors(certificate),
        )

    def _write_own(self, certificate: str, own: Own) -> Credential:
        base = self._base(certificate)
        if not own.certificate and own.broken is not None:
            path = chain_path = own.broken
        else:
            pem = self._pem(certificate)
            more = b"".join(map(certificate_pem, own.more)) or self._intermediates(certificate)
            path = _save(base, ".crt", pem)
            chain_path = own.broken or _save(base, ".chain.pem", pem + more)
        passphrase = self._certificates[certificate].passphrase
        return Credential(
            id=certificate,
            der=own.certificate,
            subject=subject(own.certificate),
            certificate_path=path,
            chain_path=chain_path,
            key_path=_save(base, ".key", own.key) if own.key is not None else own.key_path,
            passphrase=passphrase,
            passphrase_path=_save_passphrase(base, passphrase),
            ancestors=self._lineage.ancestors(certificate),
        )

    def _write_bundle(self, ids: tuple[str, ...]) -> Path:
        broken = self._broken(ids)
        if broken is not None:
            return broken
        pem = b""
        for certificate in ids:
            pem += self._pem(certificate)
            if certificate in self._own:
                pem += b"".join(map(certificate_pem, self._own[certificate].more))
        return write_private(self._directory / "bundles" / f"{self._bundle_name(ids)}.pem", pem)

    def _write_chain(self, ids: tuple[str, ...]) -> Path:
        broken = self._broken(ids)
        if broken is not None:
            return broken
        # "=" is in no certificate's file name
        path = self._directory / "bundles" / f"chain={self._bundle_name(ids)}.pem"
        return write_private(path, b"".join(map(self._pem, ids)))

    def _bundle_name(self, ids: tuple[str, ...]) -> str:
        name = "+".join(self._names.get(certificate, "") for certificate in ids)
        if 0 < len(name) <= _LONGEST_BUNDLE_NAME:
            return name
        return f"{len(ids)}+{hashlib.sha256(repr(ids).encode()).hexdigest()[:16]}"


def _save(base: Path, ending: str, data: bytes) -> Path:
    return write_private(base.with_name(base.name + ending), data)


def _save_passphrase(base: Path, passphrase: Secret | None) -> Path | None:
    return _save(base, ".passphrase", passphrase.reveal().encode() + b"\n") if passphrase is not None else None
