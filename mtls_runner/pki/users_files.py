"""What is said of the user's own files: what is wrong with them, and what a person should know though it stops nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.credential import Credential, Secret
from mtls_runner.tls.material import Problem

if TYPE_CHECKING:
    from mtls_runner.pki.own import Own

__all__ = ["UsersFiles"]


class UsersFiles:
    """The user's own material of one plan, read once.

    Args:
        certificates: the plan's, by id.
        start: when the run began, aware: what is not valid then is noted.
    """

    def __init__(self, certificates: Mapping[str, CertificateSpec], start: datetime) -> None:
        self._certificates = certificates
        self._own = _read(certificates, start)
        self._problems: dict[tuple[str, Secret | None, bool], Problem | None] = {}

    @property
    def own(self) -> Mapping[str, Own]:
        """What the files hold, by the certificate's id."""
        return self._own

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know though it stops nothing: what is expired, and such."""
        return tuple(dict.fromkeys(note for own in self._own.values() for note in own.notes))

    def name(self, certificate: str) -> str:
        """Of the file of a certificate; ``""`` for one that the lab made."""
        own = self._own.get(certificate)
        return own.path.name if own is not None and own.path is not None else ""

    def notes_on(self, certificate: str) -> tuple[str, ...]:
        """Those of :attr:`notes` that are about one certificate; of what the lab made there are none."""
        own = self._own.get(certificate)
        return own.notes if own is not None else ()

    def problem(self, certificate: str, passphrase: Secret | None, *, need_key: bool = True) -> Problem | None:
        """Why an end could not present it; ``None``: nothing speaks against it, or the lab made it.

        Args:
            certificate: id of a leaf.
            passphrase: what that end is given to open the key with.
            need_key: a missing key counts.
        """
        spec = self._certificates.get(certificate)
        if spec is None or spec.files is None:
            return None
        asked = (certificate, passphrase, need_key)
        if asked not in self._problems:
            from mtls_runner.pki.own import problem

            found = problem(spec.files, passphrase, need_key=need_key)
            self._problems[asked] = found or self._sealed(certificate)
        return self._problems[asked]

    def _sealed(self, certificate: str) -> Problem | None:
        """A PKCS #12 file is opened once, for all ends: by the passphrase beside it, not by one that an end is given."""
        own = self._own[certificate]
        if own.files.pkcs12 is None or own.problem is None:
            return None
        return replace(own.problem, text=f"{own.problem.text} (it stands beside `pkcs12:`)")

    def in_users_words(self, credential: Credential, text: str) -> str:
        """A sentence that names the lab's copies, with the names of the user's own files in their places."""
        own = self._own.get(credential.id)
        if own is None:
            return text
        for copy, users in (
            (credential.chain_path, own.path),
            (credential.certificate_path, own.path),
            (credential.key_path, own.key_path),
        ):
            if copy is not None and users is not None:
                text = text.replace(copy.name, users.name)
        return text


def _read(certificates: Mapping[str, CertificateSpec], start: datetime) -> dict[str, Own]:
    if all(spec.files is None for spec in certificates.values()):
        return {}
    from mtls_runner.pki.own import read_own  # brings in the ASN.1 library, which few scenarios need

    return {
        spec.id: read_own(spec.files, spec.passphrase, start)
        for spec in certificates.values()
        if spec.files is not None
    }
