"""What README.md shows is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(marker: str) -> str:
    found = re.search(rf"<!-- {marker} -->\n```\w*\n(.*?)```", README, re.DOTALL)
    assert found is not None, marker
    return found[1]


def mtls_run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("mtls-run")), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def without_figures(output: str) -> str:
    output = re.sub(r"\s+\(\d+\.\d s\)$", "", output, flags=re.MULTILINE)  # a machine that is busy
    output = re.sub(r"in \d+\.\d\d s", "in N s", output)
    return re.sub(r"\d+\.\d+\.\d+\S*", "N.N.N", output.replace(",", ""))


def test_the_first_command_prints_what_is_shown() -> None:
    command = block("first command").strip()
    assert command.endswith(".venv/bin/mtls-run scenarios/basic.yaml")
    run = mtls_run("scenarios/basic.yaml")
    assert (run.returncode, run.stderr) == (0, "")
    assert without_figures(run.stdout) == without_figures(block("its output"))


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="no haproxy on this machine")
def test_haproxy_prints_what_is_shown() -> None:
    command, shown = block("on HAProxy").split("\n", 1)
    assert command.startswith("$ mtls-run scenarios/wrong-certificates.yaml --backend haproxy ")
    run = mtls_run(*shlex.split(command)[2:])
    assert (run.returncode, run.stderr) == (0, "")
    assert without_figures(run.stdout) == without_figures(shown)


def test_ci_calls_the_test_command() -> None:
    assert block("test command").strip() in (ROOT / ".ci/run").read_text()


def example() -> str:
    found = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_passes(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(example())
    run = mtls_run("first.yaml", cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed of 3 cases" in run.stdout


def test_the_mistake_is_shown_as_printed(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(example().replace("client: client,", "client: clinet,"))
    run = mtls_run("first.yaml", cwd=tmp_path)
    assert run.returncode == 2
    shown = re.search(r"```\n(first\.yaml:.*?)```", README, re.DOTALL)
    assert shown is not None
    assert run.stderr.split("\n\n")[0].strip() == shown[1].strip()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
