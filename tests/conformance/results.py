"""The catalogue, or files of it, run once on each backend for all tests of a session."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.conformance.case import CatalogueCase, CatalogueFile, by_file
from mtls_runner.conformance.catalogue import Combination, plans
from mtls_runner.engine import RunOptions, run
from mtls_runner.model.case import Plan
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Observation
from mtls_runner.model.verdict import CaseFinished, RunFinished, Status, Verdict

from ..container_engine import IMAGE
from ..once import nginx_runtime, once

__all__ = ["SOME", "Cell", "Results", "catalogue_results"]

BOTH = (TlsVersion.V1_2, TlsVersion.V1_3)
#: Files that the suite runs; ``whole.py`` runs them all.
SOME = ("names", "purpose", "revocation", "trust", "validity")


@dataclass(frozen=True, slots=True)
class Cell:
    """One case in one place."""

    group: CatalogueFile
    entry: CatalogueCase
    place: Combination
    verdict: Verdict

    @property
    def seen(self) -> Observation:
        assert self.verdict.observation is not None, self
        return self.verdict.observation

    def __str__(self) -> str:
        return f"{self.group.plan.name}: {self.entry.name} {self.place}"


@dataclass(frozen=True, slots=True)
class Results:
    """Of one backend.

    Args:
        groups: everything, skips too.
        verdicts: by the case's id.
        versions: of what took part.
        directories: where each file's material was kept, by its name.
        places: how many a case can have here: clients, and their TLS versions.
    """

    groups: tuple[CatalogueFile, ...] = field(repr=False)
    verdicts: dict[str, Verdict] = field(repr=False)
    versions: dict[str, str]
    directories: dict[str, Path]
    places: int

    @property
    def possible(self) -> int:
        """How many cells there would be if every case could be run in every place."""
        return self.places * sum(len(group.entries) for group in self.groups)

    @property
    def all(self) -> Iterator[Cell]:
        """Every cell."""
        for group in self.groups:
            for entry in group.entries:
                for place, case in entry.places.items():
                    yield Cell(group, entry, place, self.verdicts[case.id])

    @property
    def ran(self) -> Iterator[Cell]:
        """Every cell that was run with a client."""
        return (
            cell for cell in self.all if cell.verdict.status is not Status.SKIP and cell.verdict.case.client is not None
        )


def catalogue_results(
    backend: str,
    tools: tuple[str, ...],
    factory: pytest.TempPathFactory,
    versions: tuple[TlsVersion, ...] = BOTH,
    files: Container[str] | None = None,
) -> Results:
    """Run it, or these files of it, material kept; once, however many workers the tests are spread over."""
    name = f"catalogue-on-{backend}-with-{'-and-'.join(tools)}"
    return once(factory, name, lambda keep: _run(backend, tools, versions, files, keep))


def _run(
    backend: str, tools: tuple[str, ...], versions: tuple[TlsVersion, ...], files: Container[str] | None, keep: Path
) -> Results:
    chosen = [
        _with(versions, _as_process(plan))
        for plan in plans((backend,), tools, IMAGE)
        if files is None or plan.path.stem in files
    ]
    verdicts: dict[str, Verdict] = {}
    programs: dict[str, str] = {}
    for event in run(chosen, RunOptions(jobs=2, keep=keep)):
        match event:
            case CaseFinished():
                verdicts[event.verdict.case.id] = event.verdict
            case RunFinished():
                assert not event.error, event.error
                programs.update(event.versions)
    directories = {plan.name: keep / f"{number:02}-{plan.path.stem}" for number, plan in enumerate(chosen, start=1)}
    return Results(by_file(chosen), verdicts, programs, directories, len(tools) * len(versions))


def _with(versions: tuple[TlsVersion, ...], plan: Plan) -> Plan:
    return replace(plan, cases=tuple(case for case in plan.cases if case.tls is None or case.tls in versions))


def _as_process(plan: Plan) -> Plan:
    runtime = nginx_runtime()
    if runtime is None:
        return plan
    cases = (
        replace(case, server=replace(case.server, runtime=runtime)) if case.server.backend.name == "nginx" else case
        for case in plan.cases
    )
    return replace(plan, cases=tuple(cases))
