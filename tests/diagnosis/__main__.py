"""Try faults whose cause is known, and count how often the true cause comes first, or among the first three.

``python -m tests.diagnosis [BACKEND...]``: the scenarios' faults and those of this directory on each server (python, nginx,
haproxy and go unless named), and on the Python server all of the catalogue that a command line can say. Exits 1 where less than
90 % come first, or one does not come among the first three (of the catalogue: 90 %).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mtls_runner.conformance

from ..workers import workers
from .measure import OWN, SCENARIOS, places

BACKENDS = ("python", "nginx", "haproxy", "go")
CATALOGUE = tuple(
    path
    for path in sorted(Path(mtls_runner.conformance.__file__).parent.joinpath("catalogue").glob("*.yaml"))
    if path.name != "lab.yaml"
)


@dataclass(frozen=True)
class _Part:
    """The faults of some scenarios on a server, with a client.

    Args:
        title: what they are counted as.
        all_shown: whether the true cause has to be shown of each.
    """

    title: str
    backend: str
    tool: str
    scenarios: tuple[Path, ...]
    all_shown: bool = True


def _parts(backends: Iterable[str]) -> Iterator[_Part]:
    for backend in backends:
        for tool in ("python", "curl"):
            yield _Part(f"{backend}, {tool}", backend, tool, SCENARIOS)
        yield _Part(f"{backend}, more faults", backend, "python", OWN)
    yield _Part("python, catalogue", "python", "python", CATALOGUE, all_shown=False)


def _counted(part: _Part, found: Sequence[tuple[int, str]]) -> bool:
    """Whether they are as they should be; prints what is not."""
    first = sum(place == 1 for place, _ in found)
    near = sum(1 <= place <= 3 for place, _ in found)
    for place, told in found:
        if place != 1:
            print(told)
    print(
        f"{part.title}: {len(found)} tries, the true cause first in {first}, among the first three in {near}",
        flush=True,
    )
    return bool(found) and first >= 0.9 * len(found) and (near == len(found) or not part.all_shown)


def main() -> int:
    """The exit code."""
    good = True
    with workers() as pool:
        asked = [
            (part, [pool.submit(places, part.backend, part.tool, path) for path in part.scenarios])
            for part in _parts(sys.argv[1:] or BACKENDS)
        ]
        for part, answers in asked:
            good &= _counted(part, [one for answer in answers for one in answer.result()])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
