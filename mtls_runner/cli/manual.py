"""``mtls-run reference``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mtls_runner.cli.commands import PAGES
from mtls_runner.cli.program import ExitCode
from mtls_runner.reporters import is_terminal

__all__ = ["reference"]

_PLACES = (Path(__file__).parents[1] / "docs", Path(__file__).parents[2] / "docs")


def reference(name: str | None) -> ExitCode:
    """Print a page of the documentation, through the pager on a terminal; without a name, which there are."""
    if name is None:
        widest = max(map(len, PAGES))
        for page, said in PAGES.items():
            click.echo(f"{page:<{widest}}  {said}")
        return ExitCode.OK
    path = next(place / f"{name}.md" for place in _PLACES if (place / f"{name}.md").is_file())
    text = path.read_text(encoding="utf-8")
    if is_terminal(sys.stdout):
        click.echo_via_pager(text)
    else:
        click.echo(text, nl=False)
    return ExitCode.OK
