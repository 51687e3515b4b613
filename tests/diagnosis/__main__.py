"""Try faults whose cause is known, and count how often the true cause comes first, or among the first three.

``python -m tests.diagnosis [BACKEND...]``: the scenarios' faults and those of this directory on each server (python, nginx,
haproxy and go unless named), and on the Python server all of the catalogue that a command line can say. Exits 1 where less than
90 % come first, or one does not come among the first three (of the catalogue: 90 %).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import mtls_runner.conformance

from .measure import OWN, SCENARIOS, Result, faults

BACKENDS = ("python", "nginx", "haproxy", "go")
CATALOGUE = tuple(
    path
    for path in sorted(Path(mtls_runner.conformance.__file__).parent.joinpath("catalogue").glob("*.yaml"))
    if path.name != "lab.yaml"
)


def counted(title: str, results: Iterable[Result], *, all_shown: bool) -> bool:
    """Whether they are as they should be; prints what is not."""
    found = list(results)
    first = sum(result.place == 1 for result in found)
    near = sum(1 <= result.place <= 3 for result in found)
    for result in found:
        if result.place != 1:
            print(result)
    print(f"{title}: {len(found)} tries, the true cause first in {first}, among the first three in {near}", flush=True)
    return bool(found) and first >= 0.9 * len(found) and (near == len(found) or not all_shown)


def main() -> int:
    """The exit code."""
    good = True
    for backend in sys.argv[1:] or BACKENDS:
        for tool in ("python", "curl"):
            good &= counted(f"{backend}, {tool}", faults(backend, tool, SCENARIOS), all_shown=True)
        good &= counted(f"{backend}, more faults", faults(backend, "python", OWN), all_shown=True)
    good &= counted("python, catalogue", faults("python", "python", CATALOGUE), all_shown=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
