"""Invalid files, shown: every mistake of every file with its place, its lines and a caret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mtls_runner.snippet import render
from mtls_runner.span import Diagnostic

__all__ = ["rendered"]


def rendered(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> Iterator[str]:
    """One text for each, ready to print."""
    texts: dict[Path, str] = {}
    for diagnostic in diagnostics:
        text = ""
        if diagnostic.span is not None:
            path = diagnostic.span.path
            if path not in texts:
                texts[path] = _text(path)
            text = texts[path]
        yield render(diagnostic, text, color=color).rstrip("\n")


def _text(path: Path) -> str:
    """What can be read of it; a file that is no UTF-8 is still to be shown."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
