"""nginx's configuration syntax: quoting, so that no text can end its argument or be read as a variable.

Source: ``ngx_conf_read_token`` in nginx's ``src/core/ngx_conf_file.c``: in double quotes a backslash escapes ``"``, ``'``,
``\\``, ``t``, ``r`` and ``n``, and stays where it is before anything else. Variables are expanded afterwards, and only by
directives that document it.
"""

from __future__ import annotations

import re
from typing import TypeAlias

__all__ = ["DOLLAR", "DOLLAR_DEFINITION", "LONGEST", "Directive", "expanding", "literal", "path_argument", "rendered"]

Directive: TypeAlias = tuple[str, ...]
"""A simple directive: its name and its arguments, quoted already."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")

DOLLAR = "mtls_run_dollar"
DOLLAR_DEFINITION = f'geo ${DOLLAR} {{ default "$"; }}'
"""A variable that holds a dollar sign, since nginx has no other way to write one where variables are expanded."""

LONGEST = 2000
"""Bytes of an argument that nginx certainly takes: its buffer (``NGX_CONF_BUFFER``) holds 4096 for a whole one."""


def literal(text: str) -> str:
    """One argument, for a directive that expands no variables.

    Raises:
        ValueError: the text holds a NUL byte, which C strings can't.
    """
    if "\0" in text:
        raise ValueError("nginx's configuration can't hold a NUL byte")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def expanding(text: str) -> str:
    """One argument, for a directive that expands variables; needs :data:`DOLLAR_DEFINITION` where it holds a ``$``.

    Raises:
        ValueError: as :func:`literal`.
    """
    return literal(text).replace("$", f"${{{DOLLAR}}}")


def path_argument(path: str) -> str:
    """A path as an argument; one that holds a ``$`` can't be written for every directive.

    Raises:
        ValueError: as :func:`literal`.
    """
    return path if _PLAIN.fullmatch(path) else literal(path)


def rendered(directive: Directive, width: int = 0) -> str:
    """A simple directive; its name padded to that width."""
    name, *arguments = directive
    return " ".join((name.ljust(width), *arguments)) + ";"
