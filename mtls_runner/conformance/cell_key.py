"""What makes a measurement another one: the case with all that it needs, both ends, and their versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path

from msgspec import Struct

from mtls_runner import __version__
from mtls_runner.conformance.known import declaration, declaration_file
from mtls_runner.errors import Span
from mtls_runner.language.implementations.reading import DIRECTORY
from mtls_runner.language.values import defaults_of
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.certificate import Secret
from mtls_runner.model.traits import BackendTraits, ClientTraits

__all__ = ["CellKeys", "plain"]

_LENGTH = 12
"""Hexadecimal digits."""
_SAYS_ONLY = ("name", "description", "needs", "differs", "faketime")
"""Keys of a declaration that make no measurement another one: what is expected, and what is told of it."""


class CellKeys:
    """Keys of the cases of one plan.

    Args:
        plan: it.
        versions: of both ends, by role and name.
    """

    def __init__(self, plan: Plan, versions: Callable[[str, str], Mapping[str, str]]) -> None:
        self._plan = plan  # it keeps alive what is known by its id
        self._known = {**plan.certificates, **plan.crls}
        self._versions = versions
        self._things: dict[str, object] = {}
        self._parts: dict[int, object] = {}
        self._ends: dict[tuple[str, str], object] = {}

    def key(self, case: Case, server: str) -> str:
        """The key of a case; ``server``: the name by which that was chosen."""
        tool = case.client.tool.name if case.client is not None else ""
        told = [
            __version__,
            self._part(case.server),
            self._part(case.client),
            [plain(step.expect) for step in case.steps],
            self._end("server", case.server.backend.name, server),
            self._end("client", tool, tool),
        ]
        text = json.dumps(told, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]

    def _part(self, described: object) -> object:
        """A server or client, and every certificate and list that it has to do with; made once, since cases share them."""
        if id(described) not in self._parts:
            end = plain(described)
            found: dict[str, object] = {}
            waiting = [end]
            while waiting:
                for name in _texts(waiting.pop()):
                    if name in self._known and name not in found:
                        found[name] = self._thing(name)
                        waiting.append(found[name])
            self._parts[id(described)] = [end, found]
        return self._parts[id(described)]

    def _thing(self, name: str) -> object:
        """A certificate or list, made once, since servers and clients share them."""
        if name not in self._things:
            self._things[name] = plain(self._known[name])
        return self._things[name]

    def _end(self, role: str, name: str, chosen: str) -> object:
        if (role, chosen) not in self._ends:
            self._ends[role, chosen] = [name, dict(self._versions(role, chosen)), _declaration_digest(name)]
        return self._ends[role, chosen]


def _declaration_digest(name: str) -> str:
    """A digest of its directory and its library's dialect: how it is run and its words are read."""
    path, found = declaration_file(name), declaration(name)
    if path is None or found is None:
        return ""
    digest = hashlib.sha256()
    for file in sorted((*path.parent.rglob("*"), DIRECTORY / "dialects" / f"{found.library}.yaml")):
        if file.is_file() and "__pycache__" not in file.parts:
            own = _measures(file, file.stat().st_mtime_ns) if file.suffix == ".yaml" else file.read_bytes()
            digest.update(file.name.encode() + b"\0" + own)
    return digest.hexdigest()


@cache
def _measures(file: Path, _changed: int) -> bytes:
    """What of a declaration a measurement depends on: no comments, and no key of :data:`_SAYS_ONLY`."""
    from yaml import safe_load

    document = safe_load(file.read_text("utf-8"))
    for part in (document, document.get("server"), document.get("client")):
        for key in _SAYS_ONLY if isinstance(part, dict) else ():
            part.pop(key, None)
    return json.dumps(document, sort_keys=True, default=str).encode()


def plain(value: object) -> object:
    """For JSON; where something stands in a file is no part of it."""
    match value:
        case None | bool() | int() | float() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return value.value
        case BackendTraits() | ClientTraits():
            return value.name
        case Secret():
            return value.reveal()
        case bytes():
            return value.hex()
        case datetime() | timedelta() | Path():
            return str(value)
        case tuple() | list():
            return [plain(each) for each in value]
        case frozenset():
            return sorted(map(str, map(plain, value)))
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case Struct():
            return {name: plain(part) for name, part in _told(value) if not isinstance(part, Span)}
        case _:
            raise TypeError(f"{type(value).__name__} is not told in a key")


def _told(value: Struct) -> Iterator[tuple[str, object]]:
    """Fields that are not as they are by default: one that is new, and that nothing sets, makes no measurement another."""
    defaults = defaults_of(type(value))
    for name in value.__struct_fields__:
        part = getattr(value, name)
        if name not in defaults or part != defaults[name]:
            yield name, part


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
