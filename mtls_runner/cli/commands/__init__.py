"""What can be typed: the program's own options, those of ``run``, which is the default, and those that several commands have.

The other commands are declared in this package's modules, each loaded when it is named. What they do is not here but in
``cli/``, and nothing heavy is imported: help has to be quick."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from importlib import import_module

import click

from mtls_runner.cli import STOP
from mtls_runner.cli.program import DefaultCommandGroup
from mtls_runner.registry import registry, reporters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from click.shell_completion import CompletionItem

__all__ = [
    "COMMANDS",
    "EXISTING_FILE",
    "NamingOption",
    "allow_commands_option",
    "backend_option",
    "backend_names",
    "client_names",
    "color_option",
    "expression_option",
    "file_argument",
    "image_option",
    "jobs_option",
    "offer",
    "paths_argument",
    "root",
    "runtime_option",
    "tool_option",
]

_CONTEXT = {"help_option_names": ["-h", "--help"]}


class NamingOption(click.Option):
    """An option whose help has ``{names}``: those that there are, looked up for somebody who reads it.

    Args:
        names: of what; all other arguments are click's.
    """

    def __init__(self, *args: Any, names: Callable[[], Iterable[str]], **rest: Any) -> None:
        self._names = names
        super().__init__(*args, **rest)

    def _told(self) -> str | None:
        return self._text and self._text.replace("{names}", ", ".join(self._names()))

    def _set(self, text: str | None) -> None:
        self._text = text

    help = property(_told, _set)


def backend_names() -> Iterable[str]:
    """Names of all that serve."""
    return registry().backends


def client_names() -> Iterable[str]:
    """Names of all that connect."""
    return registry().clients


def offer(what: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What a shell offers there; nothing of it is loaded before it asks."""

    def offered(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from mtls_runner.cli import completion

        found: list[CompletionItem] = getattr(completion, what)(ctx, param, incomplete)
        return found

    return offered


color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    is_flag=False,
    flag_value="always",
    help="Colours: on a terminal (auto), always or never. NO_COLOR is honoured.",
)


runtime_option = click.option(
    "--runtime",
    type=click.Choice(["process", "container"]),
    help="Run servers as processes of this machine, or in containers, where the backend has a choice.",
)


allow_commands_option = click.option(
    "--allow-commands",
    is_flag=True,
    help="Let scenarios run commands that their tree brings: implementations of its own, backend: and tool: as mappings.",
)


file_argument = click.argument("file", type=click.Path(), shell_complete=offer("paths"))
paths_argument = partial(
    click.argument,
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(),
    metavar="PATH...",
    shell_complete=offer("paths"),
)


