"""The key pool: RSA keys are slow to make, so they are kept; EC and EdDSA keys are made fresh each time.

Keys only, never certificates. The n-th identity of an algorithm in a plan gets key n, so that distinct identities of one
plan never share a key, while plans do.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mtls_runner.model.certificate import KeyAlgorithm
from mtls_runner.pki.key_files import KeyFiles

__all__ = ["KeyPair", "KeyPool", "PrivateKey", "Progress", "PublicKey", "subject_public_key", "user_key_directory"]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

Progress = Callable[[str, int, int], None]
"""Called as (doing, done, total), from the thread that asked for the work."""

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
    KeyAlgorithm.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyAlgorithm.ED448: ed448.Ed448PrivateKey.generate,
}


@dataclass(frozen=True, slots=True, eq=False)
class KeyPair:
    """A private key with what issuing needs of its public half, computed once.

    ``identifier`` is the SHA-1 of the subjectPublicKey (RFC 5280 §4.2.1.2, method 1).
    """

    private: PrivateKey = field(repr=False)
    public: PublicKey = field(repr=False)
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


def user_key_directory() -> Path | None:
    """``mtls-run/keys`` in the user's cache directory (XDG Base Directory Specification); ``None``: there is none."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if cache.startswith("/"):  # the specification has relative paths ignored
        return Path(cache, "mtls-run", "keys")
    try:
        return Path.home() / ".cache" / "mtls-run" / "keys"
    except RuntimeError:
        return None


class KeyPool:
    """Private keys by algorithm and number; safe under several threads, and under several runs that share a directory.

    Args:
        directory: where RSA keys are kept, unencrypted, 0600 in 0700; ``None``: in memory only. A directory that can't be
            used is not an error: the keys stay in memory then.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._files = KeyFiles(directory) if directory is not None else None
        self._kept: dict[KeyAlgorithm, list[KeyPair]] = {}
        self._lock = threading.Lock()

    @classmethod
    def of_user(cls) -> KeyPool:
        """The pool in :func:`user_key_directory`."""
        return cls(user_key_directory())

    def take(
        self, wanted: Mapping[KeyAlgorithm, int], progress: Progress | None = None
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

    def _make_rsa(self, wanted: Mapping[KeyAlgorithm, int], progress: Progress | None) -> None:
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
        self, missing: list[tuple[KeyAlgorithm, int]], progress: Progress | None
    ) -> dict[tuple[KeyAlgorithm, int], rsa.RSAPrivateKey]:
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
