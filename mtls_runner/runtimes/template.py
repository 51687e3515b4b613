"""Templates of files and arguments: Jinja2 in its sandbox, where what comes out of ``{{ }}`` can't leave its place.

Each syntax has a way to write a value. What a syntax can't hold is :class:`Inexpressible`, and the case is skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from mtls_runner.errors import LabError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["SYNTAXES", "Inexpressible", "Mistake", "mistakes", "render"]

_PLAIN = re.compile(r"[A-Za-z0-9./_:@%+=,~-]*")
_NOT_IN_A_LINE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ENCODED_ONLY = frozenset((*range(0x21), *range(0x7F, 0x100), *b"%?#"))
"""Octets that no path holds as they are."""
_HAPROXY_PLAIN = re.compile(r"[A-Za-z0-9./_:@+=,~*-]*")


class Inexpressible(Exception):
    """A value that a syntax has no way to write."""


class _Unwritable(Inexpressible):
    """The same, found by the syntax: the file is to be named."""


def _plain(value: str) -> str:
    if not _PLAIN.fullmatch(value):
        odd = "".join(dict.fromkeys(_PLAIN.sub("", value)))
        raise _Unwritable(f"{value!r} has characters ({odd!r}) that its configuration might take for its own")
    return value


def _line(value: str) -> str:
    if _NOT_IN_A_LINE.search(value) or value != value.strip():
        raise _Unwritable(f"{value!r} does not fit on a line of its configuration")
    return value


def _haproxy(value: str) -> str:
    """HAProxy's configuration manual, 2.2 Quoting and escaping: nothing is special between single quotes, but these."""
    if _NOT_IN_A_LINE.search(value):
        raise _Unwritable(f"HAProxy's configuration can't hold {value!r}")
    if value and _HAPROXY_PLAIN.fullmatch(value):
        return value
    escaped = value.replace("'", "'\\''")
    return f"'{escaped}'"


def _apache(value: str) -> str:
    """``ap_getword_conf`` in server/util.c; ``${…}`` is expanded before that, and has no escape."""
    if _NOT_IN_A_LINE.search(value) or "${" in value:
        raise _Unwritable(f"Apache's configuration can't hold {value!r}")
    if value and _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _argument(value: str) -> str:
    if "\0" in value:
        raise _Unwritable("an argument can't hold a NUL byte")
    return value


SYNTAXES: Mapping[str, Callable[[str], str]] = {
    "plain": _plain,
    "line": _line,
    "haproxy": _haproxy,
    "apache": _apache,
    "argument": _argument,
}


def _written(syntax: str) -> Callable[[object], str]:
    from jinja2 import Undefined

    escape = SYNTAXES.get(syntax)

    def write(value: object) -> str:
        if isinstance(value, Undefined):
            return str(value)  # which says that there is no such name
        if escape is None:
            return json.dumps(value)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return escape(str(value))
        raise TypeError(f"a {type(value).__name__} can't be written here: join it, or choose one of it")

    return write


@lru_cache(maxsize=8)
def _environment(syntax: str) -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        finalize=_written(syntax),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["inexpressible"] = _refuse
    environment.filters["regex"] = re.escape
    environment.filters["path_regex"] = _path_regex
    return environment


def _path_regex(path: str) -> str:
    """Fits all that a request may write for it: each octet as it is or %-encoded (RFC 3986 §2.1)."""
    return "".join(
        encoded if octet in _ENCODED_ONLY else f"(?:{re.escape(chr(octet))}|{encoded})"
        for octet in path.encode()
        for encoded in ["%" + re.sub("[A-F]", lambda digit: f"[{digit[0]}{digit[0].lower()}]", f"{octet:02X}")]
    )


@lru_cache(maxsize=128)
def _template(text: str, syntax: str) -> Template:
    """Compiled once, however many servers it is for: that takes far longer than to fill it in."""
    return _environment(syntax).from_string(text)


def _refuse(reason: str) -> str:
    """What a template calls where the program can't be told something: the case is skipped with that reason."""
    raise Inexpressible(reason)


class Mistake(NamedTuple):
    """What is wrong with a template, whatever it will be given.

    Args:
        message: for who wrote it.
        line: of the template, from 1.
        word: that is wrong; ``""``: the line itself.
        known: what the word could have been.
    """

    message: str
    line: int
    word: str = ""
    known: Collection[str] = ()


def mistakes(text: str, names: Collection[str]) -> Iterator[Mistake]:
    """Names, filters and tests that there are not, each once; or why it is no template."""
    if "{" not in text:
        return
    from jinja2 import TemplateSyntaxError, nodes
    from jinja2.meta import find_undeclared_variables

    environment = _environment("argument")
    try:
        tree = environment.parse(text)
        called = list(tree.find_all((nodes.Filter, nodes.Test)))
        wrong = False
        for kind, what, known in (
            (nodes.Filter, "filter", environment.filters),
            (nodes.Test, "test", environment.tests),
        ):
            lines = {node.name: node.lineno for node in reversed(called) if isinstance(node, kind)}
            for name in sorted(lines.keys() - known.keys(), key=lambda name: lines[name]):
                wrong = True
                yield Mistake(f"there is no {what} '{name}' in templates", lines[name], name, known)
        unknown = set() if wrong else find_undeclared_variables(tree) - {*names, *environment.globals}
    except TemplateSyntaxError as error:
        yield Mistake(f"this is no template: {error.message}", error.lineno)
        return
    places = {node.name: node.lineno for node in reversed(list(tree.find_all(nodes.Name)))}
    for name in sorted(unknown, key=lambda name: places[name]):
        yield Mistake(f"there is no name '{name}' in templates", places[name], name, names)


def render(text: str, syntax: str, variables: Mapping[str, object], name: str) -> str:
    """The text with its expressions in place.

    Args:
        text: a Jinja2 template.
        syntax: how values are written.
        variables: what it may name.
        name: of the file or argument, for messages.

    Raises:
        Inexpressible: a value has no way to be written.
        LabError: the template itself is wrong.
    """
    if "{" not in text:
        return text
    from jinja2 import TemplateError

    try:
        return _template(text, syntax).render(variables)
    except _Unwritable as error:
        raise Inexpressible(f"{name}: {error}") from error
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"{name}, line {line}" if line else name
        raise LabError(f"{where}: {error.message or error}") from error
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise LabError(f"{name}: {error}") from error
