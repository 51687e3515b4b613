"""TCP ports of loopback for programs that bind by themselves.

A port that the kernel hands out to clients (its ephemeral range) could be taken between choosing and binding; so ports come
from outside that range. Each has a file that is locked (``flock``) for as long as it is used, so that runs of one user never
choose the same.
Somebody else may still come first: then the program says so, and the next port is tried.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from mtls_runner.errors import LabError

__all__ = ["reserved_port"]

_LOWEST, _HIGHEST = 10_240, 65_535
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_EPHEMERAL = (49_152, 65_535)
"""RFC 6335 §6; what macOS and the BSDs use."""
_TRIES = 2_000


def _candidates() -> range:
    """The larger of the two stretches beside the kernel's ephemeral range."""
    try:
        low, high = map(int, _EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        low, high = _USUAL_EPHEMERAL
    below, above = range(_LOWEST, low), range(max(high + 1, _LOWEST), _HIGHEST + 1)
    return max(below, above, key=len)


@contextlib.contextmanager
def reserved_port(locks: Path, host: str = "127.0.0.1", *, connects: bool = False) -> Iterator[int]:
    """A port that nothing listens on, and that no other run of this user takes before the block ends.

    Args:
        locks: the directory of the locks, the same for all runs of a user.
        host: the loopback address.
        connects: it is to connect from. Unlike a server, who does that can't bind where a connection has just ended
            (``TIME_WAIT``; ``SO_REUSEADDR`` in socket(7)).

    Raises:
        LabError: none is free.
    """
    locks.mkdir(mode=0o700, parents=True, exist_ok=True)
    candidates = _candidates()
    for _ in range(_TRIES):
        port = random.choice(candidates)  # noqa: S311 - to spread, not to hide
        with _locked(locks / str(port)) as locked:
            if locked and _free(host, port, reuse=not connects):
                yield port
                return
    raise LabError("no TCP port is free on loopback outside the range that the kernel hands out to clients")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether this block has the lock, whose file is gone afterwards."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed the file in between, and somebody else have made and locked another one.
            ours = os.path.samestat(path.stat(), os.fstat(descriptor))
        except OSError:
            ours = False
        try:
            yield ours
        finally:
            if ours:
                path.unlink(missing_ok=True)  # before the lock is released
    finally:
        os.close(descriptor)


def _free(host: str, port: int, *, reuse: bool) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise LabError(f"no port can be bound on {host}: {error.strerror}") from error
    return True
