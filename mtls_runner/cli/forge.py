"""``mtls-run forge``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from mtls_runner.cli import STOP
from mtls_runner.cli.choose import Choice
from mtls_runner.cli.diagnostics import complain
from mtls_runner.cli.one_file import live_progress, one_plan
from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import ScenarioError
from mtls_runner.handout.forge import INDEX, ForgedFiles
from mtls_runner.handout.forge import forge as make
from mtls_runner.handout.formats import Form
from mtls_runner.handout.index import CertificateEntry, CrlEntry
from mtls_runner.reporters import one_line
from mtls_runner.snippet import width

__all__ = ["forge"]


def forge(choice: Choice, directory: str, forms: Sequence[str]) -> ExitCode:
    """Make a scenario's material into a directory, and say what is there.

    Raises:
        UsageError: what was typed is wrong, or somebody else's files are in the way.
        MaterialError: nothing can be written.
    """
    try:
        plan = one_plan(choice)
    except ScenarioError as error:
        return complain(error.diagnostics)
    with STOP.cleanly(), live_progress() as progress:
        made = make(plan, Path(directory), frozenset(map(Form, forms)), progress)
    for line in _told(made):
        click.echo(line)
    click.echo(f"{Path(directory, INDEX)} says what is what; whoever holds the keys here is whom they name")
    for note in (*made.index.notes, *(f"left alone, changed since it was forged: {name}" for name in made.left)):
        click.echo(one_line(f"note: {note}"), err=True)
    return ExitCode.BROKEN if made.missing else ExitCode.OK


def _told(made: ForgedFiles) -> Iterator[str]:
    entries: tuple[CertificateEntry | CrlEntry, ...] = (*made.index.certificates, *made.index.crls)
    rows = [(one_line(entry.id), _kind(entry), _who(entry), _files(entry.files.values())) for entry in entries]
    widths = [max((width(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        cells = [text + " " * (space - width(text)) for text, space in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[3]])


def _kind(entry: CertificateEntry | CrlEntry) -> str:
    return entry.kind if isinstance(entry, CertificateEntry) else "CRL"


def _who(entry: CertificateEntry | CrlEntry) -> str:
    if isinstance(entry, CertificateEntry):
        return one_line(entry.subject or "(unreadable)")
    return one_line(f"of {entry.issued_by}" if entry.issued_by else "")


def _files(names: Iterable[str]) -> str:
    """``leaves/client.crt .key .chain.pem``: names that go on as the first one does, by their endings."""
    first, *others = names
    stem = first.removesuffix(".crt")
    return " ".join([first, *(name.removeprefix(stem) for name in others)])
