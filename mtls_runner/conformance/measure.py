"""Measures what is in scope, unit by unit; what was measured already, with the same versions and catalogue, is not run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.conformance.case import CatalogueFile, by_file
from mtls_runner.conformance.catalogue import Combination, combination, plan_of, plans, program, scenario_files
from mtls_runner.conformance.cell_key import CellKeys
from mtls_runner.conformance.from_verdicts import measured, measured_cell
from mtls_runner.conformance.known import declaration, nameable, of_this_tree
from mtls_runner.conformance.measurement import MOST_REASONS, CellKind, CellName, MeasuredCell, MeasuredEnd, Measurement
from mtls_runner.conformance.scope import (
    ChosenClient,
    ChosenServer,
    Side,
    gaps,
    in_scope,
    judges,
    sample,
)
from mtls_runner.engine import RunOptions, run
from mtls_runner.language import Overrides
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.implementation import Difference
from mtls_runner.model.observation import Outcome
from mtls_runner.model.verdict import RunFinished, Status, Verdict
from mtls_runner.registry import registry

__all__ = ["Atlas", "Unit", "whole_catalogue"]

_MOST_CASES = 250
"""Cases of a unit; more are split by client, so that what was measured is kept in between."""
_ENGINE = "docker engine"


class Unit(Struct, frozen=True):
    """Cases of one file that are run at one go, on one server.

    Args:
        server: on which they are run.
        plan: with these cases only.
        cells: each case's cell, by the case's id, and its key.
    """

    server: ChosenServer
    plan: Plan
    cells: Mapping[str, tuple[CellName, str]]

    @property
    def told(self) -> str:
        """For people: ``haproxy with python, curl: trust``."""
        tools = dict.fromkeys(name[2].tool for name, _ in self.cells.values() if name[2].tool)
        return f"{self.server.name} with {', '.join(tools) or 'nobody'}: {self.plan.name}"

    def without(self, known: Callable[[CellName, str], bool]) -> Unit | None:
        """The unit with only those cells that are not known; ``None``: all are known."""
        left = {id_: cell for id_, cell in self.cells.items() if not known(*cell)}
        return self.only(left) if left else None

    def only(self, ids: Mapping[str, tuple[CellName, str]]) -> Unit:
        """The unit with only these cases."""
        cases = tuple(case for case in self.plan.cases if case.id in ids)
        return Unit(self.server, replace(self.plan, cases=cases), ids)


def whole_catalogue() -> tuple[CatalogueFile, ...]:
    """Every case with its control, at the places that the catalogue is made for."""
    return _read(scenario_files())


@lru_cache(maxsize=2)
def _read(_files: tuple[Path, ...]) -> tuple[CatalogueFile, ...]:
    return by_file(list(plans((), ())))


class Atlas:
    """What is to be measured, and what is known.

    Args:
        servers, clients: those that take part.
        chosen: whether a case takes part, by its id and name; the control of one that does takes part, too.
        before: what was measured earlier; ``None``: nothing.
    """

    def __init__(
        self,
        servers: Sequence[ChosenServer],
        clients: Sequence[ChosenClient],
        chosen: Callable[[str, str], bool] = lambda _id, _name: True,
        before: Measurement | None = None,
    ) -> None:
        self._servers = servers
        self._clients = clients
        self.catalogue = whole_catalogue()
        self._chosen = {file.plan.name: _with_controls(file, chosen) for file in self.catalogue}
        self._ends: dict[tuple[str, str], MeasuredEnd] = {}
        self.versions: dict[str, str] = dict(before.versions) if before is not None else {}
        self._before = before
        self._runs: dict[CellName, list[MeasuredCell]] = {}
        self.cells = before.by_name if before is not None else {}

    # --- what there is to do ---

    def units(self) -> Iterator[Unit]:
        """All units, always in the same order."""
        for path, file in zip(scenario_files(), self.catalogue, strict=True):
            names = self._chosen[file.plan.name]
            if not names:
                continue
            judging = judges(file.entries)
            for server in self._servers:
                yield from self._units(path, file, server, {name: judging[name] for name in names})

    def _units(
        self, path: Path, file: CatalogueFile, server: ChosenServer, judging: Mapping[str, frozenset[Side]]
    ) -> Iterator[Unit]:
        everywhere = sample()
        wanted = {
            name: {
                client.name
                for of, client in in_scope(who, self._servers, self._clients, everywhere=name in everywhere)
                if of == server
            }
            for name, who in judging.items()
        }
        tools = [client.traits for client in self._clients if any(client.name in names for names in wanted.values())]
        plan = plan_of(path, _overrides(server), tools)
        cases = [
            case
            for case in plan.cases
            if case.written in judging and (case.client is None or case.client.tool.name in wanted[case.written])
        ]
        keys = CellKeys(plan, self.versions_of)
        for some in _split(cases):
            yield Unit(
                server,
                replace(plan, cases=tuple(some)),
                {case.id: self._cell(file, case, server, keys) for case in some},
            )

    def _cell(self, file: CatalogueFile, case: Case, server: ChosenServer, keys: CellKeys) -> tuple[CellName, str]:
        place = replace(combination(case), backend=server.name)
        return (file.plan.name, case.written, place), keys.key(case, server.name)

    def left(self, units: Sequence[Unit]) -> list[Unit]:
        """What is not known yet. What is known of these cells is forgotten where it is of another version or catalogue, broke, or
        ended otherwise than it should.
        """
        wanted = {name: key for unit in units for name, key in unit.cells.values()}
        for name, key in wanted.items():
            cell = self.cells.get(name)
            if cell is not None and (cell.key != key or not cell.as_expected):
                del self.cells[name]
        return [some for unit in units if (some := unit.without(lambda name, _: name in self.cells)) is not None]

    # --- ends ---

    def versions_of(self, role: str, name: str) -> Mapping[str, str]:
        """What an end's program and library are; asked once."""
        return self._end(role, name).versions if name else {}

    def _end(self, role: str, name: str) -> MeasuredEnd:
        if (role, name) not in self._ends:
            self._ends[role, name] = (
                self._client_end(name)
                if role == "client"
                else self._server_end(next(one for one in self._servers if one.name == name))
            )
        return self._ends[role, name]

    def _client_end(self, name: str) -> MeasuredEnd:
        traits = nameable().clients[name]
        versions = {} if traits.missing() is not None else {name: traits.make().version()}
        return MeasuredEnd(name, traits.sentence or name, traits.library, versions)

    def _server_end(self, server: ChosenServer) -> MeasuredEnd:
        traits = server.traits
        versions = {} if traits.missing() is not None else dict(traits.make().versions())
        if not versions or server.image is not None:
            versions = self._asked(server)  # some tell it while they run only
        versions.pop(_ENGINE, None)
        return MeasuredEnd(server.name, traits.sentence, traits.library, versions)

    def _asked(self, server: ChosenServer) -> dict[str, str]:
        if server.traits.missing() is not None:
            return {}
        plan = plan_of(scenario_files()[0], _overrides(server), [registry().clients.default])
        first = next(case for case in plan.cases if case.client is not None)
        for event in run([replace(plan, cases=(first,))], RunOptions()):
            if isinstance(event, RunFinished):
                tool = registry().clients.default.name
                return {
                    name: version
                    for name, version in event.versions.items()
                    if name != tool or server.traits.name == tool
                }
        return {}

    # --- what was seen ---

    def keep(self, unit: Unit, verdict: Verdict, *, again: bool = False) -> None:
        """Keep a verdict of a unit; ``again``: the cell was run before in this session."""
        name, key = unit.cells[verdict.case.id]
        new = measured_cell(verdict, as_expected=_as_it_should(verdict), key=key)
        listed = next((gap.why for gap in gaps() if gap.covers(name[1], name[2])), None)
        if new.kind is CellKind.BROKEN and listed is not None:
            new = MeasuredCell(CellKind.GAP, why=listed, key=key)
        runs = self._runs[name] = [*(self._runs.get(name, ()) if again else ()), new]
        self.cells[name] = _most(runs)

    def doubtful(self, unit: Unit, committed: Mapping[CellName, MeasuredCell]) -> Unit | None:
        """Those of a unit's cells that are run again before they are believed: what broke, is not as it should be, has no reason,
        or is not what was ``committed``.
        """
        found = {id_: cell for id_, cell in unit.cells.items() if self._is_doubtful(cell[0], committed)}
        return unit.only(found) if found else None

    def _is_doubtful(self, name: CellName, committed: Mapping[CellName, MeasuredCell]) -> bool:
        cell = self.cells.get(name)
        if cell is None or cell.kind in (CellKind.SKIPPED, CellKind.GAP):
            return False
        if cell.seen is None or not cell.as_expected or (not cell.seen.determined and not cell.seen.reasons):
            return True
        if len(cell.seen.reasons) > MOST_REASONS and cell.seen.alert is None:
            return True  # an alert may say more
        if any(one.case == name[1] and one.sometimes for one in _declared(name[2].backend, name[2].tool)):
            return True
        other = committed.get(name)
        return other is not None and other.seen is not None and not cell.seen.agrees(other.seen)

    @property
    def measurement(self) -> Measurement:
        """All that is known, in the catalogue's order; what the catalogue no longer has is left out."""
        found: dict[tuple[str, str], dict[Combination, MeasuredCell]] = {}
        for (file, case, place), cell in self.cells.items():
            found.setdefault((file, case), {})[place] = cell
        before = self._before
        servers = dict(before.servers) if before is not None else {}
        clients = dict(before.clients) if before is not None else {}
        for (role, name), end in self._ends.items():
            (servers if role == "server" else clients)[name] = end
        return measured(self.catalogue, self.versions, found, servers=servers, clients=clients)


