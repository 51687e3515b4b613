"""lab.yaml: where it is looked for, what it gives, and which value came from where."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.errors import ScenarioError
from mtls_runner.language import Overrides, load
from mtls_runner.language.glance import find_lab
from mtls_runner.language.settings import settings_for
from mtls_runner.language.tree import tree_settings
from mtls_runner.model.certificate import KeyAlgorithm
from mtls_runner.model.endpoint import TlsVersion
from tests.language.conftest import MINIMAL, Broken, Load, summary

LAB = """\
defaults:
  server: {backend: nginx, tls: TLSv1.3, response: {body: from lab}}
  client: {tool: curl, timeout: 3}
  certificate: {key: ed25519, days: 7}
engine: {image: lab/image, pids: 99}
jobs: 4
artifacts: kept
authorities:
  corp: {subject: CN=Corp}
  spare: {}
leaves:
  monitor: {issuer: corp, usage: client, passphrase: {file: pw}}
  server: {issuer: corp, subject: CN=of the lab}
"""


@pytest.fixture
def lab(load_text: Load, tmp_path: Path) -> Load:
    (tmp_path / "lab.yaml").write_text(LAB)
    (tmp_path / "pw").write_text("secret\n")
    return load_text


def test_defaults_are_overridden_by_the_scenario_and_both_by_the_command_line(lab: Load) -> None:
    (case,) = lab(MINIMAL).cases
    assert case.client is not None
    assert (case.server.backend.name, case.server.tls, case.server.responses[0].body) == (
        "nginx",
        (TlsVersion.V1_3,),
        b"from lab",
    )
    assert (case.client.tool.name, case.client.timeout) == ("curl", 3.0)
    assert (case.server.option("image"), case.server.option("pids")) == ("lab/image", "99")
    text = MINIMAL.replace("{certificate: server}", "{backend: python, image: my/image}").replace(
        "client: client\n", "client: {certificate: client, timeout: 4}\n"
    )
    (case,) = lab(text).cases
    assert case.client is not None
    assert (case.server.backend.name, case.server.option("image"), case.server.tls) == (
        "python",
        "",
        (TlsVersion.V1_3,),
    )
    assert (case.client.tool.name, case.client.timeout) == ("curl", 4.0)
    (case,) = lab(text, Overrides(backend="nginx", tool="python", image="x/y")).cases
    assert case.client is not None
    assert (case.server.backend.name, case.client.tool.name, case.server.option("image")) == ("nginx", "python", "x/y")


def test_certificates_start_from_the_lab_s_defaults(lab: Load) -> None:
    certificates = lab(MINIMAL.replace("{usage: client}", "{key: ec-p384}")).certificates
    assert certificates["ca"].key.algorithm is KeyAlgorithm.ED25519
    assert certificates["client"].key.algorithm is KeyAlgorithm.EC_P384
    assert (certificates["client"].not_after.offset - certificates["client"].not_before.offset).days == 7


def test_shared_descriptions_come_in_when_they_are_named(lab: Load) -> None:
    assert set(lab(MINIMAL).certificates) == {"ca", "server", "client"}
    assert lab(MINIMAL).certificates["server"].subject == "CN=server"  # the scenario's own id counts
    text = MINIMAL.replace("client: client\n", "client: monitor\n").replace("{usage: client}", "{like: monitor}")
    plan = lab(text.replace("{certificate: server}", "{trust: [corp]}"))
    assert list(plan.certificates) == ["ca", "server", "corp", "client", "monitor"]
    assert plan.certificates["monitor"].issuer == plan.certificates["client"].issuer == "corp"
    assert plan.certificates["monitor"].passphrase is not None
    assert plan.cases[0].client == plan.cases[0].client
    assert "spare" not in plan.certificates


def test_the_nearest_one_up_to_the_repository_counts(tmp_path: Path) -> None:
    inner = tmp_path / "repository" / "scenarios" / "deep"
    inner.mkdir(parents=True)
    scenario = inner / "x.yaml"
    (tmp_path / "lab.yaml").touch()
    (tmp_path / "repository" / ".git").mkdir()
    assert find_lab(scenario) is None  # the one above the repository is not its own
    (tmp_path / "repository" / "lab.yaml").touch()
    assert find_lab(scenario) == tmp_path / "repository" / "lab.yaml"
    (inner.parent / "lab.yaml").touch()
    assert find_lab(scenario) == inner.parent / "lab.yaml"


def test_another_file_system_is_a_boundary() -> None:
    assert find_lab(Path("/proc/self/x.yaml")) is None


def test_its_mistakes_are_said_with_its_own_name(broken: Broken, tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("defaults: {client: {certificate: x}}\nimage: x\n")
    found = broken(MINIMAL.replace("accepted", "acepted"))
    assert [str(one.span) for one in found] == ["lab.yaml:1:21", "lab.yaml:2:1", "scenario.yaml:9:13"]
    assert summary(found)[0] == "1:21 there is no key 'certificate' here"
    assert found[0].expected == "'certificate' in the scenario itself: what names ids or files is no default"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("defaults: {certificate: {key: rsa}}\n", "1:31 a default key is an algorithm"),
        ("defaults: {certificate: {key: {same_as: ca}}}\n", "1:31 a default key is an algorithm"),
        ("jobs:2\n", "1:1 a mapping (key: value) is expected here, not text"),
    ],
)
def test_what_would_set_nothing_is_a_mistake(broken: Broken, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "lab.yaml").write_text(text)
    assert summary(broken(MINIMAL)) == [told]


def test_a_changed_lab_yaml_is_read_again(lab: Load, tmp_path: Path) -> None:
    assert lab(MINIMAL).cases[0].server.backend.name == "nginx"
    (tmp_path / "lab.yaml").write_text("defaults: {server: {backend: python}}\n")
    assert lab(MINIMAL).cases[0].server.backend.name == "python"


def test_the_command_line_s_part(lab: Load, tmp_path: Path) -> None:
    lab(MINIMAL)
    settings = tree_settings(Path("scenario.yaml"))
    assert (settings.jobs, settings.artifacts) == (4, tmp_path / "kept")
    (tmp_path / "lab.yaml").unlink()
    settings = tree_settings(Path("scenario.yaml"))
    assert (settings.jobs, settings.artifacts) == (None, None)


def test_every_setting_has_an_origin(lab: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    lab(MINIMAL.replace("{certificate: server}", "{client_auth: optional}"))
    found = {
        key: (value, origin) for key, value, origin in settings_for(Path("scenario.yaml"), Overrides(tool="python"))
    }
    assert found["server.backend"] == ("nginx", "lab.yaml:2:12")
    assert found["server.client_auth"] == ("optional", "scenario.yaml:5:10")
    assert found["server.security_level"] == ("2", "built in")
    assert found["server.image"] == ("lab/image", "lab.yaml:5:10")
    assert found["client.tool"] == ("python", "--tool")
    assert found["client.timeout"] == ("3", "lab.yaml:3:24")
    assert found["certificate.key"] == ("algorithm: ed25519", "lab.yaml:4:17")
    assert found["jobs"] == ("4", "lab.yaml:6:1")
    monkeypatch.setenv("MTLS_RUN_IMAGE", "e/e")
    found = {key: (value, origin) for key, value, origin in settings_for(Path("scenario.yaml"), Overrides())}
    assert found["server.image"] == ("e/e", "MTLS_RUN_IMAGE")
    assert found["client.tool"] == ("curl", "lab.yaml:3:12")


def test_settings_of_an_invalid_scenario(lab: Load) -> None:
    with pytest.raises(ScenarioError):
        lab("ca: 1\n")
    with pytest.raises(ScenarioError):
        settings_for(Path("scenario.yaml"), Overrides())


def test_the_repository_s_own_lab_yaml_loads() -> None:
    root = Path(__file__).parents[2]
    assert find_lab(root / "scenarios" / "basic.yaml") == root / "lab.yaml"
    assert load(root / "scenarios" / "basic.yaml").warnings == ()


@pytest.mark.parametrize("text", ["", "# jobs: 4\n", "---\n"])
def test_a_lab_yaml_with_nothing_in_it_sets_nothing(load_text: Load, tmp_path: Path, text: str) -> None:
    (tmp_path / "lab.yaml").write_text(text)
    assert load_text(MINIMAL).cases
    assert tree_settings(tmp_path / "lab.yaml").jobs is None
