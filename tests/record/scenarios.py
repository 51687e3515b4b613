"""Every scenario of the repository without its expectations, recorded: what is written agrees with what was there.

``python -m tests.record.scenarios [FILE...]`` does so in full (of a file whose servers have a container each, with a third of its
cases); the suite does with those that the lab's own server serves.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace
from yaml.nodes import MappingNode, Node

from mtls_runner import Lab, Overrides, Plan, RunOptions, load, run
from mtls_runner.language.document import parse
from mtls_runner.language.layout import extents
from mtls_runner.model.case import Check
from mtls_runner.model.verdict import CaseFinished, RunFinished, Status
from mtls_runner.record.file import RecordedFile
from mtls_runner.record.recorded import Recorded, record
from tests.implementations.test_containers import IMAGES
from tests.once import A_CONTAINER_EACH
from tests.workers import workers

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def unrecorded(text: str, but: frozenset[int] = frozenset()) -> str:
    """A scenario's text without the expectations of its cases and of their steps, ``but`` of those that begin on these lines."""
    document, found = parse(text, Path("scenario.yaml")), extents(text)
    cuts: list[tuple[int, int, str]] = []
    for case in document.items(("cases",)):
        if case.start_mark.line + 1 in but:
            continue
        for node in (case, *_steps(case)):
            if isinstance(node, MappingNode):
                cuts += _cuts(node, text, {start: extent.end for start, extent in found.items() if not extent.flow})
    for start, end, left in sorted(cuts, reverse=True):
        text = text[:start] + left + text[end:]
    return text


def _steps(case: Node) -> Iterator[Node]:
    if isinstance(case, MappingNode):
        for key, value in case.value:
            if key.value == "steps":
                yield from value.value


def _cuts(node: MappingNode, text: str, block_ends: Mapping[int, int | None]) -> Iterator[tuple[int, int, str]]:
    for number, (key, value) in enumerate(node.value):
        if key.value != "expect":
            continue
        end = block_ends.get(value.start_mark.index) or value.end_mark.index
        if number:
            before = text.rindex("," if node.flow_style else "\n", 0, key.start_mark.index)
            yield before, end if node.flow_style else (text + "\n").index("\n", end), ""
        elif len(node.value) > 1:
            yield key.start_mark.index, node.value[1][0].start_mark.index, ""
        else:
            yield key.start_mark.index, end, "" if node.flow_style else "{}"


def recorded(original: Path, directory: Path, overrides: Overrides) -> tuple[Recorded, Path]:
    """The scenario without its expectations, in a copy of its directory, recorded there."""
    copy = directory / original.parent.name
    shutil.copytree(original.parent, copy)
    for above in original.parents:  # settings that count there
        if (above / "lab.yaml").exists():
            shutil.copy(above / "lab.yaml", directory / "lab.yaml")
            break
    path = copy / original.name
    kept = _skipped(original, overrides) | _left_out(load(original, overrides))
    path.write_bytes(unrecorded(original.read_bytes().decode(), kept).encode())
    with RecordedFile(path) as file:
        made = record(path, overrides, jobs=2 if _quick(original)[0] else 4)
        if made.changed:
            file.write(made)
    return made, path


def _skipped(original: Path, overrides: Overrides) -> frozenset[int]:
    """Where cases begin of which no cell can be run with these ends."""
    plan = load(original, overrides)
    with Lab(plan) as lab:
        ran = {case.span.line for case in plan.cases if lab.cannot(case) is None}
    return frozenset(case.span.line for case in plan.cases) - ran


def _left_out(plan: Plan) -> frozenset[int]:
    """Where cases begin that are not recorded: two of three, where each server has a container of its own."""
    lines = sorted({case.span.line for case in plan.cases}) if plan.path.stem in A_CONTAINER_EACH else []
    return frozenset(lines) - frozenset(lines[::3])


def disagreements(original: Path, path: Path, overrides: Overrides) -> Iterator[str]:
    """Where the recorded file does not hold, or says something else than the original."""
    before, after = load(original, overrides), load(path, overrides)
    left_out = _left_out(after)  # as many lines, in the same order
    after = replace(after, cases=tuple(case for case in after.cases if case.span.line not in left_out))
    wanted = _conclusions(before)
    for key, said in _conclusions(after).items():
        for name in ("outcome", "reason"):
            if name in said and name in wanted[key] and not said[name] & wanted[key][name]:
                yield f"{key}: {name} {sorted(map(str, said[name]))}, was {sorted(map(str, wanted[key][name]))}"
    for event in run([after], RunOptions(jobs=4)):
        if isinstance(event, CaseFinished) and event.verdict.status not in (Status.PASS, Status.SKIP):
            yield f"{event.verdict.case.name}: {event.verdict.mismatches or event.verdict.error}"
        elif isinstance(event, RunFinished) and event.error:
            yield event.error


def _conclusions(plan: Plan) -> dict[tuple[str, int], dict[str, set[object]]]:
    return {
        (case.name, number): {check.path: _values(check) for check in step.expect.checks if not check.only_for}
        for case in plan.cases
        for number, step in enumerate(case.steps)
        if step.client is not None
    }


def _values(check: Check) -> set[object]:
    return {matcher.value for matcher in check.alternatives}


def _compared(original: Path) -> tuple[str, list[str]]:
    """How it went with a file, and what does not hold."""
    backend = "nginx" if "nginx" in original.parts else None  # of those, many ask for what only nginx has
    here = Overrides(backend=backend, allow_commands=True)  # the commands are the repository's own
    with tempfile.TemporaryDirectory() as directory:
        made, path = recorded(original, Path(directory), here)
        left = [f"not recorded: {case.name}: {case.why}" for case in made.unrecorded]
        found = left or list(disagreements(original, path, here))
    return f"{original}: {len(made.cases)} recorded, {len(made.looks)} to look at", found


def _quick(file: Path) -> tuple[bool, Path]:
    """What takes longest comes first: each server that asks responders has a container of its own."""
    return file.stem not in ("ocsp", "stapling", "sessions"), file


def main(arguments: list[str]) -> int:
    """The exit code: 1 where something disagrees, or can't be recorded."""
    for name, image in IMAGES.items():
        os.environ.setdefault(f"MTLS_RUN_IMAGE_{name.upper()}", image)
    files = [Path(name) for name in arguments] or sorted(SCENARIOS.rglob("*.yaml"), key=_quick)
    wrong = 0
    with workers() as pool:
        for title, found in pool.map(_compared, files):
            wrong += bool(found)
            print(title, *found, sep="\n  ", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
