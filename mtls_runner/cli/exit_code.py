"""Exit codes, and which one wins."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["PRECEDENCE", "ExitCode", "worst"]


class ExitCode(IntEnum):
    """What the shell is told."""

    OK = 0
    """All cases passed."""
    FAILED = 1
    """A case failed."""
    USAGE = 2
    """The command line or a scenario is wrong; nothing was run."""
    BROKEN = 3
    """The lab itself broke."""
    NOTHING_RUN = 5
    """Nothing was run: no case, none selected, or all skipped."""
    INTERRUPTED = 130
    """By Ctrl-C; the shell is told 143 for SIGTERM and 129 for SIGHUP (``stop.py``)."""
    PIPE_CLOSED = 141
    """Whoever read the output is gone (``| head``), as the shell reports it for any program: 128 + SIGPIPE."""


PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.PIPE_CLOSED,
    ExitCode.USAGE,
    ExitCode.BROKEN,
    ExitCode.FAILED,
    ExitCode.NOTHING_RUN,
    ExitCode.OK,
)


def worst(*codes: ExitCode) -> ExitCode:
    """The one that wins when several apply."""
    return min(codes, key=PRECEDENCE.index)
