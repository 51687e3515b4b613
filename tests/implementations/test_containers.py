"""Declared servers in containers: the lab's configuration there, and configurations of people's own, as they are."""

import os
from pathlib import Path

import pytest

from mtls_runner import Overrides, Status
from mtls_runner.model.traits import Runtime

from ..container_engine import absent, not_here
from ..verdicts import verdicts_of

ROOT = Path(__file__).parents[2]
IMAGES = {name: f"mtls-run/{name}" for name in ("apache", "envoy", "haproxy")}


@pytest.fixture(params=IMAGES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    image = os.environ.get(f"MTLS_RUN_IMAGE_{name.upper()}", IMAGES[name])
    why = absent(image)
    if why is not None:
        not_here(why)
    monkeypatch.setenv(f"MTLS_RUN_IMAGE_{name.upper()}", image)
    return name


def _verdicts(path: Path, overrides: Overrides) -> list[tuple[str, Status, str]]:
    return [(one.case.name, one.status, one.error or str(one.mismatches)) for one in verdicts_of(path, overrides)]


def test_the_lab_s_configuration(name: str) -> None:
    wanted = Overrides(backend=name, runtime=Runtime.CONTAINER, tool="python")
    found = _verdicts(ROOT / "scenarios" / "wrong-certificates.yaml", wanted)
    assert [one for one in found if one[1] is not Status.PASS] == []
    assert len(found) > 20


def test_an_own_configuration(name: str) -> None:
    found = _verdicts(ROOT / "scenarios" / name / "own.yaml", Overrides())
    assert [one for one in found if one[1] is not Status.PASS] == []
    assert len(found) > 15


def test_an_own_configuration_that_lets_too_many_in_is_found_out(name: str, tmp_path: Path) -> None:
    """The scenario's twin: without the rule, the case that it is for fails."""
    for file in (ROOT / "scenarios" / name).iterdir():
        text = file.read_text()
        (tmp_path / file.name).write_text(text.replace("/admin", "/elsewhere") if file.name != "own.yaml" else text)
    found = _verdicts(tmp_path / "own.yaml", Overrides())
    wrong = [case for case, status, _ in found if status is Status.FAIL]
    assert [case.partition(" no operator")[1] for case in wrong] == [" no operator"] * 2


@pytest.mark.parametrize("name", ["apache", "haproxy"], indirect=True)
def test_variables_that_it_reads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it listens and whom it trusts, as an environment has it; without that it does not start."""
    for file in (ROOT / "scenarios" / name).iterdir():
        text = file.read_text()
        if file.name != "own.yaml":
            text = text.replace("bind :443", 'bind ":${LAB_PORT}"').replace("443\n", "${LAB_PORT}\n")
            text = text.replace("ca-file /etc/haproxy/clients.crt", 'ca-file "$LAB_TRUST"')
            text = text.replace("CertificateFile /etc/apache2/tls/clients.crt", "CertificateFile ${LAB_TRUST}")
        (tmp_path / file.name).write_text(text)
    trust = "/etc/haproxy/clients.crt" if name == "haproxy" else "/etc/apache2/tls/clients.crt"
    monkeypatch.setenv("LAB_PORT", "443")
    monkeypatch.setenv("LAB_TRUST", trust)
    wanted = Overrides(tool="python")
    assert {status for _, status, _ in _verdicts(tmp_path / "own.yaml", wanted)} == {Status.PASS}
    monkeypatch.delenv("LAB_TRUST")
    assert {status for _, status, _ in _verdicts(tmp_path / "own.yaml", wanted)} == {Status.ERROR}


def test_a_program_that_is_not_in_the_image_is_no_server_that_does_not_start(name: str, tmp_path: Path) -> None:
    other = IMAGES["apache" if name != "apache" else "haproxy"]
    (tmp_path / "scenario.yaml").write_text(
        "name: other image\nca: {}\nleaves: {server: {}}\n"
        "servers: {server: {certificate: server, trust: [ca], expect: {starts: false}}}\n"
    )
    found = _verdicts(tmp_path / "scenario.yaml", Overrides(backend=name, runtime=Runtime.CONTAINER, image=other))
    assert [(status, f"image {other} can't run" in error) for _, status, error in found] == [(Status.ERROR, True)]
