"""The program: what runs it, and its exit code when that is not a command's."""

from __future__ import annotations

import os
import sys

import click

from mtls_runner.cli.barrier import FULL, Barrier
from mtls_runner.cli.commands import root
from mtls_runner.cli.exit_code import ExitCode
from mtls_runner.cli.group import NobodyReads
from mtls_runner.cli.stop import STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["program"]

# The lab's models use no plug-in of pydantic's, and looking for some in every installed package takes a tenth of the start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def program(arguments: Sequence[str] | None) -> int:
    """Run a command; ``None``: the process's own arguments. Returns the exit code."""
    _open_closed_streams()
    with Barrier("the program") as barrier:
        return _guarded(arguments)
    return barrier.code or 0


def _open_closed_streams() -> None:
    """What goes to a standard stream that the caller closed goes nowhere; else the next socket would get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, which is the closed one's
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _guarded(arguments: Sequence[str] | None) -> int:
    try:
        os.getcwd()  # noqa: PTH109 - a plain call; relative paths start there, reports and lab.yaml too
    except FileNotFoundError:
        click.echo("mtls-run: the working directory is gone; go to one that exists", err=True)
        return 2
    try:
        code = root.main(arguments, prog_name="mtls-run", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("mtls-run: interrupted", err=True)
        return STOP.exit_code
    except (NobodyReads, BrokenPipeError):
        _silence_stdout()
        return 141
    except OSError as error:
        if error.errno in FULL:
            _silence_stdout()
        raise
    if code == ExitCode.INTERRUPTED:
        return STOP.exit_code
    return code if isinstance(code, int) else 0


def _silence_stdout() -> None:
    """Nobody reads any more: let the interpreter's own last flush go nowhere instead of complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