#: These say "As for run." where a command gives no help of its own.
expression_option = partial(click.option, "-k", "expression", metavar="EXPR", help="As for run.")
backend_option = partial(
    click.option, "--backend", metavar="NAME", shell_complete=offer("backends"), help="As for run."
)
tool_option = partial(click.option, "--tool", metavar="NAME", shell_complete=offer("clients"), help="As for run.")
image_option = partial(click.option, "--image", metavar="IMAGE", help="As for run.")
jobs_option = partial(click.option, "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="As for run.")


EXISTING_FILE = click.Path(exists=True, dir_okay=False)


#: Name → module and function; in the order of the help, behind ``run``.
_ELSEWHERE = {
    "check": "showing:check",
    "explain": "showing:explain",
    "serve": "running:serve",
    "forge": "making:forge",
    "export": "making:export",
    "init": "making:init",
    "record": "running:record",
    "rehearse": "running:rehearse",
    "try": "running:try_",
    "implementation": "implementations:implementation",
    "clean": "running:clean",
    "config": "showing:config",
    "reference": "showing:reference",
    "schema": "showing:schema",
    "conformance": "implementations:conformance",
}
COMMANDS = ("run", *_ELSEWHERE)
"""The names of all."""


@click.command()
@paths_argument()
@expression_option(help="Only cases whose id matches, as pytest's -k: 'expired and not curl'.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    shell_complete=offer("tags"),
    help="Only files with this tag; may be repeated.",
)
@backend_option(cls=NamingOption, names=backend_names, help="Run every server on this backend ({names}).")
@tool_option(cls=NamingOption, names=client_names, help="Use this client everywhere ({names}).")
@image_option(help="The container image for every container server.")
@runtime_option
@allow_commands_option
@jobs_option(help="Cases at once; lab.yaml's, or 2 if all is embedded, else 1.")
@click.option("-x", "--fail-fast", is_flag=True, help="Stop at the first case that fails.")
@click.option("--strict", is_flag=True, help="Warnings are errors; what is skipped or undetermined is a failure.")
@click.option("-v", "--verbose", is_flag=True, help="Show both ends' handshakes, as curl -v does.")
@click.option("-q", "--quiet", is_flag=True, help="Show only what went wrong, and the summary.")
@click.option("--durations", type=click.IntRange(min=0), metavar="N", default=0, help="Name the N slowest cases.")
@click.option(
    "--last-failed", "--lf", "last_failed", is_flag=True, help="Only cases that failed when they were last run here."
)
@click.option(
    "--keep",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="Leave keys, certificates and configurations there; without DIR, in a new directory where lab.yaml says.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write a JSON report; - is standard output.")
@click.option("--junit", "junit_path", metavar="FILE", help="Write a JUnit XML report.")
@click.option("--html", "html_path", metavar="FILE", help="Write one HTML page to read, print and send.")
@click.option(
    "--report",
    "reports",
    cls=NamingOption,
    names=reporters,
    multiple=True,
    metavar="NAME=FILE",
    shell_complete=offer("reports"),
    help="Write a report of this kind ({names}); may be repeated.",
)
@click.option("--at", metavar="TIME", help="Run as if it were then: +90d, -1y, 2027-03-14.")
@click.option("--access", is_flag=True, help="Show who gets in where: clients and doors, as a table.")
@click.option("--list", "list_only", is_flag=True, help="Show the ids of the cases, run nothing.")
@color_option
def run(
    paths: tuple[str, ...],
    jobs: int | None,
    fail_fast: bool,
    verbose: bool,
    quiet: bool,
    durations: int,
    keep: str | None,
    json_path: str | None,
    junit_path: str | None,
    html_path: str | None,
    reports: tuple[str, ...],
    at: str | None,
    access: bool,
    list_only: bool,
    color: str,
    **choice: Any,
) -> int:
    """Run scenarios (the default command)."""
    from mtls_runner.language.glance import foreseen

    beginning = foreseen(() if list_only else paths, choice["backend"], choice["image"], choice["runtime"])
    with STOP.cleanly() if beginning is not None else nullcontext(), beginning or nullcontext():
        from mtls_runner.cli import run as command

        written = command.reports(reports, json=json_path, junit=junit_path, html=html_path)
        request = command.RunRequest(jobs, fail_fast, verbose, keep, written, color, at, access, quiet, durations)
        return command.run(command.Choice(paths, **choice), request, list_only=list_only)


class _Commands(Mapping[str, click.Command]):
    """All of them; one of another module is loaded when somebody asks for it."""

    def __getitem__(self, name: str) -> click.Command:
        if name == run.name:
            return run
        module, _, function = _ELSEWHERE[name].partition(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), function)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _print_versions(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from mtls_runner.cli.versions import versions

    for name, version in versions().items():
        click.echo(f"{name} {version}")
    ctx.exit()


@click.group(cls=DefaultCommandGroup, commands=_Commands(), context_settings=_CONTEXT)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Show the versions of everything that takes part.",
)
def root() -> None:
    """Run mutual TLS scenarios with real handshakes: who refuses whom, and why.

    A PATH is a scenario file, a directory (its *.yaml and *.yml and those below it, lab.yaml aside), the id of a case
    (FILE::CASE), or - for standard input.
    """
