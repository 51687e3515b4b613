"""``mtls-run reference`` and ``mtls-run schema``: what the package has to read."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mtls_runner.cli.program import ExitCode

__all__ = ["PAGES", "reference", "schema"]

#: Name → what is in it; the file is ``docs/<name>.md``, in a wheel beside the package's code.
PAGES = {
    "scenario-language": "everything that a scenario can say, key by key",
    "commands": "every command and its options",
    "tutorial": "from a certificate to mutual TLS on nginx, in thirteen labs",
    "recipes": "for what people usually come with",
    "outcomes": "what happens if …, for every fault, on Python and nginx, with Python's client and curl",
    "implementations": "any server or client, declared in one file",
    "pytest": "the same labs under your own client's tests",
    "python": "the same from a program of your own",
    "divergences": "where servers and clients differ on whom they let in",
    "conformance": "held against nginx's own tests, assertion by assertion",
}
_PLACES = (Path(__file__).parents[1] / "docs", Path(__file__).parents[2] / "docs")


def reference(name: str | None) -> ExitCode:
    """Print a page of the documentation, through the pager on a terminal; without a name, which there are."""
    if name is None:
        widest = max(map(len, PAGES))
        for page, said in PAGES.items():
            click.echo(f"{page:<{widest}}  {said}")
        return ExitCode.OK
    path = next(place / f"{name}.md" for place in _PLACES if (place / f"{name}.md").is_file())
    text = path.read_text(encoding="utf-8")
    from mtls_runner.reporters import is_terminal

    if is_terminal(sys.stdout):
        click.echo_via_pager(text)
    else:
        click.echo(text, nl=False)
    return ExitCode.OK


def schema(name: str) -> ExitCode:
    """Print a JSON Schema as it is committed; of what names servers and clients, with those that the tree here declares, too."""
    if name == "report":
        from mtls_runner.reporters.json_schema import report_schema_text

        text = report_schema_text()
    else:
        from mtls_runner.language.json_schema import schema_text
        from mtls_runner.language.tree import known_to

        text = schema_text(name, known_to(Path.cwd() / "scenario.yaml", consent=False))
    click.echo(text, nl=False)
    return ExitCode.OK
