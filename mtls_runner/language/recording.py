"""Scenario files whose expectations are written by the lab: what is missing, where it goes, and the text with it in place.

Every other byte of the file stays: places are the marks of the language's own reader, and what comes out is read once more
before anybody gets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mtls_runner.errors import Diagnostic, LabError, ScenarioError, Severity
from mtls_runner.language import Overrides
from mtls_runner.language.document import Document, Loc, Value, parse, read
from mtls_runner.language.emit import Written, block, flow, scalar
from mtls_runner.language.layout import Comment, Extent, comments, extents
from mtls_runner.language.plan import planned
from mtls_runner.language.yaml_nodes import NULL
from mtls_runner.model.case import Case, Plan

__all__ = ["LOOK", "ExpectationPlace", "Expected", "RecordableFile", "looks"]

LOOK = "# look:"
"""How a comment begins that stands beside a recorded expectation which a person has not looked at yet."""
_KEY = "expect"


def looks(document: Document) -> Iterator[Diagnostic]:
    """A warning for each such comment that is still there."""
    for comment in comments(document.text):
        at = comment.text.find(LOOK)
        if at >= 0:
            said = comment.text[at + len(LOOK) :].strip()
            yield Diagnostic(
                f"recorded, and not looked at yet: {said}",
                document.index_span(comment.index + at, comment.index + len(comment.text)),
                "what is expected here is right: take the comment away; else mend the server, or the expectation",
                severity=Severity.WARNING,
            )


class Expected(Struct, frozen=True):
    """An expectation to write.

    Args:
        value: as an author would write it.
        look: why somebody should look at it; ``""``: nothing is wrong with it.
    """

    value: Written
    look: str = ""


class ExpectationPlace(Struct, frozen=True):
    """Where the expectation of a case, or of one of its steps, stands or would stand.

    Args:
        case: number of the case in the file, from 0.
        step: number of its step, from 0; ``None``: it is a plain case.
        recorded: there is an expectation.
        left_alone: why nothing is written there; ``""``: something can be.
    """

    case: int
    step: int | None
    recorded: bool
    left_alone: str = ""

    @property
    def loc(self) -> Loc:
        """Its place in the document."""
        return ("cases", self.case) if self.step is None else ("cases", self.case, "steps", self.step)


class RecordableFile:
    """A scenario file whose missing expectations can be written into it.

    Args:
        path: of the file.
        overrides: as for a run.

    Raises:
        ScenarioError: it has mistakes; that expectations are missing is none.
        UsageError: the overrides name what there is not.
    """

    def __init__(self, path: Path, overrides: Overrides) -> None:
        self._overrides = overrides
        self.document = read(path)
        self.plan: Plan = planned(self.document, overrides, recording=True)
        self._extents = extents(self.document.text)
        found = list(self._found())
        self._numbers = {self.document.span(("cases", place.case)): place.case for place in reversed(found)}
        others = {
            (self._numbers.get(case.span), number)
            for case in self.plan.cases
            for number, step in enumerate(case.steps)
            if step.client is None
        }
        self._places = {(place.case, place.step): place for place in found if (place.case, place.step) not in others}

    @property
    def places(self) -> tuple[ExpectationPlace, ...]:
        """All places, in the file's order."""
        return tuple(self._places.values())

    def place(self, case: Case, step: int) -> ExpectationPlace | None:
        """The place of a step's expectation; ``None``: it has none (a server's own expectation, a step that doesn't connect)."""
        number = self._numbers.get(case.span)
        if number is None or case.steps[step].client is None:
            return None
        return self._places.get((number, None if case.plain else step))

    def name(self, place: ExpectationPlace) -> str:
        """The name of the place's case."""
        _, node, _ = self.document.locate(("cases", place.case, "name"))
        return str(node.value)

    # --- what is there ---

    def _found(self) -> Iterator[ExpectationPlace]:
        root = self.document.root
        entry = _entry(root, "cases")
        if entry is None or not isinstance(entry[1], SequenceNode):
            return
        above = self._shared(entry[1], entry[0].end_mark.index)
        floor = entry[1].start_mark.index
        for number, case in enumerate(entry[1].value):
            why = above or self._shared(case, floor)
            floor = max(floor, case.end_mark.index)
            steps = _entry(case, "steps")
            if steps is None:
                yield self._of(case, number, None, why)
            elif isinstance(steps[1], SequenceNode):
                yield from self._steps(steps[0], steps[1], number, why)

    def _steps(self, key: Node, steps: SequenceNode, case: int, why: str) -> Iterator[ExpectationPlace]:
        why = why or self._shared(steps, key.end_mark.index)
        floor = steps.start_mark.index
        for number, step in enumerate(steps.value):
            if isinstance(step, MappingNode):
                yield self._of(step, case, number, why or self._shared(step, floor))
            floor = max(floor, step.end_mark.index)

    def _of(self, node: Node, case: int, step: int | None, why: str) -> ExpectationPlace:
        entry = _entry(node, _KEY)
        recorded = entry is not None and entry[1].tag != NULL
        if entry is not None and not why:
            why = self._shared(entry[1], entry[0].end_mark.index)
        return ExpectationPlace(case, step, recorded, why)

    def _shared(self, node: Node, floor: int) -> str:
        """Why the text there also stands for something else (an alias); ``floor``: the index where the place's own text begins at
        the earliest.
        """
        if node.start_mark.index < floor:
            return "it stands behind an alias"
        extent = self._extents.get(node.start_mark.index)
        return "it stands behind an anchor" if extent is not None and extent.anchored else ""

    # --- what it would be ---

    def text(self, changes: Mapping[ExpectationPlace, Expected]) -> str:
        """The file's text, without its byte order mark, with these expectations.

        Raises:
            LabError: they can't be written into it; that is a fault of the lab.
        """
        wanted = self._wanted(changes)
        for at_line_end in (True, False):
            text = _edited(self.document.text, self._edits(changes, at_line_end=at_line_end))
            try:
                document = parse(text, self.document.path)
                if document.value == wanted and not document.problems:
                    planned(document, self._overrides, recording=True)
                    return text
            except ScenarioError as error:
                why = "; ".join(str(each.message) for each in error.diagnostics)
            else:
                why = "it would say something else"
        raise LabError(f"{self.document.path}: the expectations can't be written ({why}); the file is as it was")

    def _wanted(self, changes: Mapping[ExpectationPlace, Expected]) -> Value:
        value = parse(self.document.text, self.document.path).value
        for place, expected in changes.items():
            case = _within(_within(value, "cases"), place.case)
            holder = case if place.step is None else _within(_within(case, "steps"), place.step)
            if isinstance(holder, dict):
                holder[_KEY] = parse(flow(expected.value), self.document.path).value
        return value

    def _edits(self, changes: Mapping[ExpectationPlace, Expected], *, at_line_end: bool) -> Iterator[_Edit]:
        for place, expected in changes.items():
            node = self.document.locate(place.loc)[1]
            entry = _entry(node, _KEY)
            extent = self._extents[node.start_mark.index]
            if entry is not None:
                yield from self._replaced(node, *entry, expected, at_line_end=at_line_end, in_flow=extent.flow)
            elif extent.flow:
                at = extent.end if extent.end is not None else node.start_mark.index + 1
                comma = "" if extent.end is None else ", "
                written = f"{comma}{_entry_text(node, expected.value)}"
                yield from self._with_look(at, at, written, expected.look, node, at_line_end=at_line_end)
            else:
                yield self._new_line(node, extent, expected)

    def _new_line(self, node: Node, extent: Extent, expected: Expected) -> _Edit:
        """An edit that adds a line at the end of a block mapping."""
        at = extent.end or node.start_mark.index
        line_break, margin = self._line_break(at), " " * node.start_mark.column
        look = f"  {LOOK} {expected.look}" if expected.look else ""
        lines = [margin + line for line in block(_KEY, expected.value, len(margin), look)]
        if extent.line_start:
            return _Edit(at, at, "".join(line + line_break for line in lines))
        at = _line_end(self.document.text, at)
        return _Edit(at, at, "".join(line_break + line for line in lines))

    def _replaced(
        self, node: Node, key: Node, value: Node, expected: Expected, *, at_line_end: bool, in_flow: bool
    ) -> Iterator[_Edit]:
        text, start = self.document.text, key.start_mark.index
        extent = None if isinstance(value, ScalarNode) else self._extents[value.start_mark.index]
        end = value.end_mark.index if extent is None or extent.flow or extent.end is None else extent.end
        kept = []
        for comment in self.comments:
            at = comment.index + max(comment.text.find(LOOK), 0)
            if start < comment.index < end:
                kept += [] if LOOK in comment.text else [comment.text]
            elif end <= at <= _line_end(text, end) and LOOK in comment.text:
                yield _Edit(len(text[:at].rstrip(" \t")), _line_end(text, at), "")
        margin = " " * key.start_mark.column
        lines = [_entry_text(node, expected.value)] if in_flow else block(_KEY, expected.value, len(margin))
        if in_flow and kept and text[:start].rstrip(" \t")[-1:] not in ("\n", "\r"):  # a comment has its line to itself
            start, margin = len(text[:start].rstrip(" \t")), " " * (node.start_mark.column + 2)
            kept = ["", *kept]
        written = (self._line_break(start) + margin).join([*kept, *lines])
        yield from self._with_look(start, end, written, expected.look, key, at_line_end=at_line_end)

    @cached_property
    def comments(self) -> tuple[Comment, ...]:
        """All comments of the file."""
        return tuple(comments(self.document.text))

    def _with_look(
        self, start: int, end: int, written: str, look: str, node: Node, *, at_line_end: bool
    ) -> Iterator[_Edit]:
        """The edit with its comment at the end of the line; or right behind it, where the line ends within something else."""
        said = f"  {LOOK} {look}"
        if not look:
            yield _Edit(start, end, written)
        elif at_line_end:
            yield _Edit(start, end, written)
            at = _line_end(self.document.text, end)
            yield _Edit(at, at, said)
        else:
            yield _Edit(start, end, f"{written}{said}{self._line_break(end)}{' ' * (node.start_mark.column + 2)}")

    def _line_break(self, index: int) -> str:
        """The line break of the line that ``index`` is in, or of the one before it."""
        text = self.document.text
        at = _line_end(text, index)
        if at == len(text):
            at = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index))
            if text[at - 1 : at + 1] == "\r\n":
                at -= 1
        found = text[at : at + 2] if at >= 0 else ""
        return found if found == "\r\n" else found[:1] or "\n"


