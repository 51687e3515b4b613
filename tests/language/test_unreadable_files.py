"""Files that a scenario names and that can't be read: a mistake at its place, never a wait."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mtls_runner import ScenarioError, load

LONG = "n" * 300
SCENARIO = "ca: {{}}\nleaves: {{a: {{{leaf}}}}}\n{more}server: {{certificate: a, {server}}}\n"
SCENARIO += "cases: [{{name: x, client: {{certificate: a}}, expect: accepted}}]\n"


def _scenario(directory: Path, leaf: str = "", more: str = "", server: str = "trust: ca") -> Path:
    (directory / "own.conf").write_text("events {}\nhttp {}\n")
    path = directory / "s.yaml"
    path.write_text(SCENARIO.format(leaf=leaf, more=more, server=server))
    return path


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"leaf": "passphrase: {file: pipe}"}, "nothing came out of it for 5 s"),
        ({"leaf": f"passphrase: {{file: {LONG}}}"}, "File name too long"),
        ({"more": "crls: {x: {file: pipe}}\n", "server": "trust: ca, crl: x"}, "not a regular file"),
        ({"more": f"crls: {{x: {{file: {LONG}}}}}\n", "server": "trust: ca, crl: x"}, "File name too long"),
        ({"more": "crls: {x: {file: gone}}\n", "server": "trust: ca, crl: x"}, "there is no such file"),
        ({"server": "backend: nginx, config: pipe"}, "not a regular file"),
        ({"server": f"backend: nginx, config: {LONG}"}, "File name too long"),
        ({"server": "backend: nginx, config: own.conf, files: {/etc/a: {file: pipe}}"}, "not a regular file"),
    ],
)
def test_it_is_said_where_it_is_named(tmp_path: Path, parts: dict[str, str], said: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ScenarioError) as caught:
        load(_scenario(tmp_path, **parts))
    (mistake,) = caught.value.diagnostics
    assert said in mistake.message
    assert mistake.span is not None


def test_a_declaration_that_is_a_link_to_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "implementations" / "mine"
    folder.mkdir(parents=True)
    (folder / "implementation.yaml").symlink_to(tmp_path / "gone")
    for server, said in (("backend: mine", f"{tmp_path}/gone"), ("backend: other", "not a backend")):
        with pytest.raises(ScenarioError) as caught:
            load(_scenario(tmp_path, server=server))
        assert [said in mistake.message for mistake in caught.value.diagnostics] == [True]
    load(_scenario(tmp_path))


def test_a_passphrase_may_come_out_of_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        (tmp_path / "pipe").write_text("opens it\nand more\n")

    writer = threading.Thread(target=write)
    writer.start()
    plan = load(_scenario(tmp_path, "passphrase: {file: pipe}"))
    writer.join(30)
    passphrase = plan.certificates["a"].passphrase
    assert passphrase is not None
    assert passphrase.reveal() == "opens it"
