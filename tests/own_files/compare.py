"""The lab held against the bare programs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtls_runner import Overrides
from mtls_runner.model.traits import Runtime

from .bare import Question, answers
from .files import ODD, ROOT, Odd, issuer
from .lab import Seen, observed

__all__ = ["PROGRAMS", "Result", "compared", "disagreements"]

PROGRAMS = {
    "server": ("python", "nginx"),
    "client": ("python", "curl"),
    "client-trust": ("python", "curl"),
    "server-trust": ("python", "nginx"),
}
"""Role → who can have it."""


@dataclass(frozen=True)
class Result:
    """What everybody said, and a line for each disagreement."""

    bare: dict[Question, str]
    lab: dict[Question, Seen]
    odd: dict[Question, Odd]
    lines: tuple[str, ...]


def disagreements(directory: Path, names: Sequence[str], nginx: Overrides) -> Result:
    """Make the files, ask everybody, compare.

    Args:
        directory: to work in.
        names: of :data:`tests.own_files.files.ODD`.
        nginx: how the lab runs it.
    """
    mine = issuer(directory)
    odd: dict[Question, Odd] = {}
    for name in names:
        for role, programs in PROGRAMS.items():
            made = ODD[name](mine, ROOT if role.endswith("trust") else role)
            odd |= {Question(role, program, name): made for program in programs}
    bare = answers(mine, odd)
    lab = observed(mine, odd, bare, nginx)
    return Result(bare, lab, odd, tuple(_lines(bare, lab, odd)))


def compared(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The bare programs' answers, and the disagreements; in a directory of its own, with nginx as a process."""
    with tempfile.TemporaryDirectory(prefix="own-files-") as directory:
        result = disagreements(Path(directory), names, Overrides(runtime=Runtime.PROCESS))
    return list(result.bare.values()), result.lines


def _lines(bare: dict[Question, str], lab: dict[Question, Seen], odd: dict[Question, Odd]) -> Iterator[str]:
    for question, answer in bare.items():
        seen = lab[question]
        where = f"{question.name}: {question.program}, {question.role}"
        if seen.answer != answer:
            yield f"{where}: bare {answer}, lab {seen.answer} ({seen.told})"
        elif answer == "unusable" and not any(name in seen.told for name in odd[question].names):
            yield f"{where}: no file is named ({seen.told})"
