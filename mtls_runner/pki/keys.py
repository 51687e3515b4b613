"""Private keys: where they come from, how they sign, and what they are as PEM.

RSA keys are slow to make, so they are kept; others are made fresh each time.

Keys only, never certificates. The n-th identity of an algorithm in a plan gets key n, so that distinct identities of one
plan never share a key, while plans do.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from msgspec import Struct

from mtls_runner.errors import LabError, MaterialError
from mtls_runner.model.certificate import Guarded, KeyAlgorithm, KeyCipher, KeyFormat, Secret, SignatureSpec
from mtls_runner.model.port import Report
from mtls_runner.private_files import PrivateCache, user_cache

__all__ = [
    "KeyFiles",
    "KeyPair",
    "KeyPool",
    "MlDsaPrivateKey",
    "MlDsaPublicKey",
    "PrivateKey",
    "PublicKey",
    "Scheme",
    "nearest",
    "pem_key",
    "scheme",
    "stranger",
    "subject_public_key",
]


class KeyFiles:
    """Keeps the RSA keys of the pool, each in a file, PKCS #8 DER.

    The digest that the cache keeps stands in for the checks of the key's numbers, which take a quarter of a second for RSA 4096
    and which :meth:`load` leaves out: these files are the pool's own.

    Args:
        directory: where they lie.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cache = PrivateCache(directory)

    def path(self, bits: int, number: int) -> Path:
        """Where key ``number`` of that size lies."""
        return self.directory / f"rsa-{bits}-{number:04d}.key"

    def load(self, bits: int, number: int) -> rsa.RSAPrivateKey | None:
        """The key, or ``None`` when there is none that can be trusted."""
        der = self._cache.load(self.path(bits, number).name)
        try:
            key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True) if der is not None else None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None
        return key if isinstance(key, rsa.RSAPrivateKey) and key.key_size == bits else None

    def save(self, bits: int, number: int, key: rsa.RSAPrivateKey) -> None:
        """Keep it, if that is possible."""
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self._cache.save(self.path(bits, number).name, der)


MlDsaPrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MlDsaPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
PrivateKey = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | MlDsaPrivateKey
)
PublicKey = (
    rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | MlDsaPublicKey
)

RSA_BITS: Mapping[KeyAlgorithm, int] = {
    KeyAlgorithm.RSA_1024: 1024,
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}

_FRESH: Mapping[KeyAlgorithm, Callable[[], PrivateKey]] = {
    KeyAlgorithm.EC_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyAlgorithm.EC_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyAlgorithm.EC_P521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyAlgorithm.EC_SECP256K1: lambda: ec.generate_private_key(ec.SECP256K1()),
    KeyAlgorithm.EC_BRAINPOOL_P256R1: lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    KeyAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyAlgorithm.ED448: ed448.Ed448PrivateKey.generate,
    KeyAlgorithm.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyAlgorithm.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyAlgorithm.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
}


_CURVES = {
    "secp384r1": KeyAlgorithm.EC_P384,
    "secp521r1": KeyAlgorithm.EC_P521,
    "secp256k1": KeyAlgorithm.EC_SECP256K1,
    "brainpoolP256r1": KeyAlgorithm.EC_BRAINPOOL_P256R1,
}


def nearest(public: PublicKey) -> KeyAlgorithm:
    """The algorithm of the lab's that is nearest to a key: the same type and curve or parameter set; of RSA keys any size."""
    match public:
        case ed25519.Ed25519PublicKey():
            return KeyAlgorithm.ED25519
        case ed448.Ed448PublicKey():
            return KeyAlgorithm.ED448
        case mldsa.MLDSA44PublicKey():
            return KeyAlgorithm.ML_DSA_44
        case mldsa.MLDSA65PublicKey():
            return KeyAlgorithm.ML_DSA_65
        case mldsa.MLDSA87PublicKey():
            return KeyAlgorithm.ML_DSA_87
        case ec.EllipticCurvePublicKey():
            return _CURVES.get(public.curve.name, KeyAlgorithm.EC_P256)
        case _:
            return KeyAlgorithm.RSA_2048


def stranger(key: PrivateKey) -> PrivateKey:
    """Another key of the same type: signatures by it have the right form, and do not verify."""
    algorithm = nearest(key.public_key())
    if algorithm in RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[algorithm])
    return _FRESH[algorithm]()


