"""A program at another time: libfaketime answers in the C library's place when it asks what time it is.

That takes a program that is linked with glibc, and that asks it (Go's don't). Clocks that only measure how long something takes
go on as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from mtls_runner.errors import LabError
from mtls_runner.runtimes.process import find_program

__all__ = ["INSIDE", "check_loaded", "library_for_container", "moved_clock", "stands"]

INSIDE = "/mtls-run-clock/libfaketime.so.1"
"""Where a container has it."""
_REFUSED = ("from LD_PRELOAD cannot be preloaded", "error while loading shared libraries")
"""ld.so(8)."""

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


def stands(program: str | None) -> str | None:
    """Why a program's clock can't be moved, as a clause; ``None``: it can.

    Args:
        program: its name on PATH, or its path; ``None``: a container's, which is not here.
    """
    if _library() is None:
        return "there is no libfaketime (Debian: apt-get install libfaketime)"
    if program is None:
        return None
    path = find_program(program)
    try:
        with Path(path or program).open("rb") as file:
            dynamic = any(loader in file.read(_HEAD) for loader in _LOADERS)
    except OSError:
        return None  # it is not there, which others say
    return None if dynamic else f"libfaketime moves no program that is not linked with glibc, as {program}"


def library_for_container() -> bytes:
    """The library itself; only where :func:`stands` has nothing to say."""
    return Path(_library() or "").read_bytes()


def check_loaded(lines: Iterable[str]) -> None:
    """That a container's loader took the library.

    Args:
        lines: what its program has written.

    Raises:
        LabError: it says that it could not.
    """
    refused = next((line for line in lines if any(words in line for words in _REFUSED)), None)
    if refused is not None:
        raise LabError(f"libfaketime moves no clock in this image: {refused.strip()}")


def moved_clock(by: timedelta, environment: Mapping[str, str], library: str | None = None) -> Mapping[str, str]:
    """The variables of a program whose clock is to go so much ahead, or behind; the same where it is to stay.

    Args:
        by: how far.
        environment: what it has anyway.
        library: where it finds libfaketime; ``None``: where it is installed.
    """
    library = library or _library()
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
