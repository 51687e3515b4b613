"""What docs/tutorial.md shows is what happens."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from .__main__ import ENGINE_STEP, PAGE, ROOT, filled, without_figures

PAGE_TEXT = PAGE.read_text()
SECTIONS = re.split(r"(?m)^(?=## )", PAGE_TEXT)
BY_HAND = next(section for section in SECTIONS if section.startswith("## 13. By hand"))
STEPS = [
    section
    for section in SECTIONS
    if re.match(r"## \d", section) and not section.startswith(ENGINE_STEP) and section is not BY_HAND
]
FILES = sorted((ROOT / "docs/tutorial").glob("*.yaml"))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: str(step).partition("\n")[0])
def test_a_step_is_what_running_it_prints(step: str) -> None:
    assert "\n$ mtls-run " in step
    assert filled(step) == step


@pytest.mark.usefixtures("nginx_engine")
def test_the_step_on_nginx_too() -> None:
    (step,) = (section for section in SECTIONS if section.startswith(ENGINE_STEP))
    assert filled(step) == step


def test_a_page_that_shows_something_else_is_found_out() -> None:
    step = STEPS[0]
    for wrong in (step.replace("accepted, status 200", "accepted, status 201"), step.replace("hello", "bye")):
        assert wrong != step
        assert filled(wrong) != wrong
        assert without_figures(filled(wrong)) == without_figures(step)


def test_only_figures_do_not_count() -> None:
    one = "1 passed of 1 case in 0.20 s\npython 3.11.7, python ssl 3.0.19\n      > Finished (52 bytes)\n"
    other = "1 passed of 1 case in 11.30 s\npython 3.14.0rc1, python ssl 3.5.1\n      > Finished (68 bytes)\n"
    assert without_figures(one) == without_figures(other)
    assert without_figures(one) != without_figures(one.replace("1 passed", "2 passed"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_lab_is_on_the_page(path: Path) -> None:
    assert f"<!-- file: tutorial/{path.name} -->" in PAGE_TEXT
    assert f"docs/tutorial/{path.name}" in PAGE_TEXT


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", PAGE_TEXT))))
def test_links_lead_somewhere(target: str) -> None:
    assert (PAGE.parent / target).exists()


def test_the_lab_by_hand_does_what_the_scenario_says(tmp_path: Path) -> None:
    """The lines as a person types them; nothing of this project takes part."""
    make, serve, connect, _ = re.findall(r"```sh\n(.*?)```", BY_HAND, re.DOTALL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    subprocess.run(["sh", "-ec", make], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    command = shlex.split(serve.replace("8443", port))
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert any(line.startswith("ACCEPT") for line in server.stdout)
            nobody, alice = (
                subprocess.run(
                    [*shlex.split(line.replace("8443", port)), "--silent", "--show-error", "--max-time", "20"],
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                for line in connect.splitlines()
            )
        finally:
            server.kill()
    assert nobody.returncode != 0
    assert "certificate required" in nobody.stderr or "unknown (628)" in nobody.stderr, nobody.stderr
    assert alice.returncode == 0, alice.stderr
    assert "s_server" in alice.stdout
    (block,) = re.findall(r"```nginx\n(.*?)```", BY_HAND, re.DOTALL)
    (tmp_path / "nginx.conf").write_text(
        f"pid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{block}}}\n"
    )
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        assert not os.environ.get("CI"), "no nginx"
        pytest.skip("no nginx is installed to read the block")
    done = subprocess.run(
        [nginx, "-t", "-p", tmp_path, "-c", "nginx.conf"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_table_by_hand_names_what_stands_above_it() -> None:
    above, _, table = BY_HAND.partition("| in the scenario |")
    for words in re.findall(r"`(?:s_server|curl) ([^`]*)`", table):
        assert all(word in above for word in words.split()), words
    assert all(directive in above for directive in re.findall(r"`(ssl_[a-z_]+)", table))
