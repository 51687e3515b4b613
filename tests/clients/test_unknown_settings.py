"""What a client is told to offer, and its TLS library does not know: there is no connection, and nobody says that there was."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner import CaseFinished, Status, Verdict, load, run
from mtls_runner.model.observation import Outcome, Reason

SCENARIO = """\
ca: {}
leaves: {server: {}, me: {usage: client}}
server: {}
cases:
  - {name: it, client: {certificate: me, tool: TOOL, SETTING}, expect: accepted}
"""


def verdict(directory: Path, tool: str, setting: str) -> Verdict:
    path = directory / "scenario.yaml"
    path.write_text(SCENARIO.replace("TOOL", tool).replace("SETTING", setting))
    (found,) = [event.verdict for event in run([load(path)]) if isinstance(event, CaseFinished)]
    return found


@pytest.mark.parametrize("tool", ["python", "curl"])
@pytest.mark.parametrize(("setting", "reason"), [("groups: P-999", Reason.GROUP), ("ciphers: NOPE", Reason.CIPHER)])
def test_it_agrees_with_nobody(tmp_path: Path, tool: str, setting: str, reason: Reason) -> None:
    seen = verdict(tmp_path, tool, setting).observation
    assert seen is not None
    assert (seen.outcome, list(seen.reasons)) == (Outcome.NO_AGREEMENT, [reason])


@pytest.mark.parametrize("tool", ["python", "curl", "s_client"])
def test_what_it_knows_is_offered(tmp_path: Path, tool: str) -> None:
    assert verdict(tmp_path, tool, "groups: P-256").status is Status.PASS


def test_who_ends_before_it_connects_has_not_found_that_nothing_listens(tmp_path: Path) -> None:
    found = verdict(tmp_path, "s_client", "groups: P-999")
    assert found.status is Status.ERROR
    assert found.observation is not None
    assert found.observation.outcome is None
    assert "cannot be set" in " ".join(found.observation.evidence)
    nothing = verdict(tmp_path, "s_client", "connect: 127.0.0.1:9").observation
    assert nothing is not None
    assert (nothing.outcome, list(nothing.reasons)) == (Outcome.NO_CONNECTION, [Reason.REFUSED])
