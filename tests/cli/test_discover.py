from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtls_runner.cli import main
from mtls_runner.cli.choose import Target, discover
from mtls_runner.errors import UsageError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.yaml", "a.yml", "lab.yaml", "notes.txt", "deep/c.yaml", "deep/lab.yml", ".git/d.yaml", ".e.yaml"):
        path = tmp_path / "labs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    os.mkfifo(tmp_path / "labs" / "nobody-writes.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("tree")
def test_a_directory_means_its_scenarios_and_those_below() -> None:
    assert [str(target.path) for target in discover(["labs"])] == ["labs/a.yml", "labs/b.yaml", "labs/deep/c.yaml"]


def test_paths_stay_as_typed(tree: Path) -> None:
    assert discover([str(tree / "labs" / "b.yaml")]) == [Target(tree / "labs" / "b.yaml")]
    assert discover(["labs/b.yaml"]) == [Target(Path("labs/b.yaml"))]


@pytest.mark.usefixtures("tree")
def test_a_file_is_taken_once_however_often_it_is_named() -> None:
    assert [target.path for target in discover(["labs/b.yaml", "labs/../labs/b.yaml", "labs/deep", "labs/deep"])] == [
        Path("labs/b.yaml"),
        Path("labs/deep/c.yaml"),
    ]


@pytest.mark.usefixtures("tree")
def test_ids_of_one_file_are_gathered_and_a_whole_file_wins() -> None:
    assert discover(["labs/b.yaml::one", "labs/b.yaml::two"]) == [Target(Path("labs/b.yaml"), ("one", "two"))]
    assert discover(["labs/b.yaml::one", "labs/b.yaml"]) == [Target(Path("labs/b.yaml"))]
    assert discover(["labs/b.yaml", "labs/b.yaml::one"]) == [Target(Path("labs/b.yaml"))]


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("typed", "suggestion"),
    [
        ("labs/bb.yaml", "labs/b.yaml"),
        ("lab", "labs"),
        ("confg", "config"),
        ("labs/deep/cc.yaml", "labs/deep/c.yaml"),
    ],
)
def test_a_mistyped_path_is_told_with_what_may_be_meant(typed: str, suggestion: str) -> None:
    with pytest.raises(UsageError) as caught:
        discover([typed])
    assert str(caught.value) == f"no such file or directory: {typed}; did you mean {suggestion!r}?"


@pytest.mark.usefixtures("tree")
def test_nothing_close_suggests_nothing() -> None:
    with pytest.raises(UsageError) as caught:
        discover(["quite/elsewhere.yaml"])
    assert str(caught.value) == "no such file or directory: quite/elsewhere.yaml"


def test_a_link_that_leads_nowhere_is_told_as_one(tree: Path) -> None:
    for name, target in (("loop.yaml", "loop.yaml"), ("gone.yaml", "labs/gone.yaml")):
        (tree / name).symlink_to(target)
        with pytest.raises(UsageError) as caught:
            discover([name])
        assert str(caught.value) == f"{name} is a link that leads nowhere: {target}"
    (tree / "gone.yaml").rename(tree / "there.yaml")
    (tree / "labs" / "gone.yaml").write_text("")
    assert discover(["there.yaml"]) == [Target(Path("there.yaml"))]


def test_a_directory_without_scenarios_is_an_error(tree: Path) -> None:
    (tree / "empty").mkdir()
    (tree / "empty" / "lab.yaml").write_text("")
    with pytest.raises(UsageError, match="no scenarios in empty"):
        discover(["empty"])


ENVOY = "static_resources: {listeners: []}\n"


@pytest.mark.parametrize(
    "named",
    [
        "server: {backend: envoy, config: edge.yaml}",
        "servers: {edge: {backend: envoy, config: 'edge.yaml'}}",
        "server: {backend: envoy, config: edge.conf, files: {/etc/envoy/edge.yaml: {file: ./edge.yaml}}}",
        "server: {backend: envoy}\nmatrix: {server.config: [edge.conf, edge.yaml]}",
    ],
)
def test_a_servers_own_configuration_is_no_scenario_of_a_directory(tmp_path: Path, named: str) -> None:
    (tmp_path / "edge.yaml").write_text(ENVOY)
    own = tmp_path / "own.yaml"
    own.write_text(f"{named}\ncases: []\n")
    assert [target.path for target in discover([str(tmp_path)])] == [own]
    assert discover([str(tmp_path / "edge.yaml")]) == [Target(tmp_path / "edge.yaml")], "typed, it is what was meant"


@pytest.mark.parametrize(
    "beside",
    [
        "server: {backend: envoy, config: other.yaml}\ncases: []\n",  # another
        "server: {backend: envoy, config: edge.conf}\ncases: []\ndescription: not edge.yaml\n",
        "config: edge.yaml\n",  # no scenario
        "server: {config: edge.yaml\ncases: []\n",  # can't be read
    ],
)
def test_what_no_scenario_names_stays_one_with_its_mistakes(
    tmp_path: Path, beside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "edge.yaml").write_text("ca: {subject: CN=CA}\ncasse: []\n")
    (tmp_path / "own.yaml").write_text(beside)
    assert [target.path.name for target in discover([str(tmp_path)])] == ["edge.yaml", "own.yaml"]
    assert main(["run", str(tmp_path)]) == 2
    assert "there is no key 'casse'" in capsys.readouterr().err
