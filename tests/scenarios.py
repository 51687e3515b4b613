"""Run every scenario with both clients on both servers, the scripts that it is exported as, and those that everybody is tried
on with every server and client that comes with the lab; print what does not hold.

``python -m tests.scenarios [--catalogue] [--jobs N] [WORD...]``: only files whose paths, and servers and clients whose names,
hold one of the words; with ``--catalogue`` the scripts of the catalogue of faults, too (minutes). Exits 1 on any difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import as_completed
from functools import cache
from pathlib import Path

from mtls_runner import Verdict
from mtls_runner.conformance.catalogue import scenario_files

from .export.agreement import NothingToCompare, script_differences
from .implementations.shipped import ENDS, FILES, absent, wrong
from .once import measured
from .outcomes.same_answer import SCENARIOS, compared
from .workers import workers

_ROOT = Path(__file__).parents[1] / "scenarios"
#: Also as a script in the other server's place.
_BOTH = ("crl", "wrong-certificates")


def _exported(file: Path) -> Iterator[str]:
    """The servers whose place the exported script's server takes."""
    for_nginx = file.parts[len(_ROOT.parts)] in ("nginx", "article") if file.is_relative_to(_ROOT) else False
    for_python = file.parent == _ROOT or file in scenario_files()
    if for_nginx or (for_python and file.stem in _BOTH):
        yield "nginx"
    if for_python or (for_nginx and file.stem in _BOTH):
        yield "python"


def checked(asked: Path | str) -> tuple[str, list[str]]:
    """A title, and what does not hold.

    Args:
        asked: a scenario file, or a server or client that comes with the lab.
    """
    if isinstance(asked, str):
        title = f"{' and '.join(FILES)} with {asked}"
        why = absent(asked)
        return (f"{title}: {why}", []) if why is not None else (title, wrong(asked))
    return _scenario(asked)


def _scenario(file: Path) -> tuple[str, list[str]]:
    catalogue = file in scenario_files()
    found: list[str] = []
    title = file.stem

    @cache
    def once(backend: str) -> Mapping[str, Mapping[str, Verdict]]:
        return measured(file, backend)

    for backend in ("python",) if catalogue else ("python", "nginx"):
        same = compared(file, backend, lambda _, backend, tool: once(backend)[tool])
        found += [f"on {backend}: {line}" for line in same.wrong]
        if not same.ran:
            title += f", not on {backend}: {'; '.join(sorted(same.skipped))}"
    for backend in _exported(file):
        try:
            found += [
                f"script as {backend}: {line}" for line in script_differences(file, backend, once(backend)["curl"])
            ]
        except NothingToCompare as error:
            title += f", no script: {error}"
    return title, found


def main() -> int:
    """0 if all agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--catalogue", action="store_true")
    parser.add_argument("--jobs", type=int)
    typed = parser.parse_args()
    known: list[Path | str] = [*SCENARIOS, *(scenario_files() if typed.catalogue else ()), *ENDS]
    chosen = [one for one in known if not typed.words or any(word in str(one) for word in typed.words)]
    # What takes longest comes first.
    chosen.sort(key=lambda one: Path(one).stem not in ("ocsp", "stapling", "sessions", "expiry"))
    failed = 0
    with workers(typed.jobs) as pool:
        for done in as_completed([pool.submit(checked, one) for one in chosen]):
            title, lines = done.result()
            print(*([f"ok      {title}"] if not lines else [f"WRONG   {title}", *lines]), sep="\n", flush=True)
            failed += bool(lines)
    print(f"{len(chosen)} tried, {failed} with something wrong")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
