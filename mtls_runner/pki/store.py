"""The material of one plan: forged in memory, written to one private directory when it is asked for."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from mtls_runner.errors import MaterialError
from mtls_runner.model.credential import Credential
from mtls_runner.model.spec import CertificateSpec, ChainKind, ChainSpec
from mtls_runner.pki.at_rest import pem_block, pem_key
from mtls_runner.pki.forge import Forge, Forged
from mtls_runner.pki.keys import KeyPool, Progress
from mtls_runner.pki.private_files import file_names, make_private, write_private

__all__ = ["Store"]

_LONGEST_BUNDLE_NAME = 120


class Store:
    """Implements :class:`mtls_runner.model.port.Material`.

    Under ``directory`` lie ``authorities/<id>.*``, ``leaves/<id>.*`` (``.crt``, ``.key``, ``.chain.pem``, ``.passphrase``)
    and ``bundles/*.pem``; each file is written once, at its first use.

    Args:
        directory: made, 0700, if it is not there.
        certificates: the plan's, by id.
        start: when the run began, aware; relative times count from it.
        pool: where keys come from.
        progress: told about work that takes time.

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
    ) -> None:
        self._directory = directory
        self._certificates = certificates
        self._names = file_names(certificates)
        self._forged: dict[str, Forged] = {}
        self._failures: dict[str, str] = {}
        self._credentials: dict[str, Credential] = {}
        self._bundles: dict[tuple[str, ...], Path] = {}
        self._lock = threading.Lock()
        for part in (directory, *(directory / name for name in ("authorities", "leaves", "bundles"))):
            make_private(part)
        forge = Forge(certificates, start=start, pool=pool, progress=progress)
        for certificate in certificates:
            try:
                self._forged[certificate] = forge.make(certificate)
            except MaterialError as error:
                self._failures[certificate] = str(error)
        self._ids = {forged.der: certificate for certificate, forged in self._forged.items()}

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
        """A PEM file with exactly these certificates, in this order.

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
                return self.bundle((certificate, *chain.ids))

    def name(self, der: bytes) -> str:
        """The id of a certificate of this plan, or the RFC 4514 subject of one that is not."""
        known = self._ids.get(der)
        if known is not None:
            return known
        try:
            return x509.load_der_x509_certificate(der).subject.rfc4514_string()
        except ValueError:
            return f"unreadable certificate (SHA-256 {hashlib.sha256(der).hexdigest()})"

    def write_all(self) -> None:
        """Write everything that can be made, for people who keep the directory."""
        for certificate in self._forged:
            self.credential(certificate)

    def _get(self, certificate: str) -> Forged:
        forged = self._forged.get(certificate)
        if forged is None:
            raise MaterialError(self._failures.get(certificate, f"there is no certificate {certificate!r}"))
        return forged

    def _ancestors(self, certificate: str) -> tuple[str, ...]:
        found: list[str] = []
        issuer = self._certificates[certificate].issuer
        while issuer is not None and issuer in self._certificates and issuer not in (certificate, *found):
            found.append(issuer)
            issuer = self._certificates[issuer].issuer
        return tuple(found)

    def _write(self, certificate: str) -> Credential:
        forged = self._get(certificate)
        spec = forged.spec
        ancestors = self._ancestors(certificate)
        intermediates = [issuer for issuer in ancestors if self._certificates[issuer].issuer is not None]
        base = self._directory / ("authorities" if spec.authority else "leaves") / self._names[certificate]
        own = _pem(forged.der)
        try:
            key = pem_key(forged.key, spec.key.format, spec.key.cipher, spec.passphrase)
        except MaterialError as error:
            raise MaterialError(f"certificate {certificate!r}: {error}") from error
        passphrase_path = None
        if spec.passphrase is not None:
            passphrase_path = write_private(
                base.with_name(f"{base.name}.passphrase"), spec.passphrase.reveal().encode() + b"\n"
            )
        return Credential(
            id=certificate,
            der=forged.der,
            subject=forged.subject,
            certificate_path=write_private(base.with_name(f"{base.name}.crt"), own),
            chain_path=write_private(
                base.with_name(f"{base.name}.chain.pem"),
                own + b"".join(_pem(self._get(issuer).der) for issuer in intermediates),
            ),
            key_path=write_private(base.with_name(f"{base.name}.key"), key),
            passphrase=spec.passphrase,
            passphrase_path=passphrase_path,
            ancestors=ancestors,
        )

    def _write_bundle(self, ids: tuple[str, ...]) -> Path:
        data = b"".join(_pem(self._get(certificate).der) for certificate in ids)
        name = "+".join(self._names[certificate] for certificate in ids)
        if len(name) > _LONGEST_BUNDLE_NAME or not name:
            name = f"{len(ids)}-{hashlib.sha256(repr(ids).encode()).hexdigest()[:16]}"
        return write_private(self._directory / "bundles" / f"{name}.pem", data)


def _pem(der: bytes) -> bytes:
    return pem_block("CERTIFICATE", der)
