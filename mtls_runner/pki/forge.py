"""Descriptions → certificates. Sane ones by ``cryptography``, the others by way of a sane twin that is then altered.

No certificate needs another one to exist first: issuing takes the issuer's name and key only, so that authorities may
cross-sign each other in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mtls_runner.errors import FileUnusable, MaterialError
from mtls_runner.model.certificate import CertificateSpec, Defect
from mtls_runner.pki.extensions import extensions
from mtls_runner.pki.identities import Identities, Issuer
from mtls_runner.pki.keys import KeyPool, PrivateKey, Progress
from mtls_runner.pki.names import distinguished_name
from mtls_runner.pki.signing import Scheme, scheme
from mtls_runner.tls.material import Problem
from mtls_runner.tls.messages import subject as subject_of

__all__ = ["Forge", "Forged", "is_proper_serial"]

_STRANGER = "CN=Nobody in this lab"
"""The issuer field of a certificate with a wrong issuer name."""


def is_proper_serial(serial: int) -> bool:
    """A positive INTEGER of at most 20 octets (RFC 5280 §4.1.2.2): ``cryptography`` builds nothing with another one."""
    return 0 < serial < 1 << 159


@dataclass(frozen=True, slots=True)
class Forged:
    """A certificate, DER, and the private key that is handed out with it, which a defect may have made a wrong one."""

    spec: CertificateSpec
    der: bytes = field(repr=False)
    subject: str
    key: PrivateKey = field(repr=False)


class Forge:
    """Makes the certificates of a plan.

    Args:
        certificates: the plan's, by id; those of the user's own material are skipped.
        start: when the run began, aware; relative times count from it.
        pool: where keys come from.
        own: what the user's own material has to sign with, by id, or why it can't sign.
        progress: told about keys that take time.
    """

    def __init__(
        self,
        certificates: Mapping[str, CertificateSpec],
        *,
        start: datetime,
        pool: KeyPool,
        own: Mapping[str, Issuer | Problem] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._certificates = certificates
        self._start = start
        self._own = own or {}
        self._identities = Identities(certificates, self._own, pool, progress)
        self._serials = _serials(certificates)

    def make(self, certificate: str) -> Forged:
        """The certificate of that id.

        Raises:
            MaterialError: it can't be made; the text names it and says why.
        """
        spec = self._certificates[certificate]
        try:
            return self._make(spec)
        except FileUnusable as error:
            raise FileUnusable(f"certificate {certificate!r}: {error}", reason=error.reason) from error
        except MaterialError as error:
            raise MaterialError(f"certificate {certificate!r}: {error}") from error
        except (ValueError, TypeError, OverflowError) as error:
            # What the builder says about a value that it refuses: dates out of range, names of a wrong length, …
            raise MaterialError(f"certificate {certificate!r} can't be made: {error}") from error

    def serial(self, certificate: str) -> int:
        """The serial number of a certificate that is made here.

        Raises:
            KeyError: there is no such one.
        """
        return self._serials[certificate]

    def issuer(self, certificate: str) -> Issuer:
        """What a certificate of this plan has to sign with.

        Raises:
            FileUnusable: it is the user's own, and can't sign.
            MaterialError: there is none.
        """
        spec = self._certificates.get(certificate)
        if spec is None:
            raise MaterialError(f"its issuer {certificate!r} does not exist")
        if spec.files is not None:
            own = self._own[certificate]
            if isinstance(own, Problem):
                raise FileUnusable(f"its issuer {certificate!r} can't sign: {own.text}", reason=own.reason)
            return own
        key = self._identities.key(certificate)
        return Issuer(distinguished_name(spec.subject), key, key.identifier)

    def _make(self, spec: CertificateSpec) -> Forged:
        key = self._identities.key(spec.id)
        subject = distinguished_name(spec.subject)
        issuer = self.issuer(spec.issuer if spec.issuer is not None else spec.id)
        extra = self._identities.wrong_key(spec.id, Defect.WRONG_SIGNATURE_KEY)
        signer = (extra or issuer.key).private
        how = scheme(signer, spec.signature)
        serial = self._serials[spec.id]
        begin, end = spec.not_before.resolve(self._start), spec.not_after.resolve(self._start)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(distinguished_name(_STRANGER) if Defect.WRONG_ISSUER_NAME in spec.defects else issuer.name)
            .public_key(key.public)
            .serial_number(serial if is_proper_serial(serial) else 1)
            .not_valid_before(min(begin, end))
            .not_valid_after(max(begin, end))
        )
        repeated: list[tuple[x509.ExtensionType, bool]] = []
        present: set[x509.ObjectIdentifier] = set()
        for extension, critical in extensions(spec, key.identifier, issuer.identifier):
            if extension.oid in present:
                repeated.append((extension, critical))
            else:
                present.add(extension.oid)
                builder = builder.add_extension(extension, critical)
        twin = builder.sign(signer, how.hash, rsa_padding=how.padding if how.weak is None else None)
        der = twin.public_bytes(Encoding.DER)
        if _odd(spec, how, serial) or begin > end or repeated:
            from mtls_runner.pki.rework import rework  # brings in the ASN.1 library, which few scenarios need

            der = rework(der, spec, signer, how, serial=serial, validity=(begin, end), repeated=repeated)
        wrong = self._identities.wrong_key(spec.id, Defect.KEY_MISMATCH) or self._identities.wrong_key(
            spec.id, Defect.KEY_TYPE_MISMATCH
        )
        return Forged(spec, der, subject_of(der), (wrong or key).private)


def _odd(spec: CertificateSpec, how: Scheme, serial: int) -> bool:
    """Whether ``cryptography`` refuses to build it as described."""
    return (
        how.weak is not None
        or not is_proper_serial(serial)
        or Defect.VERSION_1 in spec.defects
        or Defect.CORRUPTED_SIGNATURE in spec.defects
    )


def _serials(certificates: Mapping[str, CertificateSpec]) -> dict[str, int]:
    serials = {
        spec.id: spec.serial if spec.serial is not None else x509.random_serial_number()
        for spec in certificates.values()
    }
    for spec in certificates.values():
        if Defect.DUPLICATE_SERIAL in spec.defects:
            issuer = spec.issuer if spec.issuer is not None else spec.id
            others = [
                other.id
                for other in certificates.values()
                if other.issuer == issuer
                and other.id != spec.id
                and other.files is None
                and Defect.DUPLICATE_SERIAL not in other.defects
            ]
            # the issuer's own certificate counts only where it issued no other
            serials[spec.id] = serials.get(others[0] if others else issuer, serials[spec.id])
        if Defect.NEGATIVE_SERIAL in spec.defects:
            serials[spec.id] = -abs(serials[spec.id]) or -1
    return serials
