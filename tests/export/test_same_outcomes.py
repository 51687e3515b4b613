"""The exported script of every scenario sees what the lab sees, or says why these tools can't."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mtls_runner.conformance.catalogue import scenario_files
from mtls_runner.errors import UsageError
from mtls_runner.export.script import export
from mtls_runner.language import Overrides, load
from mtls_runner.model.case import Plan
from mtls_runner.model.observation import Observation, Outcome, Reason
from mtls_runner.model.verdict import Status, Verdict

from ..container_engine import IMAGE
from ..once import Answers
from .script import Line, run

_ROOT = Path(__file__).parents[2]
#: Those whose servers are nginx of their own accord, and the others, which are openssl s_server then.
_NGINX = sorted(file for file in (_ROOT / "scenarios/nginx").rglob("*.yaml"))
_ARTICLE = _ROOT / "scenarios/article/article.yaml"
_OTHERS = sorted(file for file in (_ROOT / "scenarios").glob("*.yaml") if file.name != "lab.yaml")
#: The catalogue of faults takes minutes this way; ``MTLS_RUN_EXPORT_CATALOGUE=1`` runs it, too.
_CATALOGUE = scenario_files() if os.environ.get("MTLS_RUN_EXPORT_CATALOGUE") else ()
_WITH_REASON = (Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED)

pytestmark = pytest.mark.timeout(600)


def _visible(observation: Observation) -> str:
    """As the script can see it: it can't tell a certificate that was withheld from none, nor why material is unusable."""
    outcome, reason = observation.outcome, observation.reason
    if outcome is Outcome.SERVER_STARTED:
        return "the server started"
    if outcome is Outcome.SERVER_UNUSABLE:
        return "the server did not start"
    if reason is Reason.CERTIFICATE_WITHHELD:
        reason = Reason.NO_CERTIFICATE
    return f"{outcome}: {reason}" if outcome in _WITH_REASON else str(outcome)


def _differences(plan: Plan, verdicts: Mapping[str, Verdict], seen: dict[str, Line]) -> list[str]:
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
        script = (line.outcome, line.exit, line.status)
        if case.client is None:
            told, script = (told[0], None, 0), (script[0], -1, -1)
        if told[0] != script[0] or (case.client is not None and told != script):
            found.append(f"{case.id}: lab {told}, script {script}")
    return found


def _in_one_version(plan: Plan) -> Plan:
    """Each case once, over the last TLS version that it is for: nginx refuses by HTTP in all of them."""
    cases = {re.sub(r"client\.tls=[^,\]]*", "", case.name): case for case in plan.cases}
    return replace(plan, cases=tuple(cases.values()))


def _agree(plan: Plan, tmp_path: Path, answers: Mapping[str, Verdict]) -> None:
    try:
        exported = export(plan, tmp_path / "exported")
    except UsageError as error:
        assert "nothing of it can be exported" in str(error)  # noqa: PT017 - it names the reason, tested below
        pytest.skip(str(error))
    result = run(exported.script, tmp_path / "temporary")
    assert result.code == 0, result.text
    assert tuple(result.cases) == exported.names
    told = {name for _, names in exported.left_out for name in names}
    assert {case.name for case in plan.cases} == told | {name.partition(" (1 of ")[0] for name in exported.names}
    for name in told:
        assert name in exported.script.read_text()
    assert _differences(plan, answers, dict(result.cases)) == []


@pytest.mark.parametrize(
    "file", [*_OTHERS, _ROOT / "scenarios/nginx/crl.yaml", *_CATALOGUE], ids=lambda file: file.stem
)
def test_as_openssl_s_server(file: Path, tmp_path: Path, answers: Answers) -> None:
    plan = load(file, Overrides(backend="python", tool="curl"))
    _agree(plan, tmp_path, answers(file, "python", "curl"))


@pytest.mark.usefixtures("nginx_engine")
@pytest.mark.parametrize("file", [*_NGINX, _ARTICLE, _OTHERS[-1]], ids=lambda file: file.stem)
def test_as_nginx(file: Path, tmp_path: Path, answers: Answers) -> None:
    plan = _in_one_version(load(file, Overrides(backend="nginx", tool="curl", image=IMAGE)))
    _agree(plan, tmp_path, answers(file, "nginx", "curl"))
