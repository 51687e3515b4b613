"""The help texts in ``docs/commands.md``; ``python -m mtls_runner.cli.reference`` writes them anew."""

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
_BLOCK = re.compile(r"(<!-- help: ([a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_WIDTH = 100


def filled(text: str) -> str:
    """The page with the help of every command as it is now.

    Raises:
        KeyError: it has a command that does not exist.
    """

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}```\n{_help(match[2])}\n```\n{match[3]}"

    return _BLOCK.sub(block, text)


def _help(name: str) -> str:
    program = click.Context(root, info_name="mtls-run", terminal_width=_WIDTH, **root.context_settings)
    if name == "mtls-run":
        return root.get_help(program)
    command = root.commands[name]
    return command.get_help(click.Context(command, program, info_name=name))


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks the page; the exit code is 1 where it is not current."""
    return keep_current(
        arguments, module="mtls_runner.cli.reference", description=__doc__, pages=(PAGE,), filled=filled
    )


if __name__ == "__main__":
    sys.exit(main())
