"""The catalogue's scenario files, which come with the package, and their plans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.language import Overrides, load
from mtls_runner.model.case import Case, Plan, bracketed
from mtls_runner.model.traits import BackendTraits, ClientTraits
from mtls_runner.registry import Table, registry

__all__ = [
    "CATALOGUE",
    "ORDER",
    "Combination",
    "combination",
    "made_for",
    "plan_of",
    "plans",
    "program",
    "scenario_files",
]

#: Where the files lie, for people who want to read, run or copy them.
CATALOGUE = Path(__file__).with_name("catalogue")

#: From what is met most to what few ever see.
ORDER = (
    "trust",
    "validity",
    "purpose",
    "names",
    "chain",
    "revocation",
    "signature",
    "structure",
    "constraints",
    "strict",
    "settings",
    "keys",
)

_TOOL = "client.tool"


class Combination(Struct, frozen=True, order=True):
    """Where a case was run: one cell of the matrix. A server's own expectation has neither tool nor version."""

    backend: str
    tool: str
    tls: str


def program(server: str) -> str:
    """What runs, in whatever version: ``nginx`` of ``nginx@1.26``."""
    return server.partition("@")[0]


def combination(case: Case) -> Combination:
    """Where a case runs."""
    return Combination(
        case.server.backend.name,
        case.client.tool.name if case.client is not None else "",
        case.tls.value if case.tls is not None else "",
    )


def scenario_files() -> tuple[Path, ...]:
    """In the order in which they are told; files that nobody put into an order come last."""
    rank = {name: number for number, name in enumerate(ORDER)}
    found = (path for path in CATALOGUE.glob("*.yaml") if path.name != "lab.yaml")
    return tuple(sorted(found, key=lambda path: (rank.get(path.stem, len(rank)), path.stem)))


T = TypeVar("T", BackendTraits, ClientTraits)


def made_for(known: Table[T]) -> list[T]:
    """The ends that the catalogue is made for, and on which it is run where none is chosen."""
    return [one for one in known.usable() if one.in_catalogue]


def plans(backends: Sequence[str], tools: Sequence[str], image: str | None = None) -> Iterator[Plan]:
    """One plan for each file and backend, with only the tools' cases.

    Args:
        backends, tools: by name; none: those that the catalogue is made for.
        image: of containers.

    Raises:
        ScenarioError: a file is invalid.
        UsageError: there is no such backend or tool.
    """
    known = registry()
    chosen = [known.clients.named(name) for name in tools] or made_for(known.clients)
    servers = [known.backends.named(name) for name in backends] or made_for(known.backends)
    for path in scenario_files():
        for backend in servers:
            yield plan_of(path, Overrides(backend=backend.name, image=image), chosen)


def plan_of(path: Path, overrides: Overrides, tools: Sequence[ClientTraits]) -> Plan:
    """One file of the catalogue with only these tools' cases, and those that are a server's own expectation."""
    plan = load(path, overrides)
    cases = [case for case in plan.cases if case.client is None or case.client.tool in tools]
    there = {case.client.tool for case in plan.cases if case.client is not None}
    own = len(_OF_PYTHON.findall(plan.text)) > 1
    for tool in tools:
        if tool not in there:  # the files name the two that they were made with
            cases += _with_tool(load(path, replace(overrides, tool=tool.name)), tool) if own else _as_python(plan, tool)
    return replace(plan, cases=tuple(map(_one_intermediate, cases)))


_OF_PYTHON = re.compile(r"\btool: *\[?[^\]}\n]*\bpython\b")
"""Where a file says something of the Python client; in the matrix each does."""


def _as_python(plan: Plan, tool: ClientTraits) -> Iterator[Case]:
    """What the Python client does, done by another, of which the file says nothing else."""
    python = registry().clients.default
    for case in plan.cases:
        if case.client is not None and case.client.tool is python:
            own = case.by(replace(case.client, tool=tool))
            parameters = ((axis, tool.name if axis == _TOOL else value) for axis, value in case.parameters)
            yield _called(own, tuple(parameters))


def _one_intermediate(case: Case) -> Case:
    """The catalogue's chains have an intermediate. A server that allows none by itself (Apache) is told to, where a case says
    nothing of the depth: faults are compared, not defaults.
    """
    if case.server.backend.verify_depth != 0 or case.server.verify_depth is not None:
        return case
    return replace(case, server=replace(case.server, verify_depth=1))


def _with_tool(plan: Plan, tool: ClientTraits) -> Iterator[Case]:
    """The cases with a client, called as those are whose tool the file's matrix names."""
    for case in plan.cases:
        if case.client is not None:
            yield _called(case, (*case.parameters, (_TOOL, tool.name)))


def _called(case: Case, parameters: tuple[tuple[str, str], ...]) -> Case:
    name = case.written + bracketed(parameters)
    return replace(case, name=name, id=case.id.removesuffix(case.name) + name, parameters=parameters)
