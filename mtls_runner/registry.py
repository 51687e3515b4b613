"""Names of backends, clients and reporters → what they say of themselves; nothing is loaded before it is asked for.

Those that come with the lab stand in three tables here, one line each. An installed distribution adds its own by entry points of
the groups ``mtls_run.backends``, ``mtls_run.clients`` and ``mtls_run.reporters``, each naming an object of
:mod:`mtls_runner.model.traits`, and of ``mtls_run.implementations``, naming a folder with an ``implementation.yaml``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from mtls_runner.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from mtls_runner.model.implementation import Implementation
    from mtls_runner.model.traits import BackendTraits, ClientTraits, ReporterTraits

__all__ = [
    "CONSENT_VARIABLE",
    "DECLARATION",
    "DECLARED",
    "NO_CONSENT",
    "Registry",
    "Table",
    "consent_given",
    "declaration_files",
    "declared_backend",
    "declared_client",
    "registry",
    "reporters",
    "unknown",
]

_BACKENDS = {
    "python": "mtls_runner.servers:TRAITS",
    "nginx": "mtls_runner.servers.nginx:TRAITS",
    "external": "mtls_runner.servers.external:TRAITS",
}
_WITH_CONSENT = {"nginx": "mtls_runner.servers.nginx:WITH_CONSENT"}
"""Who differs where commands are allowed."""
_CLIENTS = {
    "python": "mtls_runner.clients:TRAITS",
    "curl": "mtls_runner.clients.curl:TRAITS",
}
_REPORTERS = {
    "json": "mtls_runner.reporters.traits:JSON",
    "junit": "mtls_runner.reporters.traits:JUNIT",
    "html": "mtls_runner.reporters.traits:HTML",
    "access-html": "mtls_runner.reporters.traits:ACCESS_HTML",
    "access-markdown": "mtls_runner.reporters.traits:ACCESS_MARKDOWN",
}
#: Where those lie that come with the lab and are declared in files.
DECLARED = os.path.join(os.path.dirname(__file__), "implementations")  # noqa: PTH118, PTH120 - in every start
DECLARATION = "implementation.yaml"
CONSENT_VARIABLE = "MTLS_RUN_ALLOW_COMMANDS"
#: Why something is skipped that nobody who is not the scenario has consented to.
NO_CONSENT = "{what}: --allow-commands (or " + CONSENT_VARIABLE + "=1, or pytest's mtls_allow_commands) lets it"
_SERVES, _CONNECTS = b"\nserver:", b"\nclient:"

T = TypeVar("T", "BackendTraits", "ClientTraits", "ReporterTraits")


class Table(Mapping[str, T], Generic[T]):
    """Traits by name, in the order in which people are told of them; each is loaded once, when it is first asked for.

    Args:
        noun: what one of them is called in a message.
        loaders: name → what loads its traits.
        others: finds more of them, when somebody asks for a name that is none of these, or for all: those of installed
            distributions, and those that a file declares, which has to be read for that. No name takes another one's place.
    """

    def __init__(
        self,
        noun: str,
        loaders: Mapping[str, Callable[[], T]],
        others: Callable[[], tuple[Mapping[str, Callable[[], T]], Mapping[str, Callable[[], T]]]] | None = None,
    ) -> None:
        self._noun = noun
        self._first: dict[str, Callable[[], T]] = {**loaders}
        self._others: Callable[[], tuple[Mapping[str, Callable[[], T]], Mapping[str, Callable[[], T]]]] | None = others
        self._loaded: dict[str, T] = {}

    @cached_property
    def _found(self) -> tuple[dict[str, Callable[[], T]], frozenset[str]]:
        """All of them, and the names of those that are declared."""
        installed, declared = self._others() if self._others is not None else ({}, {})
        known = {**self._first}
        for name, load in installed.items():
            known.setdefault(name, load)
        named = frozenset(declared) - frozenset(known)
        return known | {name: load for name, load in declared.items() if name in named}, named

    @property
    def _loaders(self) -> Mapping[str, Callable[[], T]]:
        return self._found[0]

    @property
    def declared(self) -> frozenset[str]:
        """Names of those that a file declares."""
        return self._found[1]

    def __getitem__(self, name: str) -> T:
        if name not in self._loaded:
            self._loaded[name] = (self._first.get(name) or self._loaders[name])()
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaders)

    def __len__(self) -> int:
        return len(self._loaders)

    def __contains__(self, name: object) -> bool:
        return name in self._first or name in self._loaders

    @property
    def default(self) -> T:
        """The one that counts where a scenario names none: the first."""
        return self[next(iter(self._first))]

    def usable(self) -> Iterator[T]:
        """All that can be loaded, but for those that a file declares: they are many, and read when they are named. What is
        wrong with another one is told to whoever names it, and stops nobody else.
        """
        for name in self._loaders:
            if name in self.declared:
                continue
            try:
                found = self[name]
            except UsageError:
                continue
            yield found

    def named(self, name: str) -> T:
        """The one of that name.

        Raises:
            UsageError: there is none, or it can't be loaded.
        """
        if name not in self:
            raise unknown(self._noun, name, self)
        return self[name]

    def extended(self, loaders: Mapping[str, Callable[[], T]]) -> Table[T]:
        """A table with more declared names, for one scenario's tree; what is loaded already is loaded for both.

        Raises:
            UsageError: a name is taken.
        """
        for name in loaders:
            if name in self._loaders:
                raise UsageError(f"there is a {self._noun} '{name}' already, which no other can take the place of")
        own = [name for name in self._loaders if name not in self.declared]
        declared = {**{name: self._loader(name) for name in self.declared}, **loaders}
        made = Table(self._noun, {name: self._loader(name) for name in own}, lambda: ({}, declared))
        made._loaded.update(self._loaded)
        return made

    def _loader(self, name: str) -> Callable[[], T]:
        return lambda: self[name]


_MANY = 40
"""Names that are not all told where one of them was probably meant."""


def unknown(noun: str, name: str, known: Iterable[str]) -> UsageError:
    """There is none of that name: which there are, and which of them was probably meant."""
    import difflib

    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    meant = f"; did you mean '{close[0]}'?" if close else ""
    which = "" if close and len(names) > _MANY else f", one of: {', '.join(names)}"
    return UsageError(f"there is no {noun} '{name}'{which}{meant}")


class Registry:
    """What a scenario can name.

    Args:
        backends: by what ``backend:`` calls them.
        clients: by what ``tool:`` calls them.
    """

    __slots__ = ("backends", "clients")

    def __init__(self, backends: Table[BackendTraits], clients: Table[ClientTraits]) -> None:
        self.backends = backends
        self.clients = clients


def consent_given() -> bool:
    """Whether the environment lets what a scenario's own tree brings run commands."""
    return os.environ.get(CONSENT_VARIABLE) == "1"


