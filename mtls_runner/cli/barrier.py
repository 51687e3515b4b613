"""The last barrier: a bug of our own is one line and an exit code, not a traceback that nobody asked for."""

from __future__ import annotations

import errno
import os

import click

TYPE_CHECKING = False  # typing's own costs an import
if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["FULL", "Barrier"]

FULL = (errno.ENOSPC, errno.EDQUOT)
"""There is no room for what is written: nothing that a program can break by itself."""


class Barrier:
    """A context manager that reports any :class:`Exception` in its block and stops it there.

    Around the whole program, and around each reporter, so that one that breaks stops nothing.
    With ``MTLS_RUN_DEBUG`` in the environment it shows the traceback.

    Args:
        what: what broke, for people (``the JSON report``).
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.code: int | None = None
        """The exit code that follows; ``None``: all went well."""

    @property
    def broken(self) -> bool:
        """Whether an exception was stopped."""
        return self.code is not None

    def __enter__(self) -> Barrier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        from mtls_runner.errors import MtlsRunError

        ours = isinstance(error, MtlsRunError)
        self.code = error.exit_code if isinstance(error, MtlsRunError) else MtlsRunError.exit_code
        if os.environ.get("MTLS_RUN_DEBUG"):
            import traceback

            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        elif isinstance(error, OSError) and error.errno in FULL:
            click.echo(f"mtls-run: not all could be written: {error.strerror} ({self._what})", err=True)
        elif ours:
            click.echo(f"mtls-run: {error}", err=True)
        else:
            said = " ".join(str(error).split()) or "no message"
            hint = "set MTLS_RUN_DEBUG=1 to see the traceback"
            click.echo(f"mtls-run: {self._what} broke: {type(error).__name__}: {said} ({hint})", err=True)
        return True
