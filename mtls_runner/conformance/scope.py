"""Which cells belong to the atlas: faults, servers, clients and TLS versions, and not their whole product.

Whoever judges the faulty end is what a case is about. A case that the server judges is run at all servers, with the two clients
that the catalogue is made for; one that the client judges with all clients, at the two servers. A few, the sample, are run in all
places. Where fewer are chosen, the partners are those of the two that were chosen, or else the first two.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from mtls_runner.conformance.case import CatalogueCase, expected_outcome
from mtls_runner.conformance.catalogue import Combination, made_for, program
from mtls_runner.conformance.known import nameable
from mtls_runner.errors import UsageError
from mtls_runner.model.observation import Outcome
from mtls_runner.model.traits import BackendTraits, ClientTraits, Runtime
from mtls_runner.registry import registry

__all__ = [
    "ChosenClient",
    "ChosenServer",
    "Gap",
    "Side",
    "chosen_clients",
    "chosen_servers",
    "gaps",
    "in_scope",
    "judges",
    "sample",
]

_FILE = Path(__file__).with_name("atlas.yaml")
_PARTNERS = 2
ALL, INSTALLED = "all", "installed"


class Side(StrEnum):
    """Who judges the other's certificate."""

    SERVER = "server"
    CLIENT = "client"


_JUDGE = {
    Outcome.SERVER_REFUSED: {Side.SERVER},
    Outcome.SERVER_UNUSABLE: {Side.SERVER},
    Outcome.SERVER_STARTED: {Side.SERVER},
    Outcome.CLIENT_REFUSED: {Side.CLIENT},
    Outcome.CLIENT_UNUSABLE: {Side.CLIENT},
}
"""Of a fault; what is not here concerns both."""
_OF_CLIENT = ("server.certificate", "server.chain", "client.trust", "client.insecure", "client.server_name")
"""What a client looks at, or how."""
_KEYS = ".key"
"""An end's own key is first of all its own matter."""


class ChosenServer(Struct, frozen=True):
    """A server that takes part.

    Args:
        name: as it was chosen, ``nginx@1.26``.
        traits: what it is.
        image: of its container; ``None``: as always.
        runtime: how it is run; ``None``: as always.
    """

    name: str
    traits: BackendTraits
    image: str | None = None
    runtime: Runtime | None = None

    def under_its_name(self, versions: Mapping[str, str]) -> dict[str, str]:
        """Versions of a run, so that they may stand beside those of another version: ``openssl (nginx@1.26)``."""
        program = self.traits.name
        inside = f"({program})"
        return {
            self.name if what == program else what.replace(inside, f"({self.name})"): version
            for what, version in versions.items()
        }


class ChosenClient(Struct, frozen=True):
    """A client that takes part."""

    name: str
    traits: ClientTraits


def chosen_servers(
    names: Sequence[str], image: str | None = None, runtime: Runtime | None = None
) -> list[ChosenServer]:
    """By name; ``all`` and ``installed`` of those that come with packages, and ``nginx@1.26`` for an image's tag. None: those
    that the catalogue is made for.

    Raises:
        UsageError: there is no such backend, or no versions of it.
    """
    packaged, everyone = registry().backends, nameable().backends
    found: dict[str, ChosenServer] = {}
    for name in _split(names) or [one.name for one in made_for(packaged)]:
        if name in (ALL, INSTALLED):
            usable = [packaged[each] for each in packaged if not packaged[each].runs_already]
            for traits in usable:
                if name == ALL or traits.missing() is None:
                    found.setdefault(traits.name, ChosenServer(traits.name, traits, image, runtime))
            continue
        own = program(name)
        traits = everyone.named(own)
        if name == own:
            found[name] = ChosenServer(name, traits, image, runtime)
            continue
        if Runtime.CONTAINER not in traits.runtimes or not traits.image:
            raise UsageError(
                f"--servers {name}: {own} does not run in containers, so that there is one version of it only"
            )
        tagged = f"{traits.image.partition(':')[0]}:{name.removeprefix(f'{own}@')}"
        found[name] = ChosenServer(name, traits, tagged, Runtime.CONTAINER)
    return list(found.values())


