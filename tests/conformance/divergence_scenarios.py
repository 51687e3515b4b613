"""Runs every scenario of docs/divergences.md whose ends are installed: each expects what was measured there.

python -m tests.conformance.divergence_scenarios
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from mtls_runner import load, run
from mtls_runner.model.verdict import CaseFinished, Status

from ..workers import workers

__all__ = ["PAGE", "scenarios"]

PAGE = Path(__file__).parents[2] / "docs" / "divergences.md"
_SECTION = re.compile(r"^### (.+?)$(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def scenarios(page: str) -> Iterator[tuple[str, str]]:
    """Title and text of each."""
    for title, body in _SECTION.findall(page):
        for text in _BLOCK.findall(body):
            yield title, text


def _verdicts(file: Path) -> list[tuple[Status, str]]:
    """Of each case, with what there is to say."""
    found = []
    for event in run([load(file)]):
        if isinstance(event, CaseFinished):
            verdict = event.verdict
            told = verdict.error or "; ".join(mismatch.told for mismatch in verdict.mismatches)
            found.append(
                (verdict.status, f"{verdict.status}: {verdict.case.name} ({verdict.case.server.backend}): {told}")
            )
    return found


def main() -> int:
    counts = dict.fromkeys(Status, 0)
    with TemporaryDirectory() as directory, workers() as pool:
        files: list[Path] = []
        for number, (_, text) in enumerate(scenarios(PAGE.read_text("utf-8"))):
            files.append(Path(directory) / f"{number:02}.yaml")
            files[-1].write_text(text, "utf-8")
        for verdicts in pool.map(_verdicts, files, chunksize=4):
            for status, told in verdicts:
                counts[status] += 1
                if status not in (Status.PASS, Status.SKIP):
                    print(told)
    print(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    return 1 if counts[Status.FAIL] or counts[Status.ERROR] or not counts[Status.PASS] else 0


if __name__ == "__main__":
    sys.exit(main())
