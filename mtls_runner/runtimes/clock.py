"""A program at another time: libfaketime answers in the C library's place when it asks what time it is.

That takes a program that is linked with glibc, and that asks it (Go's don't). Clocks that only measure how long something takes
go on as ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from mtls_runner.runtimes.process import find_program

__all__ = ["moved_clock", "stands"]

_PLACES = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/lib64/faketime", "/usr/local/lib/faketime")
_HEAD = 4096
"""Bytes of a program, in which the name of its loader stands (ELF, PT_INTERP)."""
_LOADERS = (b"/ld-linux", b"/ld64.so")
_FOR_EVER = "1000000000"
"""Seconds until it reads its environment again, which nginx clears; an int."""


@lru_cache(maxsize=1)
def _library() -> str | None:
    found = (path for place in _PLACES for path in Path("/").glob(f"{place[1:]}/libfaketime.so.1"))
    return next((str(path) for path in found), None)


def stands(program: str) -> str | None:
    """Why a program's clock can't be moved, as a clause; ``None``: it can.

    Args:
        program: its name on PATH, or its path.
    """
    if _library() is None:
        return "there is no libfaketime (Debian: apt-get install libfaketime)"
    path = find_program(program)
    try:
        with Path(path or program).open("rb") as file:
            dynamic = any(loader in file.read(_HEAD) for loader in _LOADERS)
    except OSError:
        return None  # it is not there, which others say
    return None if dynamic else f"libfaketime moves no program that is not linked with glibc, as {program}"


def moved_clock(by: timedelta, environment: Mapping[str, str]) -> Mapping[str, str]:
    """The variables of a program whose clock is to go so much ahead, or behind; the same where it is to stay.

    Args:
        by: how far.
        environment: what it has anyway.
    """
    library = _library()
    if not by or library is None:
        return environment
    return {
        **environment,
        "LD_PRELOAD": ":".join(filter(None, (environment.get("LD_PRELOAD"), library))),
        "FAKETIME": f"{by.total_seconds():+.0f}",
        "FAKETIME_CACHE_DURATION": _FOR_EVER,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
