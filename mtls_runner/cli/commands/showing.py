"""Commands that run nothing: what a scenario says, what its settings are, what there is to read."""

from __future__ import annotations

from typing import Any

import click

from mtls_runner.cli.commands import (
    allow_commands_option,
    backend_option,
    color_option,
    file_argument,
    image_option,
    offer,
    paths_argument,
    runtime_option,
    tool_option,
)
from mtls_runner.cli.manual import PAGES

__all__ = ["check", "config", "explain", "reference", "schema"]


@click.command()
@paths_argument()
@backend_option()
@tool_option()
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@allow_commands_option
@color_option
def check(paths: tuple[str, ...], color: str, **choice: Any) -> int:
    """Validate scenario files and lab.yaml; run nothing.

    Every mistake is shown with its line. It starts no server and no container, and makes no key.
    """
    from mtls_runner.cli import check as command
    from mtls_runner.cli.choose import Choice

    return command.check(Choice(paths, **choice), color)


@click.command()
@file_argument
@click.argument("case", required=False, shell_complete=offer("cases"))
@backend_option()
@tool_option()
@runtime_option
@color_option
def explain(file: str, case: str | None, color: str, **choice: Any) -> int:
    """Say what a scenario is and what should happen, and why; run nothing.

    The PKI as a tree, what each server demands, what each case presents, and at which step it should end. With CASE (its
    name, with or without the matrix's parameters) every step of that one.
    """
    from mtls_runner.cli import explain as command
    from mtls_runner.cli.choose import Choice

    return command.explain(Choice((file,), **choice), case, color)


@click.command()
@paths_argument(required=False, metavar="[PATH]...")
@backend_option()
@tool_option()
@image_option()
@runtime_option
def config(paths: tuple[str, ...], **choice: Any) -> int:
    """Show which value every setting has, and where it came from.

    Of the scenarios in the working directory where no PATH is given.
    """
    from mtls_runner.cli import config as command
    from mtls_runner.cli.choose import Choice

    return command.config(Choice(paths, **choice))


@click.command()
@click.argument("page", required=False, type=click.Choice(list(PAGES)), metavar="[PAGE]")
def reference(page: str | None) -> int:
    """Print a page of the documentation: scenario-language, commands, tutorial, recipes, …

    Without PAGE, say which there are.
    """
    from mtls_runner.cli import manual as command

    return command.reference(page)


@click.command()
@click.argument("name", type=click.Choice(["scenario", "lab", "implementation", "report"]), default="scenario")
def schema(name: str) -> int:
    """Print a JSON Schema: of scenario files, lab.yaml, implementation.yaml or the report."""
    from mtls_runner.cli import manual as command

    return command.schema(name)
