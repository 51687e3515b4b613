"""RSA keys on disk: whole or absent, private, and never a reason to stop."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

__all__ = ["KeyFiles"]

_DIGEST = 32
_LIMIT = 16 * 1024


class KeyFiles:
    """One file for each key: SHA-256 of what follows, then PKCS#8 DER.

    The digest stands in for the checks of the key's numbers, which take a quarter of a second for RSA 4096 and which
    :meth:`load` leaves out: these files are the pool's own.

    Args:
        directory: made on first use, 0700. Every failure to use it means that nothing is kept, never an exception.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, bits: int, number: int) -> Path:
        """Where key ``number`` of that size lies."""
        return self.directory / f"rsa-{bits}-{number:04d}.key"

    def load(self, bits: int, number: int) -> rsa.RSAPrivateKey | None:
        """The key, or ``None`` when there is none that can be trusted: absent, damaged, or open to others."""
        try:
            if not self._private():
                return None
            # O_NONBLOCK: opening a FIFO that someone put there must not hang
            descriptor = os.open(self.path(bits, number), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
                    return None
                data = file.read(_LIMIT)
        except OSError:
            return None
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            return None
        try:
            key = load_der_private_key(data[_DIGEST:], password=None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None
        return key if isinstance(key, rsa.RSAPrivateKey) and key.key_size == bits else None

    def save(self, bits: int, number: int, key: rsa.RSAPrivateKey) -> None:
        """Keep it, if that is possible. Of several runs that save the same number, the last one's stays."""
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        temporary = self.directory / f".{os.getpid()}-{secrets.token_hex(8)}.tmp"
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._private():
                return
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.sha256(der).digest() + der)
                temporary.replace(self.path(bits, number))  # readers see the old file or the whole new one
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            self._sweep()
        except OSError:
            return

    def _sweep(self) -> None:
        """Remove what killed runs left; of a run that lives the files are its own."""
        for left in self.directory.glob(".*-*.tmp"):
            try:
                os.kill(int(left.name[1:].partition("-")[0]), 0)
            except (ProcessLookupError, OverflowError):
                left.unlink(missing_ok=True)
            except (PermissionError, ValueError):
                continue

    def _private(self) -> bool:
        """Whether the directory is the user's own and closed to others; an own one that is open gets closed."""
        status = self.directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return False
        if status.st_mode & 0o077:
            with contextlib.suppress(OSError):
                self.directory.chmod(0o700)
            return not self.directory.lstat().st_mode & 0o077
        return True
