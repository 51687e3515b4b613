"""Descriptions → certificates. Sane ones by ``cryptography``, the others by way of a sane twin that is then altered.

Each identity of a plan has a key of its own, unless it shares one on purpose. No certificate needs another one to exist first:
issuing takes the issuer's name and key only, so that authorities may cross-sign each other in a circle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.errors import FileUnusable, MaterialError
from mtls_runner.model.certificate import AuthorityKeyIdentifier, CertificateSpec, Defect, Guarded, KeyAlgorithm
from mtls_runner.model.names import NAMES, parse, write
from mtls_runner.model.port import Report
from mtls_runner.pki.extensions import distinguished_name, extensions
from mtls_runner.pki.keys import RSA_BITS, KeyPair, KeyPool, PrivateKey, Scheme, nearest, scheme
from mtls_runner.tls.context import Problem
from mtls_runner.tls.messages import subject as subject_of

__all__ = ["Forge", "Forged", "Identities", "Issuer", "is_proper_serial", "making"]


class Issuer(Struct, frozen=True):
    """What signing a certificate takes: a name, a key, the identifier by which the certificate calls that key, and whether that
    key is for RSASSA-PSS only.
    """

    name: x509.Name
    key: KeyPair
    identifier: bytes
    pss: bool = False


class Identities:
    """The keys of a plan.

    Args:
        certificates: the plan's, by id.
        own: what the user's own material has to sign with, by id, or why it can't sign.
        pool: where keys come from.
        progress: told about keys that take time.
    """

    def __init__(
        self,
        certificates: Mapping[str, CertificateSpec],
        own: Mapping[str, Issuer | Problem],
        pool: KeyPool,
        progress: Report | None = None,
    ) -> None:
        self._certificates = certificates
        self._own = own
        # What stands for an identity's key → (algorithm, number). Keys that defects call for are numbered after all
        # others, so that adding a defect changes nobody's key.
        self._numbers: dict[tuple[str, Defect | None], tuple[KeyAlgorithm, int]] = {}
        count: Counter[KeyAlgorithm] = Counter()

        def number(certificate: str, role: Defect | None, algorithm: KeyAlgorithm) -> None:
            self._numbers[certificate, role] = (algorithm, count[algorithm])
            count[algorithm] += 1

        for spec in certificates.values():
            if spec.files is None and spec.key.same_as is None:
                number(spec.id, None, spec.key.algorithm)
        for spec in certificates.values():
            for defect in spec.defects if spec.files is None else ():
                algorithm = self._wrong(spec, defect)
                if algorithm is not None:
                    number(spec.id, defect, algorithm)
        self._keys = pool.take(count, progress)

    def key(self, certificate: str) -> KeyPair:
        """The key that belongs to a certificate.

        Raises:
            FileUnusable: it is the user's own, and can't be used.
            MaterialError: it shares the key of one that does not exist, or in a circle.
        """
        owner = self._owner(certificate)
        if self._certificates[owner].files is None:
            algorithm, number = self._numbers[owner, None]
            return self._keys[algorithm][number]
        own = self._own[owner]
        if isinstance(own, Problem):
            raise FileUnusable(f"the key of {owner!r} can't be used: {own.text}", reason=own.reason)
        return own.key

    def wrong_key(self, certificate: str, defect: Defect) -> KeyPair | None:
        """The wrong key that a defect of the certificate calls for, if it has that defect."""
        found = self._numbers.get((certificate, defect))
        return self._keys[found[0]][found[1]] if found is not None else None

    def _owner(self, certificate: str) -> str:
        seen = [certificate]
        while True:
            spec = self._certificates.get(seen[-1])
            if spec is None:
                raise MaterialError(f"certificate {seen[-2]!r} has the key of {seen[-1]!r}, which does not exist")
            if spec.files is not None or spec.key.same_as is None:
                return seen[-1]
            if spec.key.same_as in seen:
                raise MaterialError(f"certificates share their keys in a circle: {', '.join(seen)}")
            seen.append(spec.key.same_as)

    def _algorithm(self, certificate: str) -> KeyAlgorithm | None:
        """``None``: there is no usable key, which making the certificate will say."""
        try:
            owner = self._owner(certificate)
        except MaterialError:
            return None
        if self._certificates[owner].files is None:
            return self._certificates[owner].key.algorithm
        own = self._own.get(owner)
        return nearest(own.key.public) if isinstance(own, Issuer) else None

    def _wrong(self, spec: CertificateSpec, defect: Defect) -> KeyAlgorithm | None:
        match defect:
            case Defect.KEY_MISMATCH:
                return self._algorithm(spec.id)
            case Defect.KEY_TYPE_MISMATCH:
                rsa = self._algorithm(spec.id) in RSA_BITS
                return KeyAlgorithm.EC_P256 if rsa else KeyAlgorithm.RSA_2048
            case Defect.WRONG_SIGNATURE_KEY:
                issuer = spec.issuer if spec.issuer is not None else spec.id
                return self._algorithm(issuer) if issuer in self._certificates else None
            case _:
                return None


_STRANGER = "CN=Nobody in this lab"
"""The issuer field of a certificate with a wrong issuer name."""


@contextmanager
def making(what: str) -> Iterator[None]:
    """In this block something is made; what is wrong with it is told with its name.

    Raises:
        FileUnusable: a file of the user's is why it can't be made.
        MaterialError: it can't be made.
    """
    try:
        yield
    except FileUnusable as error:
        raise FileUnusable(f"{what}: {error}", reason=error.reason) from error
    except MaterialError as error:
        raise MaterialError(f"{what}: {error}") from error
    except (ValueError, TypeError, OverflowError) as error:
        # What a builder says about a value that it refuses: dates out of range, names of a wrong length, …
        raise MaterialError(f"{what} can't be made: {error}") from error


def is_proper_serial(serial: int) -> bool:
    """A positive INTEGER of at most 20 octets (RFC 5280 §4.1.2.2): ``cryptography`` builds nothing with another one."""
    return 0 < serial < 1 << 159


class Forged(Guarded, frozen=True):
    """A certificate, DER, and the private key that is handed out with it, which a defect may have made a wrong one."""

    hidden: ClassVar = frozenset({"der", "key"})

    spec: CertificateSpec
    der: bytes
    subject: str
    key: PrivateKey


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
        progress: Report | None = None,
    ) -> None:
        self._certificates = certificates
        self._start = start
        self._own = own or {}
        self._identities = Identities(certificates, self._own, pool, progress)
        self._serials = _serials(certificates)

    def begin(self, start: datetime) -> None:
        """From now on relative times count from this moment."""
        self._start = start

    def make(self, certificate: str) -> Forged:
        """The certificate of that id.

        Raises:
            MaterialError: it can't be made; the text names it and says why.
        """
        spec = self._certificates[certificate]
        with making(f"certificate {certificate!r}"):
            return self._make(spec, self.issuer(spec.issuer if spec.issuer is not None else spec.id))

    def others(self, certificate: str) -> Iterator[bytes]:
        """What is trusted beside an authority that stands for several (``count``), DER.

        Raises:
            MaterialError: they can't be made.
        """
        spec = self._certificates[certificate]
        (first, *more), *above = parse(spec.subject) or (((NAMES["CN"], certificate),),)
        for number in range(2, spec.count + 1):
            own = ((first[0], f"{first[1]} {number}"), *more)
            named = replace(spec, subject=write((own, *above)))
            issuer = self.issuer(spec.issuer) if spec.issuer is not None else self._issuer(named)
            yield self._make(named, issuer).der

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
        return self._issuer(spec)

    def _issuer(self, spec: CertificateSpec) -> Issuer:
        key = self._identities.key(spec.id)
        return Issuer(distinguished_name(spec.subject), key, key.identifier, spec.key.pss)

    def authority_key(
        self, names: AuthorityKeyIdentifier, issuer_id: str, issuer: Issuer
    ) -> x509.AuthorityKeyIdentifier:
        """The extension of what ``issuer`` signs (RFC 5280 §4.2.1.1).

        Raises:
            MaterialError: it names a certificate that does not exist, or is the user's own.
        """
        key = None
        if names.key is not None:
            key = self.issuer(names.key).identifier if names.key else issuer.identifier
        if names.serial is None:
            return x509.AuthorityKeyIdentifier(key, None, None)
        numbered = self._certificates.get(names.serial or issuer_id)
        if numbered is None or numbered.files is not None:
            raise MaterialError(f"the serial number of {names.serial or issuer_id!r} is not known")
        above = self.issuer(numbered.issuer if numbered.issuer is not None else numbered.id)
        return x509.AuthorityKeyIdentifier(key, [x509.DirectoryName(above.name)], self._serials[numbered.id])

    def _make(self, spec: CertificateSpec, issuer: Issuer) -> Forged:
        key = self._identities.key(spec.id)
        subject = distinguished_name(spec.subject)
        extra = self._identities.wrong_key(spec.id, Defect.WRONG_SIGNATURE_KEY)
        signer = (extra or issuer.key).private
        how = scheme(signer, replace(spec.signature, pss=True) if issuer.pss else spec.signature)
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
        names = spec.authority_key_identifier
        authority_key = self.authority_key(names, spec.issuer or spec.id, issuer) if names is not None else None
        for extension, critical in extensions(spec, key.identifier, authority_key):
            if extension.oid in present:
                repeated.append((extension, critical))
            else:
                present.add(extension.oid)
                builder = builder.add_extension(extension, critical)
        twin = builder.sign(signer, how.hash, rsa_padding=how.padding if how.weak is None else None)
        der = twin.public_bytes(Encoding.DER)
        if _odd(spec, how, serial) or begin > end or repeated:
            from mtls_runner.pki.rework import rework  # brings in the ASN.1 library, which few scenarios need

            der = rework(der, spec, key.public, signer, how, serial=serial, validity=(begin, end), repeated=repeated)
        wrong = self._identities.wrong_key(spec.id, Defect.KEY_MISMATCH) or self._identities.wrong_key(
            spec.id, Defect.KEY_TYPE_MISMATCH
        )
        return Forged(spec, der, subject_of(der), (wrong or key).private)


_REWORKED = frozenset((Defect.VERSION_1, Defect.CORRUPTED_SIGNATURE, Defect.REENCODED_ISSUER_NAME))


def _odd(spec: CertificateSpec, how: Scheme, serial: int) -> bool:
    """Whether ``cryptography`` refuses to build it as described."""
    return (
        how.weak is not None
        or not is_proper_serial(serial)
        or not _REWORKED.isdisjoint(spec.defects)
        or spec.key.explicit
        or spec.key.pss
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
