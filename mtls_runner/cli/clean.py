"""``mtls-run clean``."""

from __future__ import annotations

import click

from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import EngineError
from mtls_runner.private_files import sweep

__all__ = ["clean"]


def clean() -> ExitCode:
    """Remove what killed runs left behind, and say what."""
    removed = [f"removed {path}" for path in sweep()]
    try:
        from mtls_runner.servers.container.engine import sweep as sweep_containers

        containers = sweep_containers()
    except EngineError as error:
        click.echo(f"containers were not looked for: {error}", err=True)
    else:
        removed += [f"removed containers: {containers}"] * bool(containers)
    click.echo("\n".join(removed or ["nothing was left behind"]))
    return ExitCode.OK
