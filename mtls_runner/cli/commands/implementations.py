"""Commands about what serves and connects: the catalogue of faults everywhere, and declarations."""

from __future__ import annotations

from typing import Any

import click

from mtls_runner.cli.commands import (
    NamingOption,
    backend_names,
    client_names,
    expression_option,
    image_option,
    jobs_option,
    offer,
    runtime_option,
)
from mtls_runner.cli.program import WholeSentences

__all__ = ["conformance", "implementation"]


@click.command()
@click.option(
    "--servers",
    "--backend",
    "servers",
    cls=NamingOption,
    names=backend_names,
    multiple=True,
    metavar="NAMES",
    shell_complete=offer("backends"),
    help="Which, separated by commas ({names}), one that implementations/ declares here, all, installed, or an image's version "
    "(nginx@1.26); the two that the catalogue is made for when not given.",
)
@click.option(
    "--clients",
    "--tool",
    "clients",
    cls=NamingOption,
    names=client_names,
    multiple=True,
    metavar="NAMES",
    shell_complete=offer("clients"),
    help="Likewise ({names}).",
)
@expression_option(help="As for run, on FILE::CASE of the catalogue.")
@click.option(
    "--fault", "faults", multiple=True, metavar="CASE", help="Only this case, and its control. May be repeated."
)
@image_option()
@runtime_option
@jobs_option(help="Cases at once; one for each processor.")
@click.option("--shard", metavar="N/M", help="Only the Nth of M parts, for several machines.")
@click.option(
    "--merge", "merged", multiple=True, metavar="FILE", help="Run nothing; join what --json wrote. May be repeated."
)
@click.option(
    "--resume",
    "resumed",
    metavar="FILE",
    help="Go on from FILE, and keep it current: what it has of the same versions and catalogue is not run again.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write everything that was seen; - is standard output.")
@click.option("--html", "html_path", metavar="FILE", help="Write it as one HTML page to explore.")
@click.option("--markdown", "markdown_path", metavar="FILE", help="Write the table as Markdown.")
@click.option(
    "--pages",
    metavar="DIR",
    help="Write atlas.md, atlas.html and divergences.md there: by server and client, and where they differ.",
)
@click.option(
    "--check",
    "check_path",
    metavar="FILE",
    help="Fail unless that Markdown file says the same, or name each cell that is not as in that JSON file.",
)
@click.option("--where", "show_where", is_flag=True, help="Show where the catalogue's scenario files lie, run nothing.")
def conformance(show_where: bool, **typed: Any) -> int:
    """Run the catalogue of faults everywhere; show who refuses what, and why.

    Each fault stands beside an accepted control that differs from it in one thing, over TLS 1.2 and 1.3. What servers judge
    is run at every server that is chosen, with the two clients that the catalogue is made for; what clients judge with every
    client, at the two servers; a few faults everywhere.
    """
    from mtls_runner.cli import conformance as command

    if show_where:
        return command.where()
    return command.conformance(command.ConformanceRequest(**typed))


@click.group(cls=WholeSentences)
def implementation() -> None:
    """Programs that serve or connect, declared in YAML: list them, look at one, prove one, begin a new one."""


@implementation.command("list")
def implementation_list() -> int:
    """Say of each whether it is installed, its version and TLS library, and what it honours."""
    from mtls_runner.cli import implementation as command

    return command.list_all()


@implementation.command("show")
@click.argument("name", shell_complete=offer("implementations"))
def implementation_show(name: str) -> int:
    """Show what one honours, and how its lines are read."""
    from mtls_runner.cli import implementation as command

    return command.show(name)


@implementation.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=offer("implementations"))
@click.option("--all", "everything", is_flag=True, help="Run the whole catalogue, and not only until all was seen.")
def implementation_check(names: tuple[str, ...], *, everything: bool) -> int:
    """Prove some: run controls and faults for each thing that they honour and each line that they read.

    Prints what was never seen, what was not proved, and what ends otherwise than the declaration says; the exit code is 1
    where there is any. Without NAME, all that come with mtls-run are proved, and each pattern of their dialects has to be
    seen by one of them.
    """
    from mtls_runner.cli import implementation as command

    return command.check(names, everything=everything)


@implementation.command("new")
@click.argument("name")
def implementation_new(name: str) -> int:
    """Write a commented start: implementations/NAME/implementation.yaml."""
    from mtls_runner.cli import implementation as command

    return command.new(name)