def _overrides(server: ChosenServer) -> Overrides:
    return of_this_tree(Overrides(backend=server.traits.name, image=server.image, runtime=server.runtime))


def _with_controls(file: CatalogueFile, chosen: Callable[[str, str], bool]) -> list[str]:
    """Names of the cases that take part, in the file's order."""
    names = {entry.name for entry in file.entries if chosen(f"{file.plan.path.name}::{entry.name}", entry.name)}
    controls = {entry.control.name for entry in file.entries if entry.name in names and entry.control is not None}
    return [entry.name for entry in file.entries if entry.name in names | controls]


def _split(cases: Sequence[Case]) -> Iterator[list[Case]]:
    if len(cases) <= _MOST_CASES:
        yield from [list(cases)] if cases else []
        return
    by_tool: dict[str, list[Case]] = {}
    for case in cases:
        by_tool.setdefault(case.client.tool.name if case.client is not None else "", []).append(case)
    yield from by_tool.values()


def _as_it_should(verdict: Verdict) -> bool:
    """At the places that the catalogue is made for, as it says to the letter. Elsewhere each library has reasons of its own: who
    refused whom counts, or what the ends declare of themselves.
    """
    if verdict.status in (Status.PASS, Status.SKIP):
        return True
    case = verdict.case
    tool = case.client.tool.name if case.client is not None else ""
    if declaration(case.server.backend.name) is None and declaration(tool) is None:
        return False
    seen = verdict.observation.outcome if verdict.observation is not None else None
    if verdict.unusable is not None:
        seen = Outcome.SERVER_UNUSABLE
    if any(one.case == case.written and one.outcome is seen for one in _declared(case.server.backend.name, tool)):
        return True
    return (
        verdict.status is Status.FAIL and seen is not None and "outcome" not in {one.path for one in verdict.mismatches}
    )


