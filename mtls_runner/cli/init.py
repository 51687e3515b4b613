"""``mtls-run init``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from mtls_runner.cli import STOP
from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import UsageError
from mtls_runner.init.write import first, write
from mtls_runner.reporters import one_line

if TYPE_CHECKING:
    from mtls_runner.init.write import Draft

__all__ = ["InitRequest", "init"]


class InitRequest(Struct, frozen=True):
    """What to begin with, as typed."""

    directory: str
    nginx: str | None = None
    image: str | None = None
    runtime: str | None = None
    allow_commands: bool = False
    certificate: str | None = None
    key: str | None = None
    ca: str | None = None
    passphrase_file: str | None = None
    endpoint: str | None = None


def init(request: InitRequest) -> ExitCode:
    """Write a scenario, and say what it is and what comes next.

    Raises:
        UsageError: the options don't fit together, a file can't be read, the scenario is there already, or it can't be made.
        LabError: the lab is broken.
    """
    directory = Path(request.directory)
    with STOP.cleanly():
        draft = _draft(request, directory)
        written = write(draft, directory)
    for path in written.made:
        click.echo(f"wrote {one_line(str(path))}")
    for path in written.left:
        click.echo(f"left {one_line(str(path))} as it is")
    for note in draft.notes:
        click.echo(f"note: {one_line(note)}")
    for look in draft.looks:
        click.echo(f"look: {one_line(look)}")
    for sentence in draft.unproved:
        click.echo(f"not proved: {one_line(sentence)}")
    click.echo(f"next: mtls-run {draft.next}{click.format_filename(str(written.scenario))}")
    return ExitCode.FAILED if draft.unproved else ExitCode.OK


def _draft(request: InitRequest, directory: Path) -> Draft:
    own = (request.certificate, request.key, request.ca, request.passphrase_file)
    if request.endpoint is not None:
        if request.nginx is not None or request.image is not None:
            raise UsageError("--from-nginx and --from-endpoint are two ways to begin: take one")
        return _from_endpoint(request, request.endpoint, directory)
    if request.nginx is not None and any(own):
        raise UsageError("--from-nginx and --certificate are two ways to begin: take one")
    if request.nginx is not None:
        from mtls_runner.cli.choose import Choice, overrides
        from mtls_runner.cli.one_file import live_progress
        from mtls_runner.cli.record import RecordListener
        from mtls_runner.init.from_nginx import from_nginx

        choice = Choice((), image=request.image, runtime=request.runtime, allow_commands=request.allow_commands)
        with live_progress() as progress:
            return from_nginx(Path(request.nginx), directory, overrides(choice), RecordListener(progress).heard)
    for option in ("image", "runtime", "allow_commands"):
        if getattr(request, option):
            raise UsageError(f"--{option.replace('_', '-')} goes with --from-nginx")
    if any(own):
        if request.certificate is None:
            raise UsageError("--key, --ca and --passphrase-file go with --certificate")
        from mtls_runner.init.own_scenario import OwnPaths, from_own

        paths = (None if path is None else Path(path) for path in (request.key, request.ca, request.passphrase_file))
        return from_own(OwnPaths(Path(request.certificate), *paths), directory)
    return first()


def _from_endpoint(request: InitRequest, url: str, directory: Path) -> Draft:
    """Look at the server that runs there.

    Raises:
        UsageError: nothing does.
    """
    from mtls_runner.cli.attempt import Typed, tried
    from mtls_runner.init.endpoint_scenario import from_attempt
    from mtls_runner.model.observation import Reason

    made = tried(Typed(url, request.certificate, request.key, request.ca, request.passphrase_file))
    for line in (made.observation.summary, *(cause.text for cause in made.causes[:1])):
        click.echo(one_line(line))
    if made.observation.reason in (Reason.REFUSED, Reason.NAME_NOT_RESOLVED):
        raise UsageError(f"nothing was written: nothing listens at {url}")
    return from_attempt(made, directory / "endpoint.yaml")