class _Edit(Struct, frozen=True):
    start: int
    end: int
    text: str


def _edited(text: str, edits: Iterable[_Edit]) -> str:
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda each: (each.start, each.end)):
        parts += [text[at : edit.start], edit.text]
        at = max(at, edit.end)
    return "".join([*parts, text[at:]])


def _entry_text(node: Node, value: Written) -> str:
    """Key and value within braces; quoted where the mapping's first key is, as in JSON."""
    first = node.value[0][0] if isinstance(node, MappingNode) and node.value else None
    quoted = isinstance(first, ScalarNode) and first.style == '"'
    return f"{scalar(_KEY, quoted=quoted)}: {flow(value, quoted=quoted)}"


def _line_end(text: str, index: int) -> int:
    """The index of the end of the line that ``index`` is in, before its line break."""
    found = [at for at in (text.find("\n", index), text.find("\r", index)) if at >= 0]
    return min(found, default=len(text))


def _within(value: Value, part: str | int) -> Value:
    if isinstance(value, dict):
        return value.get(str(part))
    return value[part] if isinstance(value, list) and isinstance(part, int) else None


def _entry(node: Node, key: str) -> tuple[Node, Node] | None:
    if isinstance(node, MappingNode):
        for name, value in node.value:
            if isinstance(name, ScalarNode) and name.value == key:
                return name, value
    return None
