"""Subjects for the names that rules compare with, in RFC 4514's form, in which nginx shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mtls_runner.model.names import escaped, parse
from mtls_runner.servers.nginx.read.rules import Literal

__all__ = ["subject_for"]

_COMMON, _MORE = "CN=client", "OU=Lab"


def subject_for(literal: Literal) -> str | None:
    """A name that the rule's text or expression fits; ``None``: none can be made."""
    parts = literal.text.split("/")[::-1] if literal.legacy else re.split(r"(?<!\\),", literal.text)
    known = [part.strip() for part in parts if _is_name(part)]
    if not literal.pattern:
        return ",".join(known) if known and len(known) == len([part for part in parts if part]) else None
    if not known:
        value = literal.text.strip(",/=+ ")
        known = [f"CN={escaped(value)}"] if value else [_COMMON]
    made = [",".join(names) for names in _around(known)]
    return next((name for name in made if _fits(name, literal)), None)


def _is_name(part: str) -> bool:
    try:
        return bool(parse(part)) and not part.rstrip().endswith("=")
    except ValueError:
        return False


def _around(known: list[str]) -> Iterator[list[str]]:
    """The known parts, with what usually stands beside a person's name, if that is needed."""
    common = [] if any(part.startswith("CN=") for part in known) else [_COMMON]
    for names in ([*common, *known], [*known, *common], [*common, *known[::-1]], [*known[::-1], *common], known):
        yield names
        for at in range(len(names) + 1):
            yield [*names[:at], _MORE, *names[at:]]


def _fits(name: str, literal: Literal) -> bool:
    shown = "/" + "/".join(re.split(r"(?<!\\),", name)[::-1]) if literal.legacy else name
    return re.search(literal.pattern, shown) is not None