@lru_cache(maxsize=2)
def registry(*, consent: bool = False) -> Registry:
    """What comes with the lab, and what installed distributions add.

    Args:
        consent: servers may run what a scenario's own configuration has them run.
    """
    return Registry(
        Table(
            "backend",
            _shipped(_BACKENDS | _WITH_CONSENT if consent else _BACKENDS),
            lambda: (
                _installed(_Kind["BackendTraits"]("backend", "backends", "BackendTraits")),
                _declared(_SERVES, partial(declared_backend, consent=consent)),
            ),
        ),
        Table(
            "tool",
            _shipped(_CLIENTS),
            lambda: (
                _installed(_Kind["ClientTraits"]("tool", "clients", "ClientTraits")),
                _declared(_CONNECTS, partial(declared_client, consent=consent)),
            ),
        ),
    )


@lru_cache(maxsize=1)
def reporters() -> Table[ReporterTraits]:
    """Those that write files: with the lab, and of installed distributions."""
    kind = _Kind["ReporterTraits"]("reporter", "reporters", "ReporterTraits")
    return Table("reporter", _shipped(_REPORTERS), lambda: (_installed(kind), {}))


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


def declared_backend(implementation: Implementation, *, consent: bool = False) -> BackendTraits:
    """Of a declaration that was read; ``consent``: commands that did not come with a package may run."""
    made = import_module("mtls_runner.servers.declared.traits").traits(implementation, consent=consent)
    return cast("BackendTraits", made)


def declared_client(implementation: Implementation, *, consent: bool = False) -> ClientTraits:
    """As :func:`declared_backend`."""
    made = import_module("mtls_runner.clients.declared.traits").traits(implementation, consent=consent)
    return cast("ClientTraits", made)


def _declared(section: bytes, make: Callable[[Implementation], T]) -> dict[str, Callable[[], T]]:
    """Declarations that have a section; they are read when one is asked for."""

    def loader(name: str, path: str) -> Callable[[], T]:
        def load() -> T:
            reading = import_module("mtls_runner.language.implementations.reading")
            return make(reading.shipped(Path(path), name))

        return load

    found: dict[str, Callable[[], T]] = {}
    for name, path in declaration_files().items():
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                if section in file.read():
                    found[name] = loader(name, path)
        except OSError:
            found[name] = loader(name, path)  # which says what is wrong to whoever names it
    return found


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


def _shipped(places: Mapping[str, str]) -> dict[str, Callable[[], Any]]:
    """What loads the lab's own."""

    def loader(place: str) -> Callable[[], Any]:
        module, _, attribute = place.partition(":")
        return lambda: getattr(import_module(module), attribute)

    return {name: loader(place) for name, place in places.items()}


def _installed(kind: _Kind[T]) -> dict[str, Callable[[], T]]:
    """What loads those of distributions."""
    found: dict[str, Callable[[], T]] = {}
    for point in _entry_points(kind.group):
        found.setdefault(point.name, kind.installed(point))
    return found


def _entry_points(kind: str) -> tuple[EntryPoint, ...]:
    """Of all installed distributions. The standard library's reader is only loaded where there is something to read."""
    from mtls_runner.distributions import GROUP, declarations

    group = GROUP + kind
    if not any(group in text for text in declarations()):
        return ()
    from importlib.metadata import entry_points

    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))
