"""Servers and clients that come with the lab end as the scenarios say, for the reason that they say."""

from __future__ import annotations

import os
from pathlib import Path

from mtls_runner import Overrides, Status, load, run
from mtls_runner.model.verdict import CaseFinished, RunFinished
from mtls_runner.registry import registry

__all__ = ["ENDS", "FILES", "absent", "wrong"]

FILES = ("basic.yaml", "wrong-certificates.yaml")
#: With them as servers and as clients: how a person calls it → what the command line sets.
ENDS = {
    **{f"{name}-server": Overrides(backend=name) for name in sorted(registry().backends.declared)},
    **{f"{name}-client": Overrides(tool=name) for name in sorted(registry().clients.declared)},
}
_SCENARIOS = Path(__file__).parents[2] / "scenarios"
_LEAST = {"server": 44, "client": 26}
"""How many cases can be run with each of them."""


def absent(end: str) -> str | None:
    """Why it can't be run here; ``None``: it can, or has to (``CI``)."""
    name, _, side = end.rpartition("-")
    known = registry().backends if side == "server" else registry().clients
    return None if os.environ.get("CI") else known[name].missing()


def wrong(end: str) -> list[str]:
    """What does not hold in the scenarios that everybody is tried on."""
    name, _, side = end.rpartition("-")
    found, passed = list[str](), 0
    for event in run([load(_SCENARIOS / file, ENDS[end]) for file in FILES]):
        if isinstance(event, CaseFinished):
            verdict = event.verdict
            passed += verdict.status is Status.PASS
            if verdict.status not in (Status.PASS, Status.SKIP):
                found.append(f"{verdict.case.name}: {verdict.status} {verdict.error or verdict.mismatches}")
        elif isinstance(event, RunFinished):
            found += [event.error] if event.error else []
            found += [] if event.versions.get(name) else ["its version is not told"]
    if passed < _LEAST[side]:
        found.append(f"{passed} cases passed, not {_LEAST[side]}")
    return found
