"""Texts that a regular expression matches: for what a configuration describes by one, somebody has to be made who fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from mtls_runner.errors import without_warnings

__all__ = ["examples", "python_pattern"]

_MOST = 8
"""Of one expression: all alternatives of a short list, the first of a long one."""
_POSIX = {
    "alpha": "A-Za-z",
    "digit": "0-9",
    "alnum": "A-Za-z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}
_LETTERS = "xa0A-_./@ :=,+"


def python_pattern(pcre: str) -> str:
    """As Python's ``re`` writes it, which is the same for what configurations use but for named groups."""
    for name, members in _POSIX.items():
        pcre = pcre.replace(f"[:{name}:]", members)
    return re.sub(r"\(\?'(\w+)'", r"(?P<\1>", re.sub(r"\(\?<(?![=!])", "(?P<", pcre))


def examples(pcre: str, groups: Mapping[int | str, str] | None = None, *, ignore_case: bool = False) -> list[str]:
    """At most eight texts in which the expression is found, one for each of its alternatives; none, if it can't be read.

    Args:
        pcre: as nginx takes it.
        groups: what groups are to have matched, by number or name.
        ignore_case: as nginx's ``~*``.
    """
    try:
        with without_warnings():
            compiled = re.compile(python_pattern(pcre), re.IGNORECASE if ignore_case else 0)
            tree = parser.parse(python_pattern(pcre))
    except (re.error, RecursionError, OverflowError):
        return []
    wanted = {
        compiled.groupindex.get(key, 0) if isinstance(key, str) else key: text for key, text in (groups or {}).items()
    }
    made = islice(_sequence(tree, wanted), _MOST)
    return [text for text in dict.fromkeys(made) if compiled.search(text) is not None]


def _sequence(items: Iterable[tuple[Any, Any]], groups: Mapping[int, str]) -> Iterator[str]:
    parts = [list(islice(_item(code, value, groups), _MOST)) for code, value in items]
    return ("".join(chosen) for chosen in product(*parts))


def _item(code: Any, value: Any, groups: Mapping[int, str]) -> Iterator[str]:
    if code is op.LITERAL:
        yield chr(value)
    elif code in (op.ANY, op.NOT_LITERAL):
        yield "x" if code is op.ANY or chr(value) != "x" else "y"
    elif code is op.IN:
        yield _of_set(value)
    elif code is op.BRANCH:
        for branch in value[1]:
            yield from _sequence(branch, groups)
    elif code is op.SUBPATTERN:
        yield from iter([groups[value[0]]]) if value[0] in groups else _sequence(value[3], groups)
    elif code is op.ATOMIC_GROUP:
        yield from _sequence(value, groups)
    elif code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, most, inside = value
        holds = any(part is op.SUBPATTERN and what[0] in groups for part, what in inside)
        times = max(least, 1) if holds and most else least
        for text in _sequence(inside, groups):
            yield text * times
    else:  # anchors, and what looks ahead or back: whether it fits is tried on the whole
        yield ""


def _of_set(members: list[tuple[Any, Any]]) -> str:
    pattern = re.compile("[" + "".join(_written(code, value) for code, value in members) + "]", re.DOTALL)
    first = next((chr(v if c is op.LITERAL else v[0]) for c, v in members if c in (op.LITERAL, op.RANGE)), "")
    tried = (first, *_LETTERS, *map(chr, range(33, 127)))
    return next((char for char in tried if char and pattern.fullmatch(char)), "x")


def _written(code: Any, value: Any) -> str:
    if code is op.NEGATE:
        return "^"
    if code is op.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    if code is op.CATEGORY:
        names = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}
        kind = str(value).removeprefix("CATEGORY_")
        letter = names[kind.removeprefix("NOT_")]
        return f"\\{letter.upper() if kind.startswith('NOT_') else letter}"
    return re.escape(chr(value))