class KeyPair(Guarded, frozen=True, eq=False):
    """A private key with what issuing needs of its public half, computed once.

    ``identifier`` is the SHA-1 of the subjectPublicKey (RFC 5280 §4.2.1.2, method 1).
    """

    hidden: ClassVar = frozenset({"private", "public"})

    private: PrivateKey
    public: PublicKey
    identifier: bytes

    @classmethod
    def of(cls, private: PrivateKey) -> KeyPair:
        """The pair of a private key."""
        public = private.public_key()
        return cls(private, public, key_identifier(public))


def subject_public_key(public: PublicKey) -> bytes:
    """The subjectPublicKey BIT STRING's content (RFC 5280 §4.1.2.7)."""
    if isinstance(public, rsa.RSAPublicKey):
        return public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return public.public_bytes_raw()


def key_identifier(public: PublicKey) -> bytes:
    """SHA-1 of the subjectPublicKey: 20 octets (RFC 5280 §4.2.1.2, method 1)."""
    return hashlib.sha1(subject_public_key(public), usedforsecurity=False).digest()


_LONGEST = 1023
"""OpenSSL reads passphrases into a buffer of ``PEM_BUFSIZE`` octets, the end mark among them."""


def pem_key(key: PrivateKey, form: KeyFormat, cipher: KeyCipher, passphrase: Secret | None) -> bytes:
    """The key as PEM, encrypted with ``cipher`` if there is a passphrase.

    Raises:
        MaterialError: the key has no such form, or nothing could read the passphrase back.
    """
    if form is KeyFormat.TRADITIONAL and not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise MaterialError(
            "an EdDSA or ML-DSA key has no traditional PEM form (RFC 8410 §7 and RFC 9881 define PKCS#8 only): use format pkcs8"
        )
    plain = PrivateFormat.PKCS8 if form is KeyFormat.PKCS8 else PrivateFormat.TraditionalOpenSSL
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, plain, NoEncryption())
    octets = _octets(passphrase)
    if cipher is KeyCipher.AES_256_CBC:
        return key.private_bytes(Encoding.PEM, plain, BestAvailableEncryption(octets))
    from mtls_runner.pki.key_forms import with_des3

    return with_des3(key, form, octets)


def _octets(passphrase: Secret) -> bytes:
    octets = passphrase.reveal().encode()
    if not octets:
        raise MaterialError("an empty passphrase encrypts nothing: leave it out")
    if len(octets) > _LONGEST:
        raise MaterialError(f"a passphrase of more than {_LONGEST} octets: OpenSSL reads no more of it")
    if any(mark in octets for mark in (b"\n", b"\r", b"\0")):
        raise MaterialError("a passphrase with a line break or a NUL: no passphrase file can hold it")
    return octets


