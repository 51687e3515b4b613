"""nginx's configuration syntax: quoting, so that no text can end its argument or be read as a variable.

Source: ``ngx_conf_read_token`` in nginx's ``src/core/ngx_conf_file.c``: in double quotes a backslash escapes ``"``, ``'``,
``\\``, ``t``, ``r`` and ``n``, and stays where it is before anything else. Variables are expanded afterwards, and only by
directives that document it.
"""

from __future__ import annotations

__all__ = ["DOLLAR", "DOLLAR_DEFINITION", "LONGEST", "Lines", "expanding", "literal"]

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


class Lines:
    """Directives, line by line; what they refer to lies in ``directory``."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.lines: list[str] = []

    def add(self, name: str, *arguments: str) -> None:
        """A simple directive; its arguments are quoted already."""
        self.lines.append(" ".join((name, *arguments)) + ";")
