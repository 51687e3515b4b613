"""The program: exit codes and which one wins, the last barrier, a click group with a default command, and what runs it all."""

from __future__ import annotations

import errno
import os
import sys
from enum import IntEnum

import click

from mtls_runner.cli import STOP, output_width

TYPE_CHECKING = False  # typing's own costs an import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any

    from click.shell_completion import CompletionItem

# The lab's models use no plug-in of pydantic's, and looking for some in every installed package takes a tenth of the start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

__all__ = [
    "FULL",
    "PRECEDENCE",
    "Barrier",
    "DefaultCommandGroup",
    "ExitCode",
    "NobodyReads",
    "program",
    "worst",
]


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
    """By Ctrl-C; the shell is told 143 for SIGTERM and 129 for SIGHUP (``STOP``)."""
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


_ANY_LENGTH = 1000


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
        from mtls_runner.errors import MtlsRunError, ScenarioError

        ours = isinstance(error, MtlsRunError)
        self.code = error.exit_code if isinstance(error, MtlsRunError) else MtlsRunError.exit_code
        if os.environ.get("MTLS_RUN_DEBUG"):
            import traceback

            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        elif isinstance(error, OSError) and error.errno in FULL:
            click.echo(f"mtls-run: not all could be written: {error.strerror} ({self._what})", err=True)
        elif isinstance(error, ScenarioError):
            from mtls_runner.cli.diagnostics import show

            show(error.diagnostics)
        elif ours:
            from mtls_runner.reporters import visible

            click.echo(visible(f"mtls-run: {error}"), err=True)
        else:
            said = " ".join(str(error).split()) or "no message"
            hint = "set MTLS_RUN_DEBUG=1 to see the traceback"
            click.echo(f"mtls-run: {self._what} broke: {type(error).__name__}: {said} ({hint})", err=True)
        return True


class NobodyReads(Exception):
    """Whoever read the output is gone; click would make exit code 1 of a ``BrokenPipeError``, as if a case had failed."""


class WholeSentences(click.Group):
    """A group whose help shows each command's first sentence whole: one that is too long goes on below."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """All commands."""
        found = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(_ANY_LENGTH)) for name, command in found])

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which they are declared: what is used most comes first."""
        return list(self.commands)


class DefaultCommandGroup(WholeSentences):
    """What starts with no command's name goes to ``default``; the group's help shows that command's options as well."""

    default = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front where none was named."""
        ctx.terminal_width = output_width()
        own = {option for parameter in self.get_params(ctx) for option in parameter.opts}
        if args and args[0] not in self.commands and args[0] not in own:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Which is where ``--help`` and ``--version`` write.

        Raises:
            NobodyReads: standard output is closed at its other end.
        """
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError as error:
            raise NobodyReads from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        Raises:
            NobodyReads: standard output is closed at its other end.
        """
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise NobodyReads from error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and what the default command takes."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            return [*found, *self.commands[self.default].shell_complete(ctx, incomplete)]
        if not found:
            return self.commands[self.default].params[0].shell_complete(ctx, incomplete)
        from mtls_runner.cli.completion import scenario_files

        return [*found, *scenario_files(incomplete)]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """How it is used most, then the rest."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] PATH...")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's options, then the commands."""
        run = self.commands[self.default]
        options = [parameter for parameter in run.params if parameter.param_type_name == "option"]
        records = [record for option in options if (record := option.get_help_record(ctx)) is not None]
        records += [
            record
            for parameter in self.get_params(ctx)
            if "--version" in parameter.opts and (record := parameter.get_help_record(ctx)) is not None
        ]
        with formatter.section("Options"):
            formatter.write_dl(
                [*records, ("--help", "Show this, or with a command in front of it that command's help.")]
            )
        self.format_commands(ctx, formatter)


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
    from mtls_runner.cli.commands import root

    try:
        os.getcwd()  # noqa: PTH109 - a plain call; relative paths start there, reports and lab.yaml too
    except FileNotFoundError:
        click.echo("mtls-run: the working directory is gone; go to one that exists", err=True)
        return ExitCode.USAGE
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
        return ExitCode.PIPE_CLOSED
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
