"""The help texts in ``docs/commands.md``, and what ``--help`` shows; ``python -m mtls_runner.cli.reference`` writes them anew."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from mtls_runner.cli.commands import root
from mtls_runner.generated_page import keep_current

__all__ = ["PAGE", "filled", "main"]

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
#: Parts behind a form feed and the columns that they are for: those of most terminals, and the most that is used.
_HELP = Path(__file__).parent / "help.txt"
_PREPARED = re.compile(r"(\f(\d+)\n)[^\f]*")
_BLOCK = re.compile(r"(<!-- help: ([a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WIDTH = 100


def filled(text: str) -> str:
    """The page with the help of every command as it is now, or what is prepared of it.

    Raises:
        KeyError: it has a command that does not exist.
    """

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}```\n{_help(match[2])}\n```\n{match[3]}"

    text = _PREPARED.sub(lambda match: f"{match[1]}{_help('mtls-run', int(match[2]))}\n", text)
    return _BLOCK.sub(block, text)


def _help(name: str, width: int = _WIDTH) -> str:
    program = click.Context(root, info_name="mtls-run", terminal_width=width, **root.context_settings)
    if name == "mtls-run":
        return root.get_help(program)
    command = root.commands[name]
    return command.get_help(click.Context(command, program, info_name=name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks the page; the exit code is 1 where it is not current."""
    return keep_current(
        arguments, module="mtls_runner.cli.reference", description=__doc__, pages=(PAGE, _HELP), filled=filled
    )


if __name__ == "__main__":
    sys.exit(main())
