"""Who has which key: each identity of a plan one of its own, unless it shares one on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from mtls_runner.errors import FileUnusable, MaterialError
from mtls_runner.model.certificate import CertificateSpec, Defect, KeyAlgorithm
from mtls_runner.pki.keys import RSA_BITS, KeyPair, KeyPool, Progress, PublicKey
from mtls_runner.tls.material import Problem

__all__ = ["Identities", "Issuer"]


@dataclass(frozen=True, slots=True)
class Issuer:
    """What signing a certificate takes: a name, a key, and the identifier by which the certificate calls that key."""

    name: x509.Name
    key: KeyPair
    identifier: bytes


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
        progress: Progress | None = None,
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
        return _nearest(own.key.public) if isinstance(own, Issuer) else None

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


def _nearest(public: PublicKey) -> KeyAlgorithm:
    """What the pool has of a key's type: a wrong key must be of the right type, not of the right size."""
    match public:
        case ed25519.Ed25519PublicKey():
            return KeyAlgorithm.ED25519
        case ed448.Ed448PublicKey():
            return KeyAlgorithm.ED448
        case ec.EllipticCurvePublicKey():
            curves = {"secp384r1": KeyAlgorithm.EC_P384, "secp521r1": KeyAlgorithm.EC_P521}
            return curves.get(public.curve.name, KeyAlgorithm.EC_P256)
        case _:
            return KeyAlgorithm.RSA_2048
