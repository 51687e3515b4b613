"""Templates → YAML texts, and what stands in them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from mtls_runner.text_templates import comment, environment, printable

__all__ = ["relative", "rendered", "scalar"]

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+-]*( [A-Za-z0-9_./@+=-]+)*")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def rendered(template: str, values: Mapping[str, object]) -> str:
    """The text that the template makes of the values.

    Raises:
        jinja2.UndefinedError: the template names a value that there is not.
    """
    made = environment("mtls_runner.init", scalar=scalar, sequence=_sequence, comment=comment, inline=printable)
    return made.get_template(template).render(values)


def relative(file: Path, directory: Path) -> str:
    """From a scenario's folder, as an author would write it."""
    return Path(os.path.relpath(file.resolve(), directory.resolve())).as_posix()


def scalar(text: str) -> str:
    """Plain where YAML reads nothing else into it; otherwise double-quoted, of which JSON's strings are a part."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)


def _sequence(texts: list[str] | tuple[str, ...]) -> str:
    return "[" + ", ".join(map(scalar, texts)) + "]"
