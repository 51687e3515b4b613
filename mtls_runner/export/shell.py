"""Words of a shell command, as a person would quote them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

__all__ = ["PORT", "command", "word", "wrapped"]

PORT = 65431
"""Stands for the port, which is known only when the script runs: ``:65431`` becomes ``:$port``."""

_PORT = re.compile(rf":{PORT}\b")
_SPECIAL = re.compile(r'(["\\`$])')
_WIDE = 118


def word(text: str, *, ports: int = 0) -> str:
    """One word; the first ``ports`` stand-ins for the port become the variable: what follows may be an author's own."""
    if ports and _PORT.search(text):
        return '"' + _PORT.sub(":$port", _SPECIAL.sub(r"\\\1", text), count=ports) + '"'
    return shlex.quote(text)


def command(words: Iterable[str]) -> str:
    """Words that need quoting are quoted."""
    return " ".join(map(word, words))


def wrapped(first: str, quoted: Iterable[str]) -> str:
    """A command on as many lines as it needs; ``first`` and the words are quoted already."""
    lines = [first]
    for text in _together(quoted):
        if len(lines[-1]) + 1 + len(text) > _WIDE:
            lines.append(f"  {text}")
        else:
            lines[-1] += f" {text}"
    return " \\\n".join(lines)


def _together(quoted: Iterable[str]) -> Iterator[str]:
    """An option and its value stay on one line."""
    option = ""
    for text in quoted:
        if option and not text.startswith("-"):
            yield f"{option} {text}"
            option = ""
            continue
        if option:
            yield option
        option = text if text.startswith("-") else ""
        if not option:
            yield text
    if option:
        yield option
