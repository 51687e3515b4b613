"""Names of backends, clients and reporters → what they say of themselves; nothing is loaded before it is asked for.

Those that come with the lab stand in three tables here, one line each. An installed distribution adds its own by entry points of
the groups ``mtls_run.backends``, ``mtls_run.clients`` and ``mtls_run.reporters``, each naming an object of
:mod:`mtls_runner.model.traits`, and of ``mtls_run.implementations``, naming a folder with an ``implementation.yaml``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from mtls_runner.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from mtls_runner.model.implementation import Implementation
    from mtls_runner.model.traits import BackendTraits, ClientTraits, ReporterTraits

__all__ = [
    "DECLARATION",
    "DECLARED",
    "NO_CONSENT",
    "Registry",
    "Table",
    "consent_given",
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
DECLARED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "implementations")  # noqa: PTH118, PTH120 - in every start
DECLARATION = "implementation.yaml"
_CONSENT_VARIABLE = "MTLS_RUN_ALLOW_COMMANDS"
#: Why something is skipped that nobody who is not the scenario has consented to.
NO_CONSENT = "{what}, which needs --allow-commands (or " + _CONSENT_VARIABLE + "=1, or pytest's mtls_allow_commands)"

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

        Where a name is taken, the new loader is asked, and has to say so.
        """
        kept = [name for name in self._loaders if name not in loaders]
        own = [name for name in kept if name not in self.declared]
        files = [name for name in kept if name in self.declared]
        declared = {**{name: self._loader(name) for name in files}, **loaders}
        made = Table(self._noun, {name: self._loader(name) for name in own}, lambda: ({}, declared))
        made._loaded.update({name: traits for name, traits in self._loaded.items() if name not in loaders})
        return made

    def _loader(self, name: str) -> Callable[[], T]:
        return lambda: self[name]


_MANY = 40
"""Names that are not all told where one of them was probably meant."""


def unknown(noun: str, name: str, known: Iterable[str]) -> UsageError:
    """There is none of that name: which there are, and which of them was probably meant."""
    names = list(known)
    meant = did_you_mean(name, names)
    which = "" if meant and len(names) > _MANY else f", one of: {', '.join(names)}"
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
    return os.environ.get(_CONSENT_VARIABLE) == "1"


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
            lambda: _additions().backends(consent=consent),
        ),
        Table(
            "tool",
            _shipped(_CLIENTS),
            lambda: _additions().clients(consent=consent),
        ),
    )


@lru_cache(maxsize=1)
def reporters() -> Table[ReporterTraits]:
    """The reporters that write files: the lab's, and those of installed distributions."""
    return Table("reporter", _shipped(_REPORTERS), lambda: _additions().reporters())


def _additions() -> Any:
    return import_module("mtls_runner.registry.additions")


def declared_backend(implementation: Implementation, *, consent: bool = False) -> BackendTraits:
    """The traits of a declaration that was read; ``consent``: commands that did not come with a package may run."""
    made = import_module("mtls_runner.servers.declared.traits").traits(implementation, consent=consent)
    return cast("BackendTraits", made)


def declared_client(implementation: Implementation, *, consent: bool = False) -> ClientTraits:
    """As :func:`declared_backend`."""
    made = import_module("mtls_runner.clients.declared.traits").traits(implementation, consent=consent)
    return cast("ClientTraits", made)


def _shipped(places: Mapping[str, str]) -> dict[str, Callable[[], Any]]:
    """What loads the lab's own."""

    def loader(place: str) -> Callable[[], Any]:
        module, _, attribute = place.partition(":")
        return lambda: getattr(import_module(module), attribute)

    return {name: loader(place) for name, place in places.items()}