def _declared(server: str, tool: str) -> Iterator[Difference]:
    """What both ends say that they do otherwise."""
    one, other = declaration(program(server)), declaration(tool)
    if one is not None and one.server is not None:
        yield from one.server.differs
    if other is not None and other.client is not None:
        yield from other.client.differs


def _most(runs: Sequence[MeasuredCell]) -> MeasuredCell:
    """One cell for several runs: what was seen most often (or first, and with its alert), and beside it what else was seen."""
    seen = [cell for cell in runs if cell.seen is not None]
    if not seen:
        return runs[0]
    kinds: list[list[MeasuredCell]] = []
    for cell in seen:
        alike = next((kind for kind in kinds if _agree(kind[0], cell)), None)
        kinds.append([cell]) if alike is None else alike.append(cell)
    first, *others = [sorted(kind, key=_lost_its_alert) for kind in sorted(kinds, key=len, reverse=True)]
    broken = next((cell.why for cell in runs if cell.seen is None), "")
    return replace(
        first[0],
        why=first[0].why or (f"once: {broken.splitlines()[0]}" if broken else ""),
        others=tuple(kind[0].seen for kind in others if kind[0].seen is not None),
    )


def _lost_its_alert(cell: MeasuredCell) -> bool:
    return cell.seen is not None and cell.seen.alert is None


def _agree(one: MeasuredCell, other: MeasuredCell) -> bool:
    return one.seen is not None and other.seen is not None and one.seen.agrees(other.seen)
