"""What can't be written under ``steps:``, each said at its place."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from mtls_runner import ScenarioError, load

from .conftest import LAB

CASE = (
    LAB
    + """\
cases:
  - name: steps
    client: client
    steps:
      - {name: first, expect: accepted}
      - STEP
"""
)


def loaded(directory: Path, text: str) -> None:
    path = directory / "steps.yaml"
    path.write_text(text)
    load(path)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{connect: {tls: TLSv1.2}}", "'expect' is missing"),
        ("{wait: 1, reload: true}", "a step does one thing"),
        ("{replace: {crl: after}, expect: accepted}", "only connections are expected to end in some way"),
        ("{replace: {backend: nginx}}", "'backend' can't be replaced while the server runs"),
        ("{replace: {crl: afetr}}", "there is no CRL or authority 'afetr'"),
        ("{replace: {certificate: rewened}}", "there is no authority or leaf 'rewened'"),
        ("{connect: strange, expect: accepted}", "there is no authority or leaf 'strange'"),
        ("{resume: second, expect: accepted}", "no connection before this one has that name"),
        ("{resume: false, expect: accepted}", "this is no earlier step"),
        ("{reuse: second, expect: accepted}", "no connection before this one has that name"),
        ("{reuse: first, resume: first, expect: accepted}", "a connection that lives on resumes no session"),
        (
            "{reuse: first, connect: {server_name: other}, expect: accepted}",
            "lives on with the settings that it was made with",
        ),
        ("{reuse: first}", "'expect' is missing"),
        (
            "{resume: true, connect: {tls: TLSv1.2}, expect: accepted}",
            "a session is resumed with the settings that it was made with: tls",
        ),
        ("{resume: true, connect: {certificate: revoked}, expect: accepted}", "would differ"),
        ("{wait: 0}", "this is nothing to wait for"),
        ("{wait: {expired: nobody}}", "there is no authority or leaf 'nobody'"),
        ("{reload: {status: 200}}", "there is no key 'status' here"),
        ("{expect: {server-refused: cipher}}", "cipher can't be the reason"),
    ],
)
def test_mistakes(tmp_path: Path, step: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        loaded(tmp_path, CASE.replace("STEP", step))
    found = [one for one in caught.value.diagnostics if message in one.message]
    assert found, caught.value
    line = next(number for number, text in enumerate(CASE.splitlines(), 1) if "STEP" in text)
    assert found[0].span is not None
    assert found[0].span.line == line


@pytest.mark.parametrize(
    "step",
    [
        "reload",
        "{reload: true}",
        "{wait: 0.5}",
        "{wait: {expired: client}}",
        "{replace: {crl: after}}",
        "{resume: first, expect: accepted}",
        "{resume: true, connect: {server_name: localhost, request: {path: /other}}, expect: accepted}",
        "{connect: revoked, expect: accepted}",
        "{reuse: true, connect: {request: {path: /other}, repeat: 3}, expect: accepted}",
    ],
)
def test_what_can_be_written(tmp_path: Path, step: str) -> None:
    loaded(tmp_path, CASE.replace("STEP", step))


def test_steps_or_an_expectation(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="exclude each other"):
        loaded(
            tmp_path,
            CASE.replace("    client: client\n", "    client: client\n    expect: accepted\n").replace(
                "STEP", "reload"
            ),
        )
    with pytest.raises(ScenarioError, match="'expect' is missing"):
        loaded(tmp_path, LAB + "cases: [{name: nothing, client: client}]\n")
    with pytest.raises(ScenarioError, match="there are no steps"):
        loaded(tmp_path, LAB + "cases: [{name: nothing, client: client, steps: []}]\n")
    with pytest.raises(ScenarioError, match="no connection before this one to resume"):
        loaded(tmp_path, LAB + "cases: [{name: nothing, client: client, steps: [{resume: true, expect: accepted}]}]\n")


@pytest.mark.parametrize(
    ("request_", "fault"), [("{limit_rate: 4}", True), ("{method: POST, body: x, limit_rate: 4}", False)]
)
def test_a_rate_is_of_a_body(tmp_path: Path, request_: str, fault: bool) -> None:
    text = LAB + f"cases: [{{name: slow, client: {{certificate: client, request: {request_}}}, expect: accepted}}]\n"
    with pytest.raises(ScenarioError, match="no body that could be sent at that rate") if fault else nullcontext():
        loaded(tmp_path, text)
