"""A click group with a default command and suggestions."""

from __future__ import annotations

import os
import sys

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from click.shell_completion import CompletionItem

__all__ = ["DefaultCommandGroup", "NobodyReads", "output_width"]

_WIDEST = 100
"""Columns of help text; longer lines are hard to read."""


class NobodyReads(Exception):
    """Whoever read the output is gone; click would make exit code 1 of a ``BrokenPipeError``, as if a case had failed."""


class DefaultCommandGroup(click.Group):
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

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which they are declared: what is used most comes first."""
        return list(self.commands)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and what the default command takes."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            return [*found, *self.commands[self.default].shell_complete(ctx, incomplete)]
        from click.shell_completion import CompletionItem

        return found or [CompletionItem(incomplete, type="file")]

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


def output_width() -> int:
    """Columns of the terminal, as click finds it, but without loading shutil and all its archive formats for it."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return min(int(columns), _WIDEST)
    try:
        return min(os.get_terminal_size(sys.stdout.fileno()).columns or _WIDEST, _WIDEST)
    except (OSError, ValueError, AttributeError):  # no terminal, or no real file at all
        return 80