def chosen_clients(names: Sequence[str]) -> list[ChosenClient]:
    """By name; ``all`` and ``installed`` as for servers. None: those that the catalogue is made for.

    Raises:
        UsageError: there is no such tool.
    """
    packaged, everyone = registry().clients, nameable().clients
    found: dict[str, ChosenClient] = {}
    for name in _split(names) or [one.name for one in made_for(packaged)]:
        chosen = [packaged[each] for each in packaged] if name in (ALL, INSTALLED) else [everyone.named(name)]
        for traits in chosen:
            if name != INSTALLED or traits.missing() is None:
                found.setdefault(traits.name, ChosenClient(traits.name, traits))
    return list(found.values())


def _split(names: Sequence[str]) -> list[str]:
    return [part for name in names for each in name.split(",") if (part := each.strip())]


def judges(cases: Sequence[CatalogueCase]) -> Mapping[str, frozenset[Side]]:
    """By name, of the cases of one file: who judges it: one side, or both. A control is run wherever a fault
    is that is held against it.
    """
    found = {case.name: set(_judges(case)) for case in cases}
    waiting = True
    while waiting:
        waiting = False
        for case in cases:
            if case.control is not None and not found[case.name] <= found[case.control.name]:
                found[case.control.name] |= found[case.name]
                waiting = True
    return {name: frozenset(who) for name, who in found.items()}


def _judges(case: CatalogueCase) -> set[Side]:
    both = set(Side)
    outcomes = set(map(expected_outcome, case.places.values()))
    if case.is_fault:
        return {
            who for outcome in outcomes - {Outcome.ACCEPTED} if outcome is not None for who in _JUDGE.get(outcome, both)
        }
    if outcomes == {Outcome.SERVER_STARTED}:
        return {Side.SERVER}
    if case.control is None or any(_KEYS in change.path for change in case.control.changes):
        return both
    return {
        Side.CLIENT if change.path.startswith(_OF_CLIENT) else Side.SERVER for change in case.control.changes
    } or both


class Gap(Struct, frozen=True):
    """Cells that are not measured, and why; an empty field means any."""

    why: str
    case: str = ""
    server: str = ""
    client: str = ""
    tls: str = ""

    def covers(self, case: str, place: Combination) -> bool:
        """Whether this cell is one of them."""
        pairs = ((self.case, case), (self.server, place.backend), (self.client, place.tool), (self.tls, place.tls))
        return all(not wanted or wanted == here for wanted, here in pairs)


@lru_cache(maxsize=1)
def _declared() -> tuple[frozenset[str], tuple[Gap, ...]]:
    from yaml import safe_load

    document = safe_load(_FILE.read_text("utf-8"))
    return frozenset(document["sample"]), tuple(Gap(**gap) for gap in document["gaps"])


def sample() -> frozenset[str]:
    """Names of the cases that are run in all places."""
    return _declared()[0]


def gaps() -> tuple[Gap, ...]:
    """What is known not to be measurable."""
    return _declared()[1]


E = TypeVar("E", ChosenServer, ChosenClient)


def _partners(chosen: Sequence[E], those: Sequence[BackendTraits] | Sequence[ClientTraits]) -> Collection[E]:
    names = {one.name for one in those}
    return [one for one in chosen if one.name in names] or chosen[:_PARTNERS]


def in_scope(
    judging: frozenset[Side], servers: Sequence[ChosenServer], clients: Sequence[ChosenClient], *, everywhere: bool
) -> Iterator[tuple[ChosenServer, ChosenClient]]:
    """Where a case with a client is run.

    Args:
        judging: who judges it.
        servers, clients: that were chosen.
        everywhere: it is of the sample.
    """
    packaged = registry()
    with_servers = _partners(servers, made_for(packaged.backends))
    with_clients = _partners(clients, made_for(packaged.clients))
    for server in servers:
        for client in clients:
            if (
                everywhere
                or (Side.SERVER in judging and client in with_clients)
                or (Side.CLIENT in judging and server in with_servers)
            ):
                yield server, client
