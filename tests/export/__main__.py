"""Run every scenario, export it, run the script, and print what does not hold, and where the script sees something else.

``python -m tests.export [--catalogue] [--jobs N] [WORD...]``: only files whose paths hold one of the words; with
``--catalogue`` the catalogue of faults, too (minutes). Exits 1 on any difference.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from pathlib import Path

from mtls_runner.conformance.catalogue import scenario_files

from .agreement import checked

_SCENARIOS = Path(__file__).parents[2] / "scenarios"
_OWN = sorted(file for file in _SCENARIOS.glob("*.yaml") if file.name != "lab.yaml")
_NGINX = sorted((_SCENARIOS / "nginx").rglob("*.yaml"))


def _all(*, catalogue: bool) -> list[tuple[Path, str]]:
    """Files and the backend whose place the script's server takes; what takes longest comes first."""
    nginx = [*_NGINX, _SCENARIOS / "article" / "article.yaml", _OWN[-1]]
    python = [*_OWN, _SCENARIOS / "nginx" / "crl.yaml", *(scenario_files() if catalogue else ())]
    return [*((file, "nginx") for file in reversed(nginx)), *((file, "python") for file in python)]


def main() -> int:
    """0 if all agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--catalogue", action="store_true")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    typed = parser.parse_args()
    chosen = [
        (file, backend)
        for file, backend in _all(catalogue=typed.catalogue)
        if not typed.words or any(word in str(file) for word in typed.words)
    ]
    wrong = 0
    with multiprocessing.get_context("spawn").Pool(typed.jobs) as pool:
        for title, lines in pool.imap_unordered(checked, chosen):
            print(*([f"ok      {title}"] if not lines else [f"DIFFERS {title}", *lines]), sep="\n", flush=True)
            wrong += bool(lines)
    print(f"{len(chosen)} scripts, {wrong} differ")
    return 1 if wrong or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
