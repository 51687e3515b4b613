"""Run ``scenarios/connections`` as it is, and on nginx, HAProxy, Go and Envoy in the embedded server's place.

``python -m tests.connections [--jobs N] [--times N] [--write] [WORD...]``: only files whose names hold one of the words; N times,
or until something is wrong. What a file runs on a server by itself is not run there again: a proxy's own configuration, for one.
Exits 1 if anything fails, or the table of what ran where, in the folder's README, is another one; ``--write`` writes it.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from mtls_runner import Overrides, Plan, RunOptions, load, run
from mtls_runner.model.verdict import WRONG, CaseFinished, RunFinished, Status
from mtls_runner.reporters import ASCII_MARKS, PlainPage
from mtls_runner.reporters.console import ConsoleReporter

from .workers import workers

FOLDER = Path(__file__).parents[1] / "scenarios/connections"
README = FOLDER / "README.md"
SERVERS = {"python": "Python", "nginx": "nginx", "haproxy": "HAProxy", "go": "Go", "envoy": "Envoy", "apache": "Apache"}
"""Those of the table, and what they are called there."""
_INSTEAD = ("python", "nginx", "haproxy", "go", "envoy")
_TABLE = re.compile(r"(?<=<!-- what runs where -->\n).*?(?=<!-- end -->)", re.DOTALL)
_SLOW = ("keep-alive", "renewal", "bypasses", "proxy-kept", "identity-envoy")
"""Certificates that live for seconds, and what starts late: they come first."""


@dataclass(slots=True)
class Told:
    """What came of a file on one server, or as it is.

    Args:
        file: its name without an ending.
        text: what to show.
        wrong: something did not pass.
        seconds: it took.
        ran: cases by their server.
        skipped: cases by the server that they were to have, and the reason.
    """

    file: str
    text: str = ""
    wrong: bool = False
    seconds: float = 0.0
    ran: Counter[str] = field(default_factory=Counter)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)


def _plan(file: Path, backend: str | None) -> Plan:
    """Without what the file runs there by itself, and what brings another server's configuration."""
    plan = load(file, Overrides(backend=backend))
    if backend is None:
        return plan
    itself = {case.id for case in load(file).cases if case.server.backend.name == backend}
    cases = (case for case in plan.cases if case.id not in itself and case.server.configured_for is None)
    return replace(plan, cases=tuple(cases))


def told(file: Path, backend: str | None) -> Told:
    """Run it."""
    plan, answer = _plan(file, backend), Told(file.stem)
    if not plan.cases:
        return answer
    shown = io.StringIO()
    reporter = ConsoleReporter(PlainPage(shown), ASCII_MARKS, quiet=True)
    for event in run([plan], RunOptions(jobs=4)):
        reporter.handle(event)
        match event:
            case CaseFinished(verdict):
                server = verdict.case.server.backend.name
                if verdict.status is Status.SKIP:
                    answer.skipped[server, verdict.skip_reason] += 1
                else:
                    answer.ran[server] += 1
                answer.wrong |= verdict.status in WRONG
            case RunFinished():
                answer.wrong |= bool(event.error)
                answer.seconds = event.duration
    reporter.close()
    answer.text = shown.getvalue()
    return answer


def table(everything: Sequence[Told]) -> str:
    """What ran where, file by file, and below it why something did not."""
    reasons: dict[str, int] = {}
    rows = []
    for name in sorted({one.file for one in everything}):
        ran: Counter[str] = Counter()
        skipped: dict[str, Counter[str]] = {server: Counter() for server in SERVERS}
        for one in everything:
            if one.file == name:
                ran += one.ran
                for (server, reason), number in one.skipped.items():
                    skipped[server][reason] += number
        cells = []
        for server in SERVERS:
            whys = [reasons.setdefault(reason, len(reasons) + 1) for reason in skipped[server]]
            notes = f"{sum(skipped[server].values())} skipped ({', '.join(map(str, whys))})" if whys else ""
            cells.append(", ".join(filter(None, (str(ran[server] or ""), notes))) or "-")
        rows.append(f"| `{name}.yaml` | {' | '.join(cells)} |\n")
    head = f"| cases of | {' | '.join(SERVERS.values())} |\n|{'---|' * (1 + len(SERVERS))}\n"
    notes = "".join(f"{number}. {reason}.\n" for reason, number in reasons.items())
    return f"{head}{''.join(rows)}\n{notes}"


def _units(words: Sequence[str]) -> Iterator[tuple[Path, str | None]]:
    files = [file for file in FOLDER.glob("*.yaml") if not words or any(word in file.stem for word in words)]
    files.sort(key=lambda file: (file.stem not in _SLOW, file.stem))
    yield from ((file, backend) for file in files for backend in (None, *_INSTEAD))


def main() -> int:
    """0 if all is as expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    typed = parser.parse_args()
    units = list(_units(typed.words))
    with workers(typed.jobs) as pool:
        for number in range(1, typed.times + 1):
            began = time.monotonic()
            everything = []
            for done in as_completed([pool.submit(told, *unit) for unit in units]):
                one = done.result()
                everything.append(one)
                if one.wrong:
                    print(one.text, flush=True)
            wrong = sum(one.wrong for one in everything)
            ran = sum(one.ran.total() for one in everything)
            print(
                f"{number}: {ran} cases in {time.monotonic() - began:.0f} s, {wrong} files with something wrong",
                flush=True,
            )
            if wrong or not ran:
                return 1
    if typed.words:
        print(table(everything), end="")
        return 0
    page = README.read_text(encoding="utf-8")
    current = _TABLE.sub(lambda _: table(everything), page)
    if typed.write:
        README.write_text(current, encoding="utf-8")
    elif page != current:
        print(f"{README} says otherwise what runs where: run python -m tests.connections --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
