"""The files that ends are given of the user's own material: the user's paths wherever possible, copies where files are joined."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mtls_runner.errors import FileUnusable, MaterialError
from mtls_runner.model.certificate import CertificateSpec, FileForm, PresentedFiles, Secret
from mtls_runner.model.chain import Issuers
from mtls_runner.model.endpoint import ChainKind, ChainSpec, KeySource
from mtls_runner.pki.own import Own
from mtls_runner.pki.own_bytes import (
    Part,
    certificate_parts,
    issuer_parts,
    joined,
    key_alone,
    key_part,
    keyless,
    part_of,
    trust_parts,
)
from mtls_runner.private_files import write_private

__all__ = ["OwnStore"]


class OwnStore:
    """Answers for certificates of the user's own, and for files that hold such a one among others.

    Args:
        directory: for joined and converted files.
        certificates: the plan's, by id.
        own: the user's own of them, as they were read.
        lineage: who issued whom.
        made: the PEM text of a certificate that the lab made, by id.
        made_trust: as ``made``, with the others that an authority stands for.
        made_key: the file of its key.
    """

    def __init__(
        self,
        directory: Path,
        certificates: Mapping[str, CertificateSpec],
        own: Mapping[str, Own],
        lineage: Issuers,
        made: Callable[[str], bytes],
        made_trust: Callable[[str], bytes],
        made_key: Callable[[str], Path | None],
    ) -> None:
        self._directory = directory
        self._certificates = certificates
        self._own = own
        self._lineage = lineage
        self._made = made
        self._made_trust = made_trust
        self._made_key = made_key
        self._lock = threading.Lock()
        self._notes: dict[str, None] = {}
        self._copied: dict[Path, str] = {}
        self._presented: dict[tuple[object, ...], PresentedFiles] = {}
        self._bundles: dict[tuple[str, ...], Path] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was joined or converted so far, for people."""
        with self._lock:
            return tuple(self._notes)

    def users_names(self, text: str) -> str:
        """A sentence that names the lab's copies, with the names of what they were made from in their places."""
        with self._lock:
            copies = list(self._copied.items())
        for path, names in copies:
            text = text.replace(path.name, names)
        return text

    def presented(
        self,
        certificate: str,
        chain: ChainSpec,
        key: KeySource | None,
        passphrase: Secret | None,
        forms: frozenset[FileForm],
    ) -> PresentedFiles:
        """The files that an end presents itself with.

        Raises:
            FileUnusable: an end can't be given one of them.
            MaterialError: the lab's own part of it can't be made.
        """
        asked = (certificate, chain, key, passphrase, forms)
        known = self._presented.get(asked)
        if known is None:
            known = self._presented[asked] = self._present(*asked)
        return known

    def _present(
        self,
        certificate: str,
        chain: ChainSpec,
        key: KeySource | None,
        passphrase: Secret | None,
        forms: frozenset[FileForm],
    ) -> PresentedFiles:
        own = self._own.get(certificate)
        container = own.files.pkcs12 if own is not None and key is None and FileForm.PKCS12 in forms else None
        if own is not None and container is not None and self._holds_all(certificate, own, chain):
            part_of(container)  # it hangs nobody
            return PresentedFiles(container, None, FileForm.PKCS12)
        parts = self._chain_parts(certificate, chain, passphrase)
        path, form = self._file(parts, forms)
        key_path, key_form = self._key(certificate, key, passphrase, forms)
        return PresentedFiles(path, key_path, form, key_form)

    def chain(self, certificate: str, chain: ChainSpec, passphrase: Secret | None) -> Path:
        """A PEM file with the certificate and what ``chain`` says comes after it.

        Raises:
            FileUnusable: an end can't be given one of the files.
            MaterialError: the lab's own part of it can't be made.
        """
        return self._file(self._chain_parts(certificate, chain, passphrase))[0]

    def to_take_away(self, certificate: str, passphrase: Secret | None) -> tuple[Path, Path, Path | None]:
        """PEM files of the certificate alone, of what is sent, both without a private key, and of that key, if there is one.

        Raises:
            FileUnusable: nobody can be given one of the files.
            MaterialError: the lab's own part of it can't be made.
        """
        own = self._own[certificate]
        kinds = (ChainSpec(ChainKind.LEAF), ChainSpec())
        try:
            parts = [[keyless(part) for part in self._chain_parts(certificate, kind, passphrase)] for kind in kinds]
            key = key_part(own, passphrase)
        except FileUnusable:
            # what does not open is there nevertheless, for who has the right passphrase
            if own.path is None or not own.path.is_file():
                raise
            return own.path, own.path, own.key_path
        alone, sent = (self._file(one, noted=False)[0] for one in parts)
        return alone, sent, self._file([key_alone(key)], key=True, noted=False)[0] if key is not None else None

    def bundle(self, certificates: Sequence[str]) -> Path:
        """A PEM file with all that is trusted.

        Raises:
            FileUnusable: an end can't be given one of the files.
            MaterialError: the lab's own part of it can't be made.
        """
        ids = tuple(certificates)
        if ids in self._bundles:
            return self._bundles[ids]
        parts: list[Part] = []
        for one in ids:
            own = self._own.get(one)
            passphrase = self._certificates[one].passphrase if own is not None else None
            parts += trust_parts(own, passphrase) if own is not None else [Part(one, self._made_trust(one))]
        path = self._bundles[ids] = self._file(parts)[0]
        return path

    def crl(self, crls: Sequence[tuple[str, Path | bytes]]) -> Path:
        """A PEM file with these CRLs: the user's own files, or the lab's as PEM text, by name.

        Raises:
            FileUnusable: an end can't be given one of them.
        """
        parts = [part_of(what) if isinstance(what, Path) else Part(name, what) for name, what in crls]
        return self._file(parts)[0]

    def _holds_all(self, certificate: str, own: Own, chain: ChainSpec) -> bool:
        """Whether a PKCS #12 file alone is what is to be sent; of one that the lab can't open an end has the last word."""
        match chain.kind:
            case ChainKind.FULL:
                return not own.certificate or bool(own.more) or not self._lineage.intermediates(certificate)
            case ChainKind.LEAF:
                return not own.more
            case ChainKind.IDS:
                return False

    def _chain_parts(self, certificate: str, chain: ChainSpec, passphrase: Secret | None) -> list[Part]:
        own = self._own.get(certificate)
        full = chain.kind is ChainKind.FULL
        if own is None:
            parts = [Part(certificate, self._made(certificate))]
        else:
            parts = certificate_parts(own, passphrase, alone=not full)
            if not parts:
                problem = own.problem.text if own.problem is not None else "no file of a certificate is given"
                raise MaterialError(f"certificate {certificate!r}: {problem}")
        if full and (own is None or not own.more):
            for issuer in self._lineage.intermediates(certificate):
                theirs = self._own.get(issuer)
                secret = self._certificates[issuer].passphrase
                parts += issuer_parts(theirs, secret) if theirs is not None else [Part(issuer, self._made(issuer))]
        for one in chain.ids if chain.kind is ChainKind.IDS else ():
            parts += self._chain_parts(one, ChainSpec(ChainKind.LEAF), self._secret(one))
        return parts

    def _secret(self, certificate: str) -> Secret | None:
        spec = self._certificates.get(certificate)
        return spec.passphrase if spec is not None else None

    def _key(
        self, certificate: str, key: KeySource | None, passphrase: Secret | None, forms: frozenset[FileForm]
    ) -> tuple[Path | None, FileForm]:
        if key is not None and key.file is not None:
            return self._file([part_of(key.file)], forms, key=True)
        owner = key.id if key is not None and key.id is not None else certificate
        own = self._own.get(owner)
        if own is None:
            return self._made_key(owner), FileForm.PEM
        part = key_part(own, passphrase)
        if part is None:
            if owner != certificate:
                raise MaterialError(f"{owner} has no private key of its own")
            return None, FileForm.PEM
        return self._file([part], forms, key=True)

    def _file(
        self, parts: Sequence[Part], forms: frozenset[FileForm] = frozenset(), *, key: bool = False, noted: bool = True
    ) -> tuple[Path, FileForm]:
        """The one file, or all in one, and its form."""
        unreadable = next((part.path for part in parts if part.data is None), None)
        if unreadable is not None:
            return unreadable, FileForm.PEM
        if len(parts) == 1:
            (part,) = parts
            if part.path is not None:
                return part.path, FileForm.PEM
            if part.der is not None and FileForm.DER in forms:
                return part.der, FileForm.DER
        data, note = joined(parts)
        names = " and ".join(dict.fromkeys(part.name for part in parts))
        # the same content has the same name, so that it is written once, and several threads write the same
        path = self._directory / f"own={hashlib.sha256(data).hexdigest()[:24]}.{'key' if key else 'pem'}"
        with self._lock:
            if noted:
                self._notes |= dict.fromkeys(one for one in (*(part.note for part in parts), note) if one)
            if path not in self._copied:
                self._copied[path] = names
                write_private(path, data)
        return path, FileForm.PEM
