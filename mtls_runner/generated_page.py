"""Pages of the documentation with generated parts: one command writes them, the same with ``--check`` holds them current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["keep_current"]


def keep_current(
    arguments: Sequence[str] | None, *, module: str, description: str | None, page: Path, filled: Callable[[str], str]
) -> int:
    """Write or check a page, as the command line says; the exit code is 1 where it is not current.

    Args:
        arguments: of the command line; ``None``: this process's own.
        module: the one that ``python -m`` runs.
        description: for ``--help``.
        page: which, unless ``--page`` names another.
        filled: the page's text with its generated parts as they should be.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not current")
    parser.add_argument("--page", type=Path, default=page, help="the page")
    options = parser.parse_args(arguments)
    text = options.page.read_text(encoding="utf-8")
    current = filled(text)
    if text == current:
        return 0
    if options.check:
        sys.stderr.write(f"{options.page} is not current: run python -m {module}\n")
        return 1
    options.page.write_text(current, encoding="utf-8")
    sys.stdout.write(f"{options.page}\n")
    return 0
