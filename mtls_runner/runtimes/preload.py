"""A library in front of the C library's bind and connect (``sockets.c``), for programs that can't be told where to listen, or
from which port to connect. The compiler of this machine makes it once; Linux only, whose loader takes ``LD_PRELOAD`` (ld.so(8)).
"""

from __future__ import annotations

import fcntl
import hashlib
import sys
from pathlib import Path

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.private_files import builds_directory
from mtls_runner.runtimes.process import find_program, finish

__all__ = ["cannot_preload", "preload"]

_SOURCE = Path(__file__).with_name("sockets.c")
_LOCAL_PORT = "MTLS_RUN_LOCAL_PORT"
_SECONDS = 60.0


def cannot_preload() -> str | None:
    """Why not, for people; ``None``: it can be made here."""
    if sys.platform != "linux":
        return "that needs Linux"
    return (
        None
        if find_program("cc") is not None
        else "that needs a C compiler: there is no 'cc' on PATH (apt install gcc)"
    )


def preload(local_port: object = None) -> dict[str, str]:
    """What a program's environment has for it.

    Args:
        local_port: that it is to connect from.

    Raises:
        LabError: it can't be compiled.
    """
    more = {_LOCAL_PORT: str(local_port)} if local_port else {}
    return {"LD_PRELOAD": str(_library()), **more}


def _library() -> Path:
    source = _SOURCE.read_bytes()
    directory = builds_directory()
    library = directory / f"sockets-{hashlib.sha256(source).hexdigest()[:16]}.so"
    if library.exists():
        return library
    compiler = find_program("cc")
    if compiler is None:
        raise LabError(cannot_preload() or "there is no C compiler")
    with (directory / f"{library.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # runs at the same time compile it once
        if not library.exists():
            _compile(compiler, library)
    return library


def _compile(compiler: str, library: Path) -> None:
    made = library.with_suffix(".new")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(_SOURCE)]
    done = finish(command, library.parent, Deadline.after(_SECONDS))
    if done.exit_code != 0:
        raise LabError(f"{_SOURCE.name} can't be compiled (exit code {done.exit_code}):\n{done.text()}")
    made.rename(library)
