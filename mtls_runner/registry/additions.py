"""What is added to the lab's own: servers and clients that files declare, and what installed distributions bring.

It is looked for when somebody names what is not the lab's own, or wants to know all names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from mtls_runner.distributions import GROUP, declarations
from mtls_runner.errors import UsageError
from mtls_runner.registry import DECLARATION, DECLARED, declared_backend, declared_client

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from mtls_runner.model.implementation import Implementation
    from mtls_runner.model.traits import BackendTraits, ClientTraits, ReporterTraits

__all__ = ["CONNECTS", "SERVES", "Added", "backends", "clients", "declaration_files", "has_section", "reporters"]

#: What a declaration of a server has in it, and one of a client.
SERVES, CONNECTS = b"\nserver:", b"\nclient:"

T = TypeVar("T", "BackendTraits", "ClientTraits", "ReporterTraits")
Added = tuple[Mapping[str, Callable[[], T]], Mapping[str, Callable[[], T]]]
"""Name → what loads it: of distributions, and of files."""


def backends(*, consent: bool) -> Added[BackendTraits]:
    """What serves. ``consent``: commands that did not come with a package may run."""
    kind = _Kind["BackendTraits"]("backend", "backends", "BackendTraits")
    return _installed(kind), _declared(SERVES, partial(declared_backend, consent=consent))


def clients(*, consent: bool) -> Added[ClientTraits]:
    """What connects; ``consent`` as for :func:`backends`."""
    kind = _Kind["ClientTraits"]("tool", "clients", "ClientTraits")
    return _installed(kind), _declared(CONNECTS, partial(declared_client, consent=consent))


def reporters() -> Added[ReporterTraits]:
    """What writes reports."""
    return _installed(_Kind["ReporterTraits"]("reporter", "reporters", "ReporterTraits")), {}


class _Kind(Generic[T]):
    """What a table has.

    Args:
        noun: what one of them is called in a message.
        group: the last part of the entry points' group.
        traits: the class in :mod:`mtls_runner.model.traits`, which is not loaded to know the names.
    """

    __slots__ = ("group", "noun", "traits")

    def __init__(self, noun: str, group: str, traits: str) -> None:
        self.noun = noun
        self.group = group
        self.traits = traits

    def installed(self, point: EntryPoint) -> Callable[[], T]:
        """What loads a distribution's; it raises UsageError where that can't be done."""

        def load() -> T:
            of = f"the {self.noun} '{point.name}'" + (f" of {point.dist.name}" if point.dist is not None else "")
            try:
                found = point.load()
            except Exception as error:  # a distribution's own code, which may fail in any way
                raise UsageError(f"{of} can't be loaded: {type(error).__name__}: {error}") from error
            if type(found).__name__ != self.traits or found.name != point.name:
                raise UsageError(f"{of}: {point.value} is no {self.traits} of that name (mtls_runner.model.traits)")
            return cast("T", found)

        return load


def _declared(section: bytes, make: Callable[[Implementation], T]) -> dict[str, Callable[[], T]]:
    """Declarations that have a section; they are read when one is asked for."""

    def loader(name: str, path: str) -> Callable[[], T]:
        def load() -> T:
            reading = import_module("mtls_runner.language.implementations.reading")
            return make(reading.shipped(Path(path), name))

        return load

    return {name: loader(name, path) for name, path in declaration_files().items() if has_section(section, path)}


def has_section(section: bytes, path: str | Path) -> bool:
    """Whether a declaration has it, by a glance; one that has neither, or can't be read, tells that to whoever names it."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            text = b"\n" + file.read()
    except OSError:
        return True
    return section in text or (SERVES not in text and CONNECTS not in text)


@lru_cache(maxsize=1)
def declaration_files() -> dict[str, str]:
    """Name → file of those that come with the lab, and of those that installed distributions bring."""
    found = {name: f"{DECLARED}/{name}/{DECLARATION}" for name in sorted(os.listdir(DECLARED))}  # noqa: PTH208
    found = {name: path for name, path in found.items() if os.path.exists(path)}  # noqa: PTH110
    for point in _entry_points("implementations"):
        found.setdefault(point.name, _brought(point))
    return found


def _brought(point: EntryPoint) -> str:
    """The file in the folder that an entry point names as a package's (``my_package.implementations.mine``).

    No code of the package's is run for that.
    """
    from importlib.util import find_spec

    package, *folders = point.module.split(".")
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return os.path.join(*(places or [package])[:1], *folders, DECLARATION)  # noqa: PTH118


def _installed(kind: _Kind[T]) -> dict[str, Callable[[], T]]:
    """What loads those of distributions."""
    found: dict[str, Callable[[], T]] = {}
    for point in _entry_points(kind.group):
        found.setdefault(point.name, kind.installed(point))
    return found


def _entry_points(kind: str) -> tuple[EntryPoint, ...]:
    """Entry points of all installed distributions; the standard library's reader is only loaded where there is one."""
    group = GROUP + kind
    if not any(group in text for text in declarations()):
        return ()
    from importlib.metadata import entry_points

    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))
