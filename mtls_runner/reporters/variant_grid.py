"""Many variants of each case: one line for a case, with a mark for each variant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mtls_runner.model.case import Case
from mtls_runner.model.verdict import Status, Verdict
from mtls_runner.reporters import STYLES, WIDEST_NAME, Marks, Piece, Style, one_line
from mtls_runner.snippet import width

__all__ = ["VariantGrid"]

_LEAST = 4
"""Variants that are worth a grid."""
_ACROSS = 50
"""Marks on a line."""


class VariantGrid:
    """One line for each case, with a mark for each of its variants, in the order of the matrix.

    Args:
        cases: of one file.
        marks: one for each status.
    """

    def __init__(self, cases: Sequence[Case], marks: Marks) -> None:
        one_cell = all(len(mark) == 1 for mark in marks.values())
        self._marks = marks if one_cell else {style: mark[0] for style, mark in marks.items()}
        names = [case.written for case in cases if case.parameters]
        self._variants = list(dict.fromkeys(case.parameters for case in cases if case.parameters))
        self._across = min(max(map(names.count, set(names))), _ACROSS)
        widths = [width(one_line(case.written)) for case in cases]
        self._name_width = max((cells for cells in widths if cells <= WIDEST_NAME), default=0)
        self._name = ""
        self._row: list[Verdict] = []

    @staticmethod
    def suits(cases: Sequence[Case]) -> bool:
        """Whether a file has so many variants that a line for each would say less."""
        counted = Counter(case.written for case in cases if case.parameters)
        return bool(counted) and max(counted.values()) >= _LEAST and counted.total() > len(cases) / 2

    def legend(self) -> Iterator[list[Piece]]:
        """Which mark is which variant."""
        shown = self._variants[:_ACROSS]
        keys = {tuple(axis for axis, _ in variant) for variant in shown}
        by = f" ({one_line(', '.join(next(iter(keys))))})" if len(keys) == 1 else ""
        names = [",".join(value if by else f"{axis}={value}" for axis, value in variant) for variant in shown]
        told = "  ".join(f"{number} {one_line(name)}" for number, name in enumerate(names, 1))
        more = f"  and {len(self._variants) - len(shown)} more" if len(shown) < len(self._variants) else ""
        yield [(f"  marks{by}: {told}{more}", Style.DIM)]

    def ends_before(self, verdict: Verdict) -> bool:
        """Whether this is another case's."""
        return bool(self._row) and verdict.case.written != self._name

    def add(self, verdict: Verdict) -> None:
        """One more variant."""
        self._name = verdict.case.written
        self._row.append(verdict)

    def taken(self) -> Iterator[list[Piece]]:
        """The lines of the case so far, which are then done."""
        row, self._row = self._row, []
        for start in range(0, len(row), self._across):
            part = row[start : start + self._across]
            name = one_line(self._name) if start == 0 else ""
            pieces: list[Piece] = [(f"  {name}{' ' * max(0, self._name_width - width(name))}  ", Style.TEXT)]
            pieces += [(self._marks[STYLES[one.status]], STYLES[one.status]) for one in part]
            pieces.append((" " * (self._across - len(part)) + "  ", Style.TEXT))
            if start == 0:
                pieces.append((_together(row), Style.DIM))
            yield pieces


def _together(row: Sequence[Verdict]) -> str:
    """What came of all; of several outcomes, how often each."""
    said = Counter(_short(one) for one in row)
    if len(said) == 1:
        return next(iter(said))
    return ", ".join(f"{count} {text}" for text, count in said.most_common())


def _short(verdict: Verdict) -> str:
    seen = verdict.observation
    if verdict.status is Status.SKIP:
        return "skipped"
    if seen is None or seen.outcome is None:
        return "broken" if verdict.status is Status.ERROR else ""
    return f"{seen.outcome}: {' or '.join(seen.reasons[:2])}" if seen.reasons else str(seen.outcome)
