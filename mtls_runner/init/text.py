"""Fills templates of scenarios; and paths as an author would write them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mtls_runner.language.emit import flow, scalar
from mtls_runner.text_templates import comment, environment, printable

__all__ = ["relative", "rendered"]


def rendered(template: str, values: Mapping[str, object]) -> str:
    """The text that the template makes of the values.

    Raises:
        jinja2.UndefinedError: the template names a value that there is not.
    """
    made = environment("mtls_runner.init", scalar=scalar, sequence=flow, comment=comment, inline=printable)
    return made.get_template(template).render(values)


def relative(file: Path, directory: Path) -> str:
    """The path of a file relative to a scenario's directory, as an author would write it."""
    return Path(os.path.relpath(file.resolve(), directory.resolve())).as_posix()