class KeyPool:
    """Private keys by algorithm and number; safe under several threads, and under several runs that share a directory.

    Args:
        directory: where RSA keys are kept, unencrypted, 0600 in 0700; ``None``: in memory only. A directory that can't be
            used is not an error: the keys stay in memory then.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._files = KeyFiles(directory) if directory is not None else None
        self._of_user = False
        self._kept: dict[KeyAlgorithm, list[KeyPair]] = {}
        self._lock = threading.Lock()

    @classmethod
    def of_user(cls) -> KeyPool:
        """The pool that all runs of this user share, in the user's cache; in memory only where there is no cache."""
        pool = cls()
        pool._of_user = True  # where that is, is looked for when an RSA key is wanted: few scenarios have one
        return pool

    def take(
        self, wanted: Mapping[KeyAlgorithm, int], progress: Report | None = None
    ) -> dict[KeyAlgorithm, tuple[KeyPair, ...]]:
        """``wanted[a]`` different keys of each algorithm ``a``.

        RSA keys are the same ones at each call, the others are made for it.
        """
        with self._lock:
            self._make_rsa(wanted, progress)
            return {
                algorithm: (
                    tuple(self._kept.get(algorithm, ())[:count])
                    if algorithm in RSA_BITS
                    else tuple(KeyPair.of(_FRESH[algorithm]()) for _ in range(count))
                )
                for algorithm, count in wanted.items()
            }

    def _make_rsa(self, wanted: Mapping[KeyAlgorithm, int], progress: Report | None) -> None:
        if self._of_user and any(wanted.get(algorithm) for algorithm in RSA_BITS):
            self._of_user = False
            with contextlib.suppress(LabError):
                self._files = KeyFiles(user_cache() / "keys")
        missing: list[tuple[KeyAlgorithm, int]] = []
        for algorithm, bits in RSA_BITS.items():
            kept = self._kept.setdefault(algorithm, [])
            while len(kept) < wanted.get(algorithm, 0):
                key = self._files.load(bits, len(kept)) if self._files else None
                if key is None:
                    break
                kept.append(KeyPair.of(key))
            missing += [(algorithm, number) for number in range(len(kept), wanted.get(algorithm, 0))]
        if not missing:
            return
        made = self._generate(missing, progress)
        for algorithm, number in missing:  # ascending numbers, so that appending puts each at its index
            self._kept[algorithm].append(KeyPair.of(made[algorithm, number]))

    def _generate(
        self, missing: list[tuple[KeyAlgorithm, int]], progress: Report | None
    ) -> dict[tuple[KeyAlgorithm, int], rsa.RSAPrivateKey]:
        from concurrent.futures import ThreadPoolExecutor, as_completed  # seldom: RSA keys are kept

        # OpenSSL works without the interpreter's lock, so threads are enough. The longest work goes first.
        made: dict[tuple[KeyAlgorithm, int], rsa.RSAPrivateKey] = {}
        executor = ThreadPoolExecutor(min(len(missing), os.cpu_count() or 1), "rsa")
        try:
            if progress is not None:
                progress("making RSA keys", 0, len(missing))
            jobs = {
                executor.submit(self._one, RSA_BITS[algorithm], number): (algorithm, number)
                for algorithm, number in sorted(missing, key=lambda job: -RSA_BITS[job[0]])
            }
            for job in as_completed(jobs):
                made[jobs[job]] = job.result()
                if progress is not None:
                    progress("making RSA keys", len(made), len(missing))
        finally:
            executor.shutdown(cancel_futures=True)
        return made

    def _one(self, bits: int, number: int) -> rsa.RSAPrivateKey:
        # Another run may have made it meanwhile, or a broken file made the ones after it look missing.
        key = self._files.load(bits, number) if self._files else None
        if key is None:
            key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
            if self._files:
                self._files.save(bits, number, key)
        return key


_Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

_HASHES: Mapping[str, _Hash] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
_WEAK: Mapping[str, hashes.SHA1 | hashes.MD5] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - weak on purpose
    "md5": hashes.MD5(),  # noqa: S303
}


class Scheme(Struct, frozen=True):
    """How one key signs.

    Args:
        hash: ``None`` for EdDSA and ML-DSA, which have their own; a weak one is in ``weak``.
        weak: SHA-1 or MD5, which no certificate builder takes.
        padding: of an RSA signature.
    """

    hash: _Hash | None
    weak: hashes.SHA1 | hashes.MD5 | None = None
    padding: padding.PKCS1v15 | padding.PSS | None = None

    def sign(self, key: PrivateKey, data: bytes) -> bytes:
        """The signature of ``data``."""
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, self.padding or padding.PKCS1v15(), self.weak or self.hash or hashes.SHA256())
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(data, ec.ECDSA(self.weak or self.hash or hashes.SHA256()))
        return key.sign(data)


def scheme(key: PrivateKey, wanted: SignatureSpec) -> Scheme:
    """How ``key`` signs what ``wanted`` asks for.

    Raises:
        MaterialError: a key of this type makes no such signature.
    """
    name = wanted.hash.lower().replace("-", "") if wanted.hash is not None else None
    if not isinstance(key, rsa.RSAPrivateKey):
        if wanted.pss:
            raise MaterialError("only an RSA key makes RSASSA-PSS signatures, and the issuer's is none")
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            if name is not None:
                raise MaterialError(
                    "EdDSA and ML-DSA prescribe their own hash (RFC 8032, FIPS 204): leave it out where the issuer's key is one"
                )
            return Scheme(None)
        if name == "md5":
            raise MaterialError("ECDSA with MD5 has no object identifier: use an RSA issuer for it")
    if name is not None and name not in _HASHES and name not in _WEAK:
        raise MaterialError(f"{wanted.hash!r} is not one of the hashes: {', '.join([*_HASHES, *_WEAK])}")
    weak = _WEAK.get(name or "")
    sane = _HASHES.get(name or "sha256", _HASHES["sha256"])
    if not isinstance(key, rsa.RSAPrivateKey):
        return Scheme(sane, weak)
    if not wanted.pss:
        return Scheme(sane, weak, padding.PKCS1v15())
    used = weak or sane
    # RFC 8446 §4.2.3: the salt is as long as the hash
    return Scheme(sane, weak, padding.PSS(padding.MGF1(used), used.digest_size))
