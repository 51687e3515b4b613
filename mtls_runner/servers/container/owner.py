"""Which process something belongs to, so that what a dead one left can be told from what a live one uses."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from msgspec import Struct

__all__ = ["Owner"]

_PROC = Path("/proc")
_SEPARATOR = "/"


class Owner(Struct, frozen=True):
    """A process, named so that no later process is ever mistaken for it.

    Args:
        host: the machine (its machine-id, or its name).
        boot: the kernel's boot id, or ``""`` where there is none.
        namespace: the pid namespace, or ``""``: process ids mean nothing across namespaces.
        pid: process id.
        started: its start in clock ticks since boot (proc(5), ``stat`` field 22), or ``""``.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        pid = os.getpid()
        return cls(
            host=_read(Path("/etc/machine-id")) or platform.node(),
            boot=_read(_PROC / "sys/kernel/random/boot_id"),
            namespace=_namespace(),
            pid=pid,
            started=_started(pid) or "",
        )

    def __str__(self) -> str:
        return _SEPARATOR.join((self.host, self.boot, self.namespace, str(self.pid), self.started))

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The inverse of ``str``; ``None`` when the text is no owner's."""
        parts = text.split(_SEPARATOR)
        if len(parts) != 5 or not parts[3].isdigit():
            return None
        return cls(parts[0], parts[1], parts[2], int(parts[3]), parts[4])

    def is_gone(self) -> bool:
        """Whether the process certainly no longer runs; ``False`` also where that can't be seen from here."""
        here = Owner.current()
        if self.host != here.host:
            return False
        if self.boot != here.boot:
            return True
        if self.namespace != here.namespace:
            return False
        if here.started:
            return _started(self.pid) != self.started
        return not _exists(self.pid)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip().replace(_SEPARATOR, "-")
    except (OSError, UnicodeDecodeError):
        return ""


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink()).replace(_SEPARATOR, "-")
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Start time of a process that still runs; a zombie no longer does."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the name in brackets and may hold anything, so count from the last bracket.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X", "x"} else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
