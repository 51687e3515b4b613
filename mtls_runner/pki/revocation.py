"""What the authorities of a plan say about the certificates that they have withdrawn."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.revocation import CrlSpec, OcspAnswer, ResponderSpec, Revocation
from mtls_runner.pki.crl import RevokedEntry, crl_pem, make_crl
from mtls_runner.pki.forge import Forge, Issuer
from mtls_runner.private_files import joined_name, write_private

__all__ = ["Revocations"]


class Revocations:
    """The CRLs and OCSP responses of a plan, each made when it is asked for; several threads may ask.

    Args:
        directory: where files go.
        certificates: the plan's, by id.
        crls: the plan's, by id.
        forge: knows serials, and what authorities sign with.
        ders: certificates that are there, by id; the user's own ones among them.
        start: when the run began, aware.
    """

    def __init__(
        self,
        directory: Path,
        certificates: Mapping[str, CertificateSpec],
        crls: Mapping[str, CrlSpec],
        forge: Forge,
        ders: Mapping[str, bytes],
        start: datetime,
    ) -> None:
        self._directory = directory
        self._certificates = certificates
        self._crls = crls
        self._forge = forge
        self._ders = ders
        self._start = start
        self._files: dict[tuple[str, ...], Path] = {}
        self._crl_pems: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def file(self, crls: tuple[str, ...]) -> Path:
        """A PEM file with these CRLs, all of the lab's making, in this order.

        Raises:
            MaterialError: one of them can't be made.
        """
        with self._lock:
            if crls not in self._files:
                path = self._directory / f"crl={joined_name(crls)}.pem"
                self._files[crls] = write_private(path, b"".join(map(self._crl, crls)))
            return self._files[crls]

    def pem(self, crl: str) -> bytes:
        """PEM text of a CRL of the lab's making.

        Raises:
            MaterialError: it can't be made.
        """
        with self._lock:
            return self._crl(crl)

    def _crl(self, crl: str) -> bytes:
        """PEM text of a CRL, made once."""
        if crl not in self._crl_pems:
            spec = self._crls.get(crl)
            if spec is None:
                raise MaterialError(f"there is no CRL {crl!r}")
            entries = list(self._entries(spec))
            issuer, names = self._forge.issuer(spec.issuer), spec.authority_key_identifier
            key = self._forge.authority_key(names, spec.issuer, issuer) if names is not None else None
            self._crl_pems[crl] = crl_pem(make_crl(spec, issuer, key, entries, self._start))
        return self._crl_pems[crl]

    def request(self, certificate: str) -> bytes:
        """A DER ``OCSPRequest`` about a certificate.

        Raises:
            MaterialError: its issuer or its serial number is not known.
        """
        from mtls_runner.pki.ocsp import ocsp_request

        spec = self._certificates.get(certificate)
        issuer = spec.issuer if spec is not None and spec.issuer is not None else certificate
        return ocsp_request(self._forge.issuer(issuer), self.serial(certificate))

    def response(self, responder: ResponderSpec, request: bytes, answer: OcspAnswer) -> bytes:
        """A DER ``OCSPResponse``; ``unauthorized`` where no authority of the plan is asked about (RFC 6960 §2.3).

        Raises:
            MaterialError: it can't be made.
        """
        from mtls_runner.pki.ocsp import ERRORS, Signer, Subject, asked, error_response, ocsp_response

        if answer in ERRORS:
            return error_response(answer)
        about = asked(request if responder.about is None else self.request(responder.about))
        if about is None:
            return error_response(OcspAnswer.MALFORMED_REQUEST)
        found = next((pair for pair in self._authorities() if about.is_issued_by(pair[1])), None)
        if found is None:
            return error_response(OcspAnswer.UNAUTHORIZED)
        issuer_id, issuer = found
        spec = self._issued(issuer_id, about.serial)
        subject = Subject(issuer, about.serial, spec.revoked if spec is not None else None, spec is not None)
        signer_id = responder.signer or issuer_id
        if signer_id not in self._ders:
            raise MaterialError(f"OCSP responder {responder.id!r}: there is no certificate {signer_id!r} to sign with")
        key = self._forge.issuer(signer_id).key.private
        signer = Signer(self._ders[signer_id], key)
        return ocsp_response(responder, answer, subject, signer, about.algorithm, self._start)

    def _authorities(self) -> Iterator[tuple[str, Issuer]]:
        for spec in self._certificates.values():
            if spec.authority:
                with contextlib.suppress(MaterialError):  # the user's own, without a key
                    yield spec.id, self._forge.issuer(spec.id)

    def _issued(self, issuer: str, serial: int) -> CertificateSpec | None:
        for spec in self._certificates.values():
            if (spec.issuer or spec.id) == issuer:
                with contextlib.suppress(MaterialError):
                    if self.serial(spec.id) == serial:
                        return spec
        return None

    def serial(self, certificate: str) -> int:
        """The serial number of a certificate of the plan.

        Raises:
            MaterialError: it is not there.
        """
        spec = self._certificates.get(certificate)
        if spec is not None and spec.files is None:
            return self._forge.serial(certificate)
        if certificate not in self._ders:
            raise MaterialError(f"there is no certificate {certificate!r} whose serial number is known")
        from mtls_runner.tls import asn1  # only needed for the user's own material

        return int(asn1.x509.Certificate.load(self._ders[certificate]).serial_number)

    def _entries(self, spec: CrlSpec) -> Iterator[RevokedEntry]:
        for certificate in spec.revoked:
            known = self._certificates.get(certificate)
            revocation = known.revoked if known is not None else None
            yield RevokedEntry(self.serial(certificate), revocation or Revocation())
