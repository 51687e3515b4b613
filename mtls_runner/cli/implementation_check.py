"""``mtls-run implementation check``: the catalogue of faults, and what it lacks, on one implementation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from mtls_runner.cli.one_file import live_progress
from mtls_runner.cli.program import ExitCode
from mtls_runner.conformance.proof import Proof, proofs_of, sayable, unseen_of
from mtls_runner.model.case import Plan
from mtls_runner.model.implementation import Implementation
from mtls_runner.tls.dialects import FACTS, SEEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mtls_runner.model.port import Report

__all__ = ["prove"]

_PROOFS = 3
"""Implementations, as servers or clients, that are proved at the same time."""


class _Course:
    """How far all proofs are; whether they go on, and what a terminal shows meanwhile.

    Args:
        live: takes what a terminal shows; ``None``: there is none, and a line is written for each proof that ends.
        total: how many there are.
    """

    def __init__(self, live: Report | None, total: int) -> None:
        self._live = live
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self.stopped = threading.Event()

    def goes_on(self, proof: Proof) -> None:
        """A case of it was run."""
        if self._live is not None:
            self._live(proof.so_far(), self._done, self._total)

    def ended(self, proof: Proof) -> None:
        """There is nothing more to prove, but what its dialect lacks."""
        with self._lock:
            self._done += 1
            if self._live is None and not self.stopped.is_set():
                click.echo(f"{self._done}/{self._total}  {proof.so_far()}", err=True)
        self.goes_on(proof)


def prove(implementations: Sequence[Implementation], tree: Path, *, dialects: bool, everything: bool) -> ExitCode:
    """Run what proves them; the exit code is 1 where something was not seen, not proved, or broke.

    Args:
        implementations: which.
        tree: a path, whose tree has those that come with no package.
        dialects: whether each pattern of their dialects has to be seen by one of them, too.
        everything: the whole catalogue, and not only until everything was seen.
    """
    SEEN.clear()
    FACTS.clear()
    proofs = [proof for implementation in implementations for proof in proofs_of(implementation, tree)]
    spoken = {proof.dialect.name: proof.dialect for proof in proofs} if dialects else {}

    def proved(proof: Proof) -> None:
        proof.run_enough(course, everything=everything)
        course.ended(proof)

    with live_progress() as live, ThreadPoolExecutor(_PROOFS, "mtls-run-proof") as executor:
        course = _Course(live, len(proofs))
        try:
            for _ in executor.map(proved, proofs):
                pass
            # By turns: where the dialect does not say who says it, nobody knows who can be brought to.
            speaking = [(proof, proof.more()) for proof in proofs if not proof.stuck] if dialects else []
            while speaking := [(proof, more) for proof, more in speaking if sayable(proof)]:
                turns = executor.map(lambda one: _turn(one[0], one[1], course), speaking)
                speaking = [one for one, ran in zip(speaking, turns, strict=True) if ran]
        finally:
            course.stopped.set()
    for proof in proofs:
        click.echo(f"{proof.name}:")
        click.echo("\n".join(proof.lines()))
    for dialect in spoken.values():
        unseen = unseen_of(dialect)
        click.echo(f"dialect {dialect.name}: {len(unseen)} unseen patterns of {len(dialect.lines)}")
        for pattern in unseen:
            click.echo(f"  unseen pattern: {pattern.match}  {pattern.place}")
    whole = all(proof.whole() for proof in proofs) and not any(map(unseen_of, spoken.values()))
    return ExitCode.OK if whole else ExitCode.FAILED


def _turn(proof: Proof, more: Iterator[Plan], course: _Course) -> bool:
    """Whether there was a plan to run."""
    plan = next((plan for plan in more if plan.cases), None)
    if plan is not None:
        proof.run(plan, course)
    return plan is not None
