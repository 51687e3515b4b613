"""What is measured once a session, however many workers the tests are spread over."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

import pytest
from msgspec.structs import replace

from mtls_runner import Overrides, Plan, Verdict, load
from mtls_runner.engine import RunOptions, run
from mtls_runner.model.traits import Runtime
from mtls_runner.model.verdict import CaseFinished, RunFinished
from mtls_runner.runtimes.process import find_program

from .container_engine import DEBIAN, IMAGE

__all__ = ["A_CONTAINER_EACH", "TOOLS", "Answers", "answers", "measured", "nginx_runtime", "once", "shared"]

T = TypeVar("T")
TOOLS = ("python", "curl")
#: Scenarios whose servers ask OCSP responders: nginx has a container each there, and ``python -m tests.scenarios`` runs them.
A_CONTAINER_EACH = ("ocsp", "stapling")

#: Of a scenario file on a backend with a client: every case's verdict, by id.
Answers: TypeAlias = Callable[[Path, str, str], Mapping[str, Verdict]]


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """What ``make`` returned to whoever asked first; it gets a path that is its own, with nothing there yet."""
    kept = shared(factory) / f"{name}.pickle"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            found: T = pickle.loads(kept.read_bytes())  # noqa: S301 - written by the line below
            return found
        made = make(kept.with_suffix(""))
        kept.write_bytes(pickle.dumps(made))
    return made


def shared(factory: pytest.TempPathFactory) -> Path:
    """The session's directory, one for all workers."""
    return factory.getbasetemp().parent if os.environ.get("PYTEST_XDIST_WORKER") else factory.getbasetemp()


def answers(factory: pytest.TempPathFactory, file: Path, backend: str, tool: str) -> Mapping[str, Verdict]:
    """Every case of a scenario file with these ends; all clients meet the same servers, started once."""
    return once(factory, f"{file.parent.name}-{file.stem}-{backend}", lambda _: measured(file, backend))[tool]


def measured(file: Path, backend: str) -> Mapping[str, Mapping[str, Verdict]]:
    """Every case's verdict by client and id; what asks OCSP responders is in a container only."""
    runtime = nginx_runtime() if file.stem not in A_CONTAINER_EACH else None
    plans = {tool: load(file, Overrides(backend=backend, tool=tool, image=IMAGE, runtime=runtime)) for tool in TOOLS}
    verdicts: dict[str, dict[str, Verdict]] = {tool: {} for tool in TOOLS}
    for event in run([_together(plans)], RunOptions(jobs=2)):
        match event:
            case CaseFinished():
                id_, _, tool = event.verdict.case.id.rpartition(" with ")
                verdicts[tool][id_] = event.verdict
            case RunFinished():
                assert not event.error, event.error
    return verdicts


def nginx_runtime() -> Runtime | None:
    """A process, which starts sooner, where the container's nginx is the same Debian package; ``None``: nginx's default."""
    return Runtime.PROCESS if IMAGE == DEBIAN and find_program("nginx") is not None else None


def _together(plans: Mapping[str, Plan]) -> Plan:
    cases = [replace(case, id=f"{case.id} with {tool}") for tool, plan in plans.items() for case in plan.cases]
    return replace(plans["python"], cases=tuple(cases))
