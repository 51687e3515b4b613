"""A scenario file whose missing expectations are what really happens."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.engine.compare import compare
from mtls_runner.language import Overrides
from mtls_runner.language.emit import flow
from mtls_runner.language.recording import ExpectationPlace, Expected, RecordableFile
from mtls_runner.model.case import Case, Plan, Versions
from mtls_runner.model.observation import Observation
from mtls_runner.model.verdict import Status, Verdict
from mtls_runner.record.expectation import RecordedCell, Summary, named_headers, summary
from mtls_runner.record.passes import Listener, Passes, done_verdict, open_ended, passes
from mtls_runner.record.suspicious import GETS_IN, kept_out, suspicion, unproved

__all__ = ["Recorded", "RecordedCase", "record"]


class RecordedCase(Struct, frozen=True):
    """What came of a case, or of one of its steps, in all cells.

    Args:
        name: of the case; of a step, with its number and name.
        written: the expectation as it stands in the text now, on one line; ``""``: none was written.
        why: then, why: it agrees with the one that there is, or can't be recorded.
        held: there was an expectation, and it holds.
        left_out: what was seen and is not written, and why.
        look: why a person should look at it first.
        cells: what was seen, cell by cell.
    """

    name: str
    written: str = ""
    why: str = ""
    held: bool = False
    left_out: tuple[str, ...] = ()
    look: str = ""
    cells: tuple[RecordedCell, ...] = ()


class Recorded(Struct, frozen=True):
    """A file with what was recorded.

    Args:
        path: of the file, which is as it was.
        before, text: of the file, as it is and as it should be; without a byte order mark.
        plan: what ran, with the file's other cases.
        cases: what was recorded, in the file's order.
        looks: what to look at first, in the order of their weight: one sentence each.
    """

    path: Path
    before: str
    text: str
    plan: Plan
    cases: tuple[RecordedCase, ...]
    looks: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is something to write."""
        return self.text != self.before

    @property
    def unrecorded(self) -> tuple[RecordedCase, ...]:
        """The cases for which no expectation could be written."""
        return tuple(case for case in self.cases if not case.written and not case.held)

    @property
    def broken(self) -> bool:
        """Whether the lab broke in some case."""
        return any(cell.broken for case in self.cases for cell in case.cells)

    def difference(self) -> str:
        """What would change, as a unified diff; ``""``: nothing."""
        before, after = self.before.splitlines(), self.text.splitlines()
        lines = difflib.unified_diff(before, after, str(self.path), f"{self.path} (recorded)", lineterm="")
        return "".join(f"{line}\n" for line in lines)


def record(
    path: Path,
    overrides: Overrides = Overrides(),  # noqa: B008 - frozen
    *,
    names: Sequence[str] = (),
    update: bool = False,
    jobs: int = 1,
    listener: Listener | None = None,
) -> Recorded:
    """Run the cases of a scenario that expect nothing yet, three times, and say what belongs into the file. Nothing is written.

    Args:
        path: of the scenario.
        overrides: as for a run.
        names: of the cases that are recorded; empty: of all.
        update: run the others, too, and replace expectations that don't hold.
        jobs: cases at a time.
        listener: is told of every event of the runs.

    Raises:
        ScenarioError: the file has mistakes, beside missing expectations.
        UsageError: the overrides name what there is not.
        LabError: the lab is broken as a whole. What breaks a single case is told with it.
        KeyboardInterrupt: it was interrupted.
    """
    recording = RecordableFile(path, overrides)
    named = [place for place in recording.places if not names or recording.name(place) in names]
    wanted = {place for place in named if update or not place.recorded}
    wanted -= {place for place in wanted if place.left_alone and not place.recorded}
    chosen = [case for case in recording.plan.cases if _places(recording, case) & wanted]
    ready = [_ready(case, recording, wanted) for case in chosen]
    seen = passes(recording.plan, ready, jobs=jobs, listener=listener) if ready else Passes()
    return _Result(recording, named, wanted, chosen, seen).recorded()


def _places(recording: RecordableFile, case: Case) -> set[ExpectationPlace]:
    found = (recording.place(case, number) for number in range(len(case.steps)))
    return {place for place in found if place is not None}


def _ready(case: Case, recording: RecordableFile, wanted: set[ExpectationPlace]) -> Case:
    """The case without expectations for those connections that are to be recorded."""
    free = open_ended(case)
    steps = [
        free.steps[number] if recording.place(case, number) in wanted else step
        for number, step in enumerate(case.steps)
    ]
    return replace(case, steps=tuple(steps))


