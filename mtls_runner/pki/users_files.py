"""What is said of the user's own files: what is wrong with them, and what a person should know though it stops nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from mtls_runner.model.certificate import CertificateSpec, Secret
from mtls_runner.tls.context import Problem

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
        self._described: tuple[Mapping[str, CertificateSpec], Mapping[str, tuple[str, ...]]] | None = None

    @property
    def own(self) -> Mapping[str, Own]:
        """What the files hold, by the certificate's id."""
        return self._own

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know though it stops nothing: what is expired, and such."""
        return tuple(dict.fromkeys(note for own in self._own.values() for note in own.notes))

    def described(self) -> tuple[Mapping[str, CertificateSpec], Mapping[str, tuple[str, ...]]]:
        """Descriptions of all, the user's own as their files say, and what else those files hold, by id."""
        if not self._own:
            return self._certificates, {}
        if self._described is None:
            from mtls_runner.pki.described import with_own

            self._described = with_own(self._certificates, self._own)
        return self._described

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
            from mtls_runner.pki.own import read_own

            # Looking into a key takes OpenSSL a third of a second where it is an RSA key of 4096 bits.
            known = self._own[certificate] if passphrase == spec.passphrase else read_own(spec.files, passphrase)
            self._problems[asked] = known.unpresentable(need_key=need_key)
        return self._problems[asked]


def _read(certificates: Mapping[str, CertificateSpec], start: datetime) -> dict[str, Own]:
    if all(spec.files is None for spec in certificates.values()):
        return {}
    from mtls_runner.pki.own import read_own  # brings in the ASN.1 library, which few scenarios need

    return {
        spec.id: read_own(spec.files, spec.passphrase, start)
        for spec in certificates.values()
        if spec.files is not None
    }
