"""A client whose files are replaced: by what the server sees of it, with a client that lives on and one that does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import LAB, Run

_TEXT = Path(__file__).parents[2].joinpath("scenarios/connections/renewal.yaml")
_RENEWED = (
    LAB
    + """\
cases:
  - name: one
    client: {certificate: client}
    steps:
      - {name: before, expect: {outcome: accepted, client_subject: CN=client}}
      - {renew: revoked}
      - {name: after, expect: {outcome: accepted, client_subject: CN=client}}
      - {restart: true}
      - {name: anew, expect: {outcome: accepted, client_subject: CN=revoked}}
      - {name: the connection of before, reuse: before, expect: {no-connection: closed}}
  - {name: everybody else has what they had, client: client, expect: {outcome: accepted, client_subject: CN=client}}
"""
)


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_the_scenario(run: Run, tool: str) -> None:
    ran = run(_TEXT.read_text(), "--tool", tool, "-k", "reads or mind")
    assert ran.code == 0, ran.output


def test_who_lives_on_and_who_is_started_anew(run: Run) -> None:
    ran = run(_RENEWED)
    assert ran.code == 0, ran.output
    ran = run(_RENEWED.replace("      - {restart: true}\n", ""))
    assert [mismatch["step"] for mismatch in ran.cases[0]["mismatches"]] == [4]


_OWN = """\
ca: {subject: CN=Root}
authorities: {own: {certificate: mine.crt}}
leaves:
  server: {usage: server, issuer: ca}
  new: {usage: client, issuer: ca}
  mine: {certificate: mine.crt, key: mine.key, issuer: self}
server: {certificate: server, trust: own}
cases:
  - {name: one, client: mine, steps: [{expect: accepted}, {renew: new}, {expect: accepted}]}
"""


def test_own_files_are_left_alone(run: Run, tmp_path: Path) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=mine"
    subprocess.run(f"{command} -keyout mine.key -out mine.crt".split(), cwd=tmp_path, check=True, capture_output=True)
    before = [tmp_path.joinpath(name).read_bytes() for name in ("mine.crt", "mine.key")]
    ran = run(_OWN)
    assert [step["verdict"] for step in ran.case["steps"]] == ["pass", "error", None], ran.output
    assert "a client's own files are not replaced" in ran.output
    assert [tmp_path.joinpath(name).read_bytes() for name in ("mine.crt", "mine.key")] == before


def test_what_can_not_be_renewed(run: Run) -> None:
    for step, message in {
        "{renew: nobody}": "there is no authority or leaf 'nobody'",
        "{restart: false}": "this is nothing to do",
        "{renew: revoked, restart: true}": "a step does one thing",
    }.items():
        ran = run(f"{LAB}cases:\n  - {{name: one, client: client, steps: [{{expect: accepted}}, {step}]}}\n")
        assert ran.code == 2
        assert message in ran.output
    ran = run(
        f"{LAB}cases:\n  - {{name: one, steps: [{{expect: {{server-refused: no-certificate}}}}, {{renew: client}}]}}\n"
    )
    assert "the case's client has no certificate" in ran.output


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_the_hint_is_about_the_certificate_that_was_presented(run: Run, tool: str) -> None:
    leaves = LAB.replace("crls:", "  stale: {usage: client, not_after: -1d}\ncrls:")
    steps = "[{expect: accepted}, {renew: stale}, {restart: true}, {expect: {server-refused: expired}}]"
    ran = run(f"{leaves}cases:\n  - {{name: one, client: client, steps: {steps}}}\n", "--tool", tool)
    assert ran.code == 0, ran.output
    assert ran.case["steps"][3]["observed"]["hint"].startswith("The certificate `stale` expired ")
