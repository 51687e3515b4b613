"""How programs of this machine, and containers, are run; here, what the former rest on: the supervisor.

The supervisor ends the lab's programs when the lab itself is gone, even by SIGKILL. It is one shell, at the end of a pipe whose
other end only the lab holds. The lab writes down which process groups it has started; when it ends, however that happens, the
kernel closes its end of the pipe, and the shell kills the groups that are left. That needs nothing but POSIX
(``PR_SET_PDEATHSIG`` is Linux's only, and is lost to grandchildren). What has left its group, as a daemon does, is known by a
variable of its environment, where there is a ``/proc``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

__all__ = ["Supervisor", "supervisor"]

_WATCH = """\
trap '' HUP INT QUIT TERM USR1 USR2
groups=
while read -r verb group; do
    left=
    for one in $groups; do [ "$one" = "$group" ] || left="$left $one"; done
    groups=$left
    [ "$verb" = forget ] || groups="$groups $group"
done
for one in $groups; do kill -s KILL -- "-$one" 2>/dev/null; done
for _ in 1 2 3; do
    left=$(grep -lszxF -e "$1" /proc/[0-9]*/environ)
    [ "$left" ] || break
    for one in $left; do
        one=${one#/proc/}
        kill -s KILL "${one%/environ}" 2>/dev/null
    done
done
"""


class Supervisor:
    """The shell, started with the first program."""

    def __init__(self) -> None:
        #: What the environment of each program has, as ``name=value``.
        self.mark = f"MTLS_RUN_LAB={os.getpid()}-{os.urandom(6).hex()}"
        self._lock = threading.Lock()
        self._shell: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The same, for whoever starts one."""
        name, _, value = self.mark.partition("=")
        return {name: value}

    def watch(self, group: int) -> None:
        """Have this process group end with the lab."""
        self._tell(f"watch {group}")

    def forget(self, group: int) -> None:
        """It has ended: its number may soon be somebody else's."""
        self._tell(f"forget {group}")

    def _tell(self, line: str) -> None:
        import subprocess  # who only reads a scenario starts nothing

        with self._lock:
            if self._shell is None or self._shell.poll() is not None:
                self._shell = subprocess.Popen(
                    ["/bin/sh", "-c", _WATCH, "mtls-run", self.mark],
                    cwd="/",
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    bufsize=0,
                )
            if self._shell.stdin is not None:
                self._shell.stdin.write(f"{line}\n".encode())

    @contextlib.contextmanager
    def watching(self, group: int) -> Iterator[None]:
        """In the block this process group ends with the lab; its leader has ended behind it."""
        self.watch(group)
        try:
            yield
        finally:
            self.forget(group)

    def let_go(self) -> None:
        """In a fork: without its copy of the pipe's end, only the lab's counts."""
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.close()

    def close(self) -> None:
        """End it, and with it whatever is still watched."""
        with self._lock:
            shell, self._shell = self._shell, None
        if shell is not None and shell.stdin is not None:
            with contextlib.suppress(OSError):
                shell.stdin.close()
            shell.wait()


@lru_cache(maxsize=1)
def _of_process(process: int) -> Supervisor:
    made = Supervisor()
    atexit.register(lambda: made.close() if os.getpid() == process else None)
    os.register_at_fork(after_in_child=made.let_go)
    return made


def supervisor() -> Supervisor:
    """This process's; a fork has its own."""
    return _of_process(os.getpid())
