"""``python -m tests.stable [--runs N] [NAME…]``: the same verdicts, run after run, on every declared server and client.

Not a part of the suite: 50 runs of `basic.yaml` and `wrong-certificates.yaml` take a quarter of an hour; those of Java's and
Python's clients as long each where the machine is busy. What differs from the first run is told case by case, and at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from mtls_runner import Overrides, load, run
from mtls_runner.model.verdict import CaseFinished
from mtls_runner.registry import registry

_SCENARIOS = Path(__file__).parents[1] / "scenarios"
_TOLD_EVERY = 10
_FILES = ("basic.yaml", "wrong-certificates.yaml")


def _ends(names: list[str]) -> Iterator[tuple[str, Overrides]]:
    known = registry()
    for name in names or sorted({*known.backends.declared, *known.clients.declared}):
        if name in known.backends:
            yield f"{name}, server", Overrides(backend=name, tool="python")
        if name in known.clients:
            yield f"{name}, client", Overrides(tool=name)


def _verdicts(overrides: Overrides) -> dict[str, str]:
    found = {}
    for event in run([load(_SCENARIOS / file, overrides) for file in _FILES]):
        if isinstance(event, CaseFinished):
            verdict, seen = event.verdict, event.verdict.observation
            reasons = ", ".join(sorted(seen.reasons)) if seen is not None else ""
            told = f"{seen.outcome} ({reasons})" if seen is not None else verdict.error or verdict.skip_reason
            found[verdict.case.id] = f"{verdict.status}: {told}"
    return found


def main() -> int:
    """The exit code is 1 where two runs differ, or a case does not pass."""
    parser = argparse.ArgumentParser(prog="python -m tests.stable", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    wrong = 0
    for end, overrides in _ends(options.names):
        first: dict[str, str] = {}
        bad = 0
        for number in range(1, options.runs + 1):
            for case, told in _verdicts(overrides).items():
                if told != first.setdefault(case, told) or (number == 1 and not told.startswith(("pass", "skip"))):
                    print(f"  run {number}: {case}: {told}; the first time: {first[case]}", flush=True)
                    bad += 1
            if number % _TOLD_EVERY == 0 or number == options.runs:
                print(f"{end}: {len(first)} cases, {number} runs, {bad} that differ or fail", flush=True)
        wrong += bad
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
