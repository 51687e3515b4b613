"""The program: its commands, what stops it, and its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from mtls_runner.cli.barrier import Barrier
from mtls_runner.cli.commands import root
from mtls_runner.cli.exit_code import ExitCode
from mtls_runner.cli.stop import Stop

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; ``None``: the process's own arguments. Returns the exit code."""
    stop = Stop()
    with Barrier("mtls-run itself") as barrier, stop.listening():
        return _guarded(arguments, stop)
    return ExitCode.BROKEN if barrier.broken else ExitCode.OK


def _guarded(arguments: Sequence[str] | None, stop: Stop) -> int:
    from mtls_runner.errors import MtlsRunError

    try:
        code = root.main(arguments, prog_name="mtls-run", standalone_mode=False, obj=stop)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("mtls-run: interrupted", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return ExitCode.PIPE_CLOSED
    except MtlsRunError as error:
        click.echo(f"mtls-run: {error}", err=True)
        return error.exit_code
    return code if isinstance(code, int) else ExitCode.OK


def _silence_stdout() -> None:
    """Nobody reads any more: let the interpreter's own last flush go nowhere instead of complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
