"""Pages of the documentation with generated parts: one command writes them, the same with ``--check`` holds them current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["keep_current"]


def keep_current(
    arguments: Sequence[str] | None,
    *,
    module: str,
    description: str | None,
    pages: Sequence[Path],
    filled: Callable[[str], str],
) -> int:
    """Write or check pages, as the command line says; the exit code is 1 where one is not current.

    Args:
        arguments: of the command line; ``None``: this process's own.
        module: the one that ``python -m`` runs.
        description: for ``--help``.
        pages: which, unless ``--page`` names another.
        filled: a page's text with its generated parts as they should be.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not current")
    parser.add_argument("--page", type=Path, help="the page, instead of those that there are")
    options = parser.parse_args(arguments)
    code = 0
    for page in pages if options.page is None else (options.page,):
        text = page.read_text(encoding="utf-8")
        current = filled(text)
        if text == current:
            continue
        if options.check:
            sys.stderr.write(f"{page} is not current: run python -m {module}\n")
            code = 1
            continue
        page.write_text(current, encoding="utf-8")
        sys.stdout.write(f"{page}\n")
    return code
