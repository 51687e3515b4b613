"""The last barrier: a bug of our own is one line and an exit code, not a traceback that nobody asked for."""

from __future__ import annotations

import os
import traceback
from types import TracebackType

import click

__all__ = ["Barrier"]


class Barrier:
    """A context manager that reports any :class:`Exception` in its block and stops it there.

    Used in two places: around the whole program, and around each reporter, so that one that breaks stops nothing.

    Args:
        what: what broke, for people (``the JSON report``).
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.broken = False

    def __enter__(self) -> Barrier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.broken = True
        if os.environ.get("MTLS_RUN_DEBUG"):
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        else:
            said = " ".join(str(error).split()) or "no message"
            hint = "set MTLS_RUN_DEBUG=1 to see the traceback"
            click.echo(f"mtls-run: {self._what} broke: {type(error).__name__}: {said} ({hint})", err=True)
        return True
