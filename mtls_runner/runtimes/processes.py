"""What the kernel knows of processes (proc(5)): where they listen, what is in their environment; without ``/proc``, nothing."""

from __future__ import annotations

import contextlib
import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path

from mtls_runner.model.endpoint import Address

__all__ = ["beyond_loopback", "listening", "with_variable"]

_PROC = Path("/proc")
_LISTEN = "0A"
"""``TCP_LISTEN`` in include/net/tcp_states.h."""


def listening(session: int) -> tuple[Address, ...]:
    """Where a session's processes listen by TCP.

    Args:
        session: number of the process that leads it, as :func:`mtls_runner.runtimes.process.start` makes one.
    """
    own = {inode for pid in _members(session) for inode in _sockets(pid)}
    found = (socket for name in ("tcp", "tcp6") for socket in _listening(_PROC / "net" / name))
    return tuple(sorted({address for address, inode in found if inode in own}, key=str))


def beyond_loopback(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """The addresses that other machines can reach."""
    return tuple(address for address in addresses if not ipaddress.ip_address(address.host).is_loopback)


def with_variable(name: str, value: str) -> tuple[int, ...]:
    """Processes that were started with it in their environment."""
    wanted = f"{name}={value}".encode()
    return tuple(int(directory.name) for directory in _PROC.glob("[0-9]*") if wanted in _environment(directory))


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []  # somebody else's, or it has ended


def _members(session: int) -> Iterator[Path]:
    for directory in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name, which may hold anything, stands in parentheses; state, parent, group and session come behind it.
            fields = (directory / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield directory


def _sockets(process: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1]


def _listening(table: Path) -> Iterator[tuple[Address, str]]:
    """``sl local_address rem_address st … inode``; an address is one word, or four, of the machine's byte order."""
    with contextlib.suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN:
                host, _, port = fields[1].partition(":")
                words = [bytes.fromhex(host[at : at + 8]) for at in range(0, len(host), 8)]
                address = ipaddress.ip_address(b"".join(_from_native(word) for word in words))
                mapped = getattr(address, "ipv4_mapped", None)
                yield Address(str(mapped or address), int(port, 16)), fields[9]


def _from_native(word: bytes) -> bytes:
    return word[::-1] if sys.byteorder == "little" else word
