"""Servers that break TLS or HTTP, or go on without end: both clients stop in time and say the same, in words of our own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mtls_runner import Status, Verdict

from . import http_behaviours, tls_behaviours
from .s_server import EXCESSIVE, excessive_servers
from .scenario import make_context, visit
from .servers import hostile_servers

BEHAVIOURS = tls_behaviours.BEHAVIOURS | http_behaviours.BEHAVIOURS
EXPECTED = {name: outcome for name, (_, outcome) in BEHAVIOURS.items()} | EXCESSIVE
TIMEOUT = 1.5
SLACK = 20.0
"""Of a machine that does much else; what held no limit went on for 90 s."""
#: Of h11's own sentences, which say nothing to a reader.
INNER = (
    "illegal status",
    "illegal header",
    "can't handle event",
    "Receive buffer",
    "peer unexpectedly",
    "conflicting",
    "_ssl.c",
)
#: What the lab or curl found, whatever else is told.
FINDING = re.compile(
    r"does not begin|status line|head of|chunk|Content-Length|transfer coding|switches|NUL|line without|"
    r"[Hh]eader|HTTP/0\.9|HTTP version|response code|encoding|memory"
)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, int]]:
    directory = tmp_path_factory.mktemp("hostile")
    own = directory / "own"
    own.mkdir()
    behaviours = {name: behave for name, (behave, _) in BEHAVIOURS.items()}
    with (
        hostile_servers(behaviours, make_context(directory), own) as ports,
        excessive_servers(directory) as excessive,
    ):
        yield {**ports, **excessive}


def test_every_ending_has_its_outcome(ports: Mapping[str, int], tmp_path: Path) -> None:
    assert len(EXPECTED) > 180
    python, curl = (visit(tmp_path, ports, EXPECTED, tool, timeout=TIMEOUT, jobs=12) for tool in ("python", "curl"))
    assert {name: told(verdict) for name, verdict in python.items() if not as_expected(verdict, EXPECTED[name])} == {}
    assert {
        name: (told(curl[name]), told(verdict)) for name, verdict in python.items() if told(curl[name]) != told(verdict)
    } == {}
    for verdicts in (python, curl):
        assert {verdict.status for verdict in verdicts.values()} == {Status.PASS}
        assert [name for name, verdict in verdicts.items() if verdict.duration > TIMEOUT + SLACK] == []
        evidence = {name: verdict.observation.evidence for name, verdict in verdicts.items() if verdict.observation}
        assert {name: lines for name, lines in evidence.items() if any(inner in str(lines) for inner in INNER)} == {}
        findings = [str(lines) for name, lines in evidence.items() if EXPECTED[name] == "protocol-error: http"]
        assert [lines for lines in findings if not FINDING.search(lines)] == []


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_the_negative_twin_a_broken_server_is_not_accepted(tool: str, ports: Mapping[str, int], tmp_path: Path) -> None:
    """And one that answers as it should is no protocol error."""
    some = {"a bad MAC": "accepted", "a negative chunk size": "accepted", "trailers": "protocol-error: http"}
    verdicts = visit(tmp_path, {name: ports[name] for name in some}, some, tool, timeout=10)
    assert {name: verdict.status for name, verdict in verdicts.items()} == dict.fromkeys(some, Status.FAIL)


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_the_negative_twin_another_protocol_that_was_offered(
    tool: str, ports: Mapping[str, int], tmp_path: Path
) -> None:
    request = {"headers": {"Connection": "Upgrade", "Upgrade": "h2c"}}
    some = {"an unasked 101": "accepted"}
    (verdict,) = visit(tmp_path, {name: ports[name] for name in some}, some, tool, timeout=10, request=request).values()
    assert verdict.status is Status.PASS, verdict
    assert verdict.observation is not None
    assert verdict.observation.status == 101


def told(verdict: Verdict) -> str:
    """Outcome and the reasons that the evidence allows."""
    seen = verdict.observation
    if seen is None or seen.outcome is None:
        return verdict.error
    return ": ".join([seen.outcome, *filter(None, [", ".join(seen.reasons)])])


def as_expected(verdict: Verdict, expected: str) -> bool:
    outcome, _, reason = expected.partition(": ")
    seen = verdict.observation
    return seen is not None and seen.outcome == outcome and (reason in seen.reasons if reason else not seen.reasons)
