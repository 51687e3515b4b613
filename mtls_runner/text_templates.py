"""Templates of the package's own: a name that one of them mistypes is an error. Jinja2 is loaded by whoever fills one."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["comment", "environment", "printable"]


def environment(
    package: str,
    *,
    html: bool = False,
    finalize: Callable[[object], object] | None = None,
    **filters: Callable[..., object],
) -> Environment:
    """The ``templates`` of a package.

    Args:
        package: whose.
        html: whether all that goes in is escaped for HTML.
        finalize: what everything goes through.
        filters: what its templates have beside Jinja2's own; of a script or YAML they quote every word.
    """
    made = Environment(
        loader=PackageLoader(package),
        autoescape=html,  # noqa: S701 - of what is no HTML
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=not html,
        auto_reload=False,
    )
    made.filters |= filters
    return made


def printable(text: str) -> str:
    """On one line, whatever is in it."""
    return "".join(char if char.isprintable() else " " for char in text)


def comment(text: str) -> str:
    """A text on one comment line of a script or of YAML."""
    return f"# {printable(text)}".rstrip()
