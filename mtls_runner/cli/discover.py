"""From what was typed to scenario files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtls_runner.errors import UsageError

__all__ = ["SETTINGS_FILES", "Target", "discover"]

SETTINGS_FILES = frozenset({"lab.yaml", "lab.yml"})
"""What lies among scenarios and is none."""
_SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Target:
    """A scenario file, and the names of the cases that were asked for by id (none: all)."""

    path: Path
    names: tuple[str, ...] = ()


def discover(typed: Sequence[str], commands: Iterable[str] = ()) -> list[Target]:
    """The scenario files that were meant, each once, in the order typed; a directory's in the order of their names.

    Args:
        typed: files, directories, or case ids (``path::case name``).
        commands: what a mistyped path may have meant instead.

    Raises:
        UsageError: a path that does not exist, or a directory without scenarios.
    """
    found: dict[str, tuple[Path, list[str] | None]] = {}
    for argument in typed:
        text, separator, name = argument.partition("::")
        for path in _files(text, commands):
            key = os.path.realpath(path)
            known, names = found.get(key, (path, []))
            # Asked for as a whole once, it is run as a whole.
            found[key] = (known, [*names, name] if separator and names is not None else None)
    return [Target(path, tuple(names or ())) for path, names in found.values()]


def _files(text: str, commands: Iterable[str]) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        files = sorted(_below(path))
        if not files:
            raise UsageError(f"no scenarios in {text}: no *.yaml file but lab.yaml")
        return files
    if path.exists():
        return [path]
    raise UsageError(f"no such file or directory: {text}{_meant(path, text, commands)}")


def _below(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if Path(name).suffix in _SUFFIXES and name not in SETTINGS_FILES and not name.startswith("."):
                yield Path(folder, name)


def _meant(path: Path, text: str, commands: Iterable[str]) -> str:
    """``"; did you mean …?"``, from the commands and from what lies where the path leads as far as it exists."""
    candidates = [] if os.sep in text or path.suffix else list(commands)
    parent = path.parent
    if parent.is_dir():
        candidates += [str(parent / entry.name) for entry in parent.iterdir() if not entry.name.startswith(".")]
    close = difflib.get_close_matches(text, candidates, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