class _Result:
    """What the passes make of the file."""

    def __init__(
        self,
        recording: RecordableFile,
        named: Sequence[ExpectationPlace],
        wanted: set[ExpectationPlace],
        cases: Sequence[Case],
        seen: Passes,
    ) -> None:
        self._recording = recording
        self._named = named
        self._wanted = wanted
        self._cases = cases
        self._seen = seen
        self._now = datetime.now(UTC)
        self._known = seen.known or recording.plan
        self._headers = named_headers(recording.plan)
        self._cells: dict[ExpectationPlace, list[RecordedCell]] = {}
        for case in cases:
            for number in range(len(case.steps)):
                place = recording.place(case, number)
                if place in wanted and place is not None:
                    self._cells.setdefault(place, []).append(self._cell(case, number))

    def recorded(self) -> Recorded:
        recording = self._recording
        changes: dict[ExpectationPlace, Expected] = {}
        kept_out = self._kept_out()
        cases = []
        for place in self._named:
            if place in self._wanted:
                cases.append(self._case(place, changes, kept_out.get(place, "")))
            elif not place.recorded:
                cases.append(RecordedCase(self._name(place), why=place.left_alone))
        text = recording.text(changes) if changes else recording.document.text
        path = recording.document.path
        looks = [f"{case.name}: {case.look}" for case in cases if case.look]
        looks.sort(key=lambda look: GETS_IN not in look)
        if self._cells:
            seen = [cell for cells in self._cells.values() for cell in cells]
            looks += unproved(self._known, seen, self._cases, self._now)
        return Recorded(path, recording.document.text, text, recording.plan, tuple(cases), tuple(looks))

    def _kept_out(self) -> dict[ExpectationPlace, str]:
        places = list(self._cells)
        found = kept_out([self._cells[place] for place in places], self._known, self._now)
        return {places[number]: said for number, said in found.items()}

    def _case(self, place: ExpectationPlace, changes: dict[ExpectationPlace, Expected], kept_out: str) -> RecordedCase:
        cells = self._cells.get(place, [])
        name = self._name(place)
        if place.recorded and all(self._holds(cell) for cell in cells):
            return RecordedCase(name, why="it holds", held=True, cells=tuple(cells))
        if not cells:
            return RecordedCase(name, why="it has no cases")
        made: Summary = summary(cells, self._headers)
        why = made.why or place.left_alone
        if why:
            return RecordedCase(name, why=why, cells=tuple(cells))
        look = suspicion(cells, self._known, self._now) or kept_out
        changes[place] = Expected(made.value, look)
        return RecordedCase(name, flow(made.value), left_out=tuple(made.left_out), look=look, cells=tuple(cells))

    def _name(self, place: ExpectationPlace) -> str:
        name = self._recording.name(place)
        return name if place.step is None else f"{name}, step {place.step + 1}"

    def _cell(self, case: Case, number: int) -> RecordedCell:
        seen: list[Observation] = []
        for verdicts in self._seen.verdicts:
            verdict = verdicts[case.id]
            if verdict.status is Status.SKIP:
                return RecordedCell(case, number, why=verdict.skip_reason, skipped=True)
            done = done_verdict(verdict, number)
            if done is None or done.observation is None or done.observation.outcome is None:
                return RecordedCell(case, number, why=_why(verdict, done), broken=verdict.status is Status.ERROR)
            seen.append(done.observation)
        return RecordedCell(case, number, tuple(seen))

    def _holds(self, cell: RecordedCell) -> bool:
        """Whether the expectation that there is fits what was seen; of what was skipped nobody knows better."""
        return cell.skipped or bool(cell.seen and not any(self._compared(cell, seen) for seen in cell.seen))

    def _compared(self, cell: RecordedCell, seen: Observation) -> bool:
        backend = cell.case.server.backend.name
        tool = seen.client.tool_version if seen.client is not None else ""
        versions = Versions(tool, self._seen.versions.get(backend, ""))
        return bool(compare(cell.step.expect, seen, versions).mismatches)


def _why(verdict: Verdict, done: Verdict | None) -> str:
    """Why there is nothing to record of a step."""
    if done is None and verdict.steps and not verdict.error:
        number = len(verdict.steps)
        said = "; ".join(each.told for each in verdict.mismatches)
        return f"step {number} before it does not end as expected ({said})"
    text = (done.error if done is not None else "") or verdict.error or "it did not come to that"
    return text.strip().partition("\n")[0]
