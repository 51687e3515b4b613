"""What an exported script sees of each case, held against what the lab sees."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from mtls_runner.errors import UsageError
from mtls_runner.export.script import export
from mtls_runner.language import Overrides, load
from mtls_runner.model.case import Plan
from mtls_runner.model.observation import Observation, Outcome, Reason
from mtls_runner.model.verdict import Status, Verdict

from ..container_engine import IMAGE
from .script import Line, run

__all__ = ["NothingToCompare", "script_differences"]

_WITH_REASON = (Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED)


class NothingToCompare(Exception):
    """No case of the plan can be exported; the message says why."""


def _visible(observation: Observation) -> str:
    """As the script can see it: it can't tell a certificate that was withheld from none, nor why material is unusable."""
    outcome, reason = observation.outcome, observation.reason
    if outcome is Outcome.SERVER_STARTED:
        return "the server started"
    if outcome is Outcome.SERVER_UNUSABLE:
        return "the server did not start"
    if reason is Reason.CERTIFICATE_WITHHELD:
        reason = Reason.NO_CERTIFICATE
    reasons = [reason] if reason is not None else observation.reasons
    return _in_order(f"{outcome}: {'|'.join(reasons)}") if outcome in _WITH_REASON else str(outcome)


def _in_order(told: str) -> str:
    """An outcome, and the reasons that the evidence allows in the alphabet's order."""
    outcome, mark, reasons = told.partition(": ")
    return f"{outcome}{mark}{'|'.join(sorted(reasons.split('|')))}"


def _compared(plan: Plan, verdicts: Mapping[str, Verdict], seen: Mapping[str, Line]) -> list[str]:
    """Each case that the script has, held against the lab's verdict."""
    found = []
    # A case that connects several times is one line for each time.
    shown = {name.partition(" (1 of ")[0]: line for name, line in seen.items()}
    for case in plan.cases:
        if case.name not in shown:
            continue
        verdict, line = verdicts[case.id], shown[case.name]
        observation = verdict.observation
        if verdict.status is not Status.PASS or observation is None:
            found.append(f"{case.id}: the lab itself: {verdict.status} {verdict.error or verdict.mismatches}")
            continue
        told = (_visible(observation), observation.curl_exit, observation.status or 0)
        script = (_in_order(line.outcome), line.exit, line.status)
        if case.client is None:
            told, script = (told[0], None, 0), (script[0], -1, -1)
        if told[0] != script[0] or (case.client is not None and told != script):
            found.append(f"{case.id}: lab {told}, script {script}")
    return found


def _in_one_version(plan: Plan) -> Plan:
    """Each case once, over the last TLS version that it is for: nginx refuses by HTTP in all of them."""
    cases = {re.sub(r"client\.tls=[^,\]]*", "", case.name): case for case in plan.cases}
    return replace(plan, cases=tuple(cases.values()))


def _differences(plan: Plan, answers: Mapping[str, Verdict], directory: Path) -> list[str]:
    """Export the plan, run the script, and hold all that it says against the lab's verdicts; empty: they agree.

    Args:
        plan: all cases with curl.
        answers: the lab's, by id.
        directory: an empty one.

    Raises:
        NothingToCompare: see there.
    """
    try:
        exported = export(plan, directory / "exported")
    except UsageError as error:
        if "nothing of it can be exported" not in str(error):
            raise
        raise NothingToCompare(str(error)) from None
    result = run(exported.script, directory / "temporary")
    told = {name for _, names in exported.left_out for name in names}
    shown = {name.partition(" (1 of ")[0] for name in exported.names}
    text = exported.script.read_text()
    found = [f"{plan.path}: exit {result.code}: {result.text}"] if result.code else []
    if tuple(result.cases) != exported.names:
        found.append(f"{plan.path}: cases {tuple(result.cases)}, not {exported.names}")
    if {case.name for case in plan.cases} != told | shown:
        found.append(f"{plan.path}: neither shown nor told: {({case.name for case in plan.cases}) ^ (told | shown)}")
    found += [f"{plan.path}: {name}: the script does not say why it is not there" for name in told if name not in text]
    return found + _compared(plan, answers, result.cases)


def script_differences(file: Path, backend: str, answers: Mapping[str, Verdict]) -> list[str]:
    """A scenario file's exported script, held against the lab's verdicts.

    Args:
        file: the scenario.
        backend: whose place the script's server takes.
        answers: the lab's with curl there, by id.

    Raises:
        NothingToCompare: see there.
    """
    plan = load(file, Overrides(backend=backend, tool="curl", image=IMAGE))
    with tempfile.TemporaryDirectory(prefix="exported-") as directory:
        # nginx refuses by HTTP in all versions of TLS
        return _differences(_in_one_version(plan) if backend == "nginx" else plan, answers, Path(directory))
