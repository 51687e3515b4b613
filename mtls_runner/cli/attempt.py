"""``mtls-run try``."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.cli import STOP
from mtls_runner.cli.program import ExitCode
from mtls_runner.diagnosis.attempt import Attempt, attempt, log_of
from mtls_runner.diagnosis.console import show
from mtls_runner.diagnosis.endpoint import endpoint
from mtls_runner.diagnosis.inputs import PASSPHRASE, AttemptInputs, own_files
from mtls_runner.errors import UsageError
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Reason
from mtls_runner.pki.own import read_own
from mtls_runner.reporters import Page, Style, is_terminal, marks_for, one_line, steady_page

__all__ = ["Typed", "tried", "try_endpoint"]

_COLUMNS = 100
"""Where there is no terminal to ask."""


class Typed(Struct, frozen=True):
    """The command line of ``try``, as click read it."""

    url: str
    certificate: str | None = None
    key: str | None = None
    ca: str | None = None
    passphrase_file: str | None = None
    tls: tuple[str, ...] = ()
    tool: str | None = None
    log: str | None = None
    resolve: str | None = None
    timeout: float = 10.0


def try_endpoint(typed: Typed, save: str | None, color: str) -> ExitCode:
    """Make one attempt at an endpoint, and show what came of it.

    Args:
        typed: the command line.
        save: a file to write the scenario to; it must not be there.
        color: ``auto``, ``always`` or ``never``.

    Raises:
        UsageError: what was typed is wrong.
        LabError: the lab is broken.
    """
    file = _file(save)
    if file is not None and file.exists():
        raise UsageError(f"{file} is there already, and nothing is overwritten: name another file, or move it away")
    with STOP.cleanly():
        result = tried(typed)
    page = steady_page(color, sys.stdout)
    show(result, page, marks_for(sys.stdout), _columns())
    if file is not None:
        _save(result, file, page)
    page.close()
    return ExitCode.OK if result.accepted else ExitCode.FAILED


def tried(typed: Typed) -> Attempt:
    """Make the attempt that was typed.

    Raises:
        UsageError: what was typed is wrong.
        LabError: the lab is broken.
    """
    inputs = AttemptInputs(
        endpoint=endpoint(typed.url, typed.resolve),
        certificate=_file(typed.certificate),
        key=_file(typed.key),
        ca=_file(typed.ca),
        passphrase=_passphrase(typed.passphrase_file),
        passphrase_file=_file(typed.passphrase_file),
        tls=tuple(sorted(map(TlsVersion, typed.tls))),
        tool=typed.tool,
        timeout=typed.timeout,
    )
    return attempt(_asked(inputs), log_of(typed.log))


def _save(result: Attempt, file: Path, page: Page) -> None:
    from mtls_runner.init.endpoint_scenario import from_attempt
    from mtls_runner.init.write import write

    draft = from_attempt(result, file)
    with STOP.cleanly():
        write(draft, file.parent, settings=False)
    page.line()
    for note in draft.notes:
        page.line((f"note: {one_line(note)}", Style.WARNING))
    page.line((f"wrote {one_line(str(file))}: mtls-run {one_line(click.format_filename(str(file)))}", Style.TEXT))


def _file(name: str | None) -> Path | None:
    return Path(name) if name is not None else None


def _passphrase(file: str | None) -> Secret | None:
    """The passphrase of the client's key, from the file or the environment."""
    if file is None:
        known = os.environ.get(PASSPHRASE)
        return Secret(known) if known is not None else None
    try:
        return Secret(Path(file).read_text(encoding="utf-8").partition("\n")[0].removesuffix("\r"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"{file}: {reason}") from None  # whatever is in it is not shown


def _asked(inputs: AttemptInputs) -> AttemptInputs:
    """The inputs with the passphrase that a person types, where one is needed and there is a terminal."""
    files = own_files(inputs)
    if files is None or inputs.passphrase is not None or not sys.stdin.isatty():
        return inputs
    problem = read_own(files, None).problem
    if problem is None or problem.reason is not Reason.PASSPHRASE_NEEDED:
        return inputs
    holder = (inputs.key or inputs.certificate or Path("the key")).name
    typed = click.prompt(f"passphrase of {holder}", hide_input=True, err=True, default="", show_default=False)
    return replace(inputs, passphrase=Secret(typed))


def _columns() -> int:
    if is_terminal(sys.stdout) or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size((_COLUMNS, 24)).columns
    return _COLUMNS
