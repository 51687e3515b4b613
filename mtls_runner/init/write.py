"""Where first scenarios are written: nothing is ever overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, field

from mtls_runner.errors import UsageError
from mtls_runner.init.text import rendered

__all__ = ["Draft", "WrittenFiles", "first", "refuse_taken", "write"]


SCHEMA = "scenario.schema.json"
_MODELINE = f"# yaml-language-server: $schema={SCHEMA}\n"
"""By which editors find the schema of a file (yaml-language-server's README, "Using inlined schema")."""


class Draft(Struct, frozen=True):
    """A scenario to write.

    Args:
        name: of its file.
        text: YAML.
        notes: what a person should know, line by line.
        beside: name → text of what it needs beside it.
        looks: what to look at first in what was recorded.
        unproved: what it does not prove, though it should.
        next: what stands before its name on the command line that comes next.
    """

    name: str
    text: str
    notes: Sequence[str] = ()
    beside: Sequence[tuple[str, str]] = ()
    looks: Sequence[str] = ()
    unproved: Sequence[str] = ()
    next: str = ""


class WrittenFiles(Struct):
    """What was written, and what was there already and left alone."""

    scenario: Path
    made: list[Path] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)


def first() -> Draft:
    """The scenario that somebody begins with who has nothing yet: it runs at once."""
    return Draft("first.yaml", rendered("first.yaml", {}))


def write(draft: Draft, directory: Path, *, settings: bool = True) -> WrittenFiles:
    """Write the scenario, what it needs, and a lab.yaml and the schema for editors where there is none.

    Args:
        draft: what to write.
        directory: where to.
        settings: a lab.yaml, and what editors want, too.

    Raises:
        UsageError: the scenario is there already, or nothing can be written there.
    """
    from mtls_runner.language.json_schema import schema_text

    scenario = directory / draft.name
    result = WrittenFiles(scenario)
    refuse_taken(scenario)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in draft.beside:
            _new(directory / name, text, result)
        _new(scenario, f"{_MODELINE}{draft.text}" if settings else draft.text, result)
        if settings:
            _new(directory / "lab.yaml", rendered("lab.yaml", {}), result)
            _new(directory / SCHEMA, schema_text("scenario"), result)
    except OSError as error:
        raise UsageError(f"{error.filename or directory}: {error.strerror}") from error
    return result


def refuse_taken(path: Path) -> None:
    """Nothing is ever overwritten.

    Raises:
        UsageError: something is there already.
    """
    if path.exists():
        raise UsageError(
            f"{path} is there already, and nothing is overwritten: name another directory, or move it away"
        )


def _new(path: Path, text: str, result: WrittenFiles) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if path == result.scenario:
            raise
        result.left.append(path)
    else:
        result.made.append(path)
