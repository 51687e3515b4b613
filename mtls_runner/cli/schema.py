"""``mtls-run schema``."""

from __future__ import annotations

import click

from mtls_runner.cli.program import ExitCode

__all__ = ["schema"]


def schema(name: str) -> ExitCode:
    """Print the JSON Schema of ``scenario``, ``lab`` or ``report``, as it is committed."""
    if name == "report":
        from mtls_runner.reporters.json_schema import report_schema_text

        text = report_schema_text()
    else:
        from mtls_runner.language.json_schema import schema_text

        text = schema_text(name)
    click.echo(text, nl=False)
    return ExitCode.OK
