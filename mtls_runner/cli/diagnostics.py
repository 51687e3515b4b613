"""Invalid files, shown: every mistake of every file with its place, its lines and a caret."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import click

from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import Diagnostic
from mtls_runner.model import plural
from mtls_runner.reporters import colored, is_terminal
from mtls_runner.reporters.github import annotation, wanted, workspace
from mtls_runner.snippet.rendering import render

__all__ = ["complain", "show"]

_SHOWN = 100
"""Mistakes that are shown; nobody reads more."""
_MOST = 1 << 20
"""Characters of a file that are read to show lines of it: no scenario has more."""


def complain(diagnostics: Iterable[Diagnostic], color: str = "auto") -> ExitCode:
    """Show them all on standard error, and how many they are; the exit code that follows.

    Args:
        diagnostics: mistakes, and warnings beside them.
        color: ``auto``, ``always`` or ``never``.
    """
    once = show(diagnostics, color)
    click.echo(f"\nmtls-run: {plural(len(once), 'mistake')}; nothing was run", err=True)
    return ExitCode.USAGE


def show(diagnostics: Iterable[Diagnostic], color: str = "auto") -> dict[Diagnostic, None]:
    """As :func:`complain`, and nothing more is said; each is shown once, and those are returned."""
    shown = colored(color, sys.stderr)
    once = dict.fromkeys(diagnostics)  # a mistake in lab.yaml shows once, not for each scenario
    page = None
    if is_terminal(sys.stderr):
        from mtls_runner.reporters.live import RichPage

        page = RichPage(sys.stderr, color=shown, live=False)
    texts = list(_rendered(islice(once, _SHOWN), shown, page.columns if page is not None else None))
    if len(once) > _SHOWN:
        texts.append(f"… and {len(once) - _SHOWN} more")
    if texts and page is not None:
        page.block("\n\n".join(texts))
    elif texts:
        click.echo("\n\n".join(texts), err=True, color=True)
    if wanted(os.environ):
        for diagnostic in once:
            click.echo(annotation(diagnostic, "mtls-run", workspace(os.environ)), err=True)
    return once


def _rendered(diagnostics: Iterable[Diagnostic], color: bool, columns: int | None) -> Iterator[str]:
    texts: dict[Path, str] = {}
    for diagnostic in diagnostics:
        text = ""
        if diagnostic.span is not None:
            path = diagnostic.span.path
            if path not in texts:
                texts[path] = _text(path)
            text = texts[path]
        yield render(diagnostic, text, color=color, columns=columns).rstrip("\n")


def _text(path: Path) -> str:
    """What can be read of it; a file that is no UTF-8 is still to be shown. A pipe has been read already."""
    try:
        if not path.is_file():
            return ""
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            return file.read(_MOST)
    except OSError:
        return ""
