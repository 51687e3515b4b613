"""Scenarios end alike on both backends and with both clients; ``python -m tests.scenarios`` does it with every one."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import Verdict
from mtls_runner.model.observation import Reason

from ..once import Answers
from .same_answer import SCENARIOS, compared

pytestmark = pytest.mark.timeout(600)

#: Each for something of its own: defects, and keys at rest.
SOME = ("basic", "wrong-certificates", "passphrases")
CHOSEN = [path for path in SCENARIOS if path.stem in SOME]


@pytest.mark.parametrize("backend", ["python", "nginx"])
@pytest.mark.parametrize("path", CHOSEN, ids=[path.stem for path in CHOSEN])
def test_outcome_and_reason_are_those_of_the_embedded_ends(
    path: Path, backend: str, answers: Answers, request: pytest.FixtureRequest
) -> None:
    if backend == "nginx":
        request.getfixturevalue("nginx_engine")
    found = compared(path, backend, answers)
    assert found.wrong == ()
    assert found.ran


def test_the_negative_twin_another_reason_is_told(answers: Answers) -> None:
    (path,) = (path for path in CHOSEN if path.stem == "wrong-certificates")

    def changed(path: Path, backend: str, tool: str) -> dict[str, Verdict]:
        found = answers(path, backend, tool)
        if tool == "curl":
            return dict(found)
        return {name: other(verdict) for name, verdict in found.items()}

    def other(verdict: Verdict) -> Verdict:
        seen = verdict.observation
        if seen is None or seen.reason is not Reason.EXPIRED:
            return verdict
        return replace(verdict, observation=replace(seen, reasons=(Reason.OTHER,)))

    wrong = compared(path, "python", changed).wrong
    assert wrong
    assert all("expired" in line and "other" in line for line in wrong)
