"""nginx as a process of this machine: the same verdicts without an engine, and nothing is left behind."""

from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtls_runner import Lab, Overrides, Status, load
from mtls_runner.cli import main
from mtls_runner.runtimes.process import find_program

from ..container_engine import not_here

ROOT = Path(__file__).parents[2]
TEXT = """
ca: {}
leaves:
  server: {passphrase: a "quoted" one}
  good: {usage: client}
  expired: {like: good, not_before: -10d, not_after: -1d}
servers:
  strict: {backend: nginx, runtime: process, certificate: server, trust: [ca], response: {body: "a $ and \\u00e9"}}
  closed:
    like: strict
    passphrase: wrong
    expect: {starts: false, reason: wrong-passphrase, where: {when: {backend_version: ">=1000"}, expect: {starts: true}}}
cases:
  - {name: good, server: strict, client: good, expect: {outcome: accepted, body: "a $ and \\u00e9"}}
  - {name: expired, server: strict, client: expired, expect: {server-refused: expired}}
"""


@pytest.fixture(autouse=True)
def an_nginx() -> None:
    if find_program("nginx") is None:
        not_here("there is no nginx on this machine to be run as a process")


def scenario(directory: Path, text: str = TEXT) -> Path:
    path = directory / "process.yaml"
    path.write_text(text)
    return path


def loopback_only(pid: int) -> Iterator[bool]:
    """Of each socket that listens and belongs to the process."""
    own = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    for family in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                yield fields[1].startswith("0100007F:")


def masters_below(directory: Path) -> dict[int, str]:
    """Processes whose command line names the directory."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(directory) in command and "nginx: master" in command:
            found[int(process.name)] = command
    return found


def test_verdicts_secrets_sockets_and_the_end(tmp_path: Path) -> None:
    """In a directory whose name needs quotes in a configuration."""
    keep = tmp_path / 'a "kept" one'
    plan = load(scenario(tmp_path), Overrides(tool="curl"))
    with Lab(plan, keep) as lab:
        for case in plan.cases:
            verdict = lab.run(case)
            assert verdict.status is Status.PASS, (case.name, verdict.error, verdict.mismatches)
        (master,) = masters_below(keep)
        assert list(loopback_only(master)) == [True]
        assert "quoted" not in Path(f"/proc/{master}/cmdline").read_text() + Path(f"/proc/{master}/environ").read_text()
        assert "docker engine" not in lab.versions()
        assert {"nginx", "openssl (nginx)"} <= set(lab.versions())
    assert masters_below(keep) == {}
    secret = [
        path
        for path in keep.rglob("*")
        if path.is_file() and any(s in path.read_bytes() for s in (b"PRIVATE", b'a "quoted'))
    ]
    assert len(secret) >= 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_without_an_engine_the_message_says_that_this_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    path = str(scenario(tmp_path))
    assert main([path, "--runtime", "container"]) == 3
    assert f"Without an engine: --runtime process runs {find_program('nginx')} instead" in capsys.readouterr().out
    assert main([path]) == 0


def test_no_docker_is_loaded(tmp_path: Path) -> None:
    code = (
        f"import sys\nfrom mtls_runner.cli import main\nassert main([{str(scenario(tmp_path))!r}]) == 0\n"
        "assert not {'docker', 'requests', 'crossplane'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_it_ends_with_a_lab_that_is_killed(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    command = [
        str(Path(sys.executable).with_name("mtls-run")),
        "serve",
        str(scenario(tmp_path)),
        "--runtime",
        "process",
    ]
    environment = os.environ | {"TMPDIR": str(keep)}
    keep.mkdir()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as lab:
        assert lab.stdout is not None
        assert any("https://localhost:" in line for line in lab.stdout)
        (master,) = masters_below(keep)
        pidfd = os.pidfd_open(master)
        lab.send_signal(signal.SIGKILL)
        lab.wait(20)
    try:
        assert select.select([pidfd], [], [], 20)[0], "nginx outlived the lab"
    finally:
        os.close(pidfd)


def test_what_stays_in_a_container_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asking = TEXT.replace("  strict: {backend", "  strict: {ocsp: leaf, backend")
    asking = asking.replace("ca: {}", "ca: {}\nresponders: {one: {}}")
    asking = asking.replace("  good: {usage", "  good: {ocsp: one, usage")
    assert main([str(scenario(tmp_path, asking)), "-k", "good"]) == 5
    assert "has no OCSP responders" in capsys.readouterr().out
    assert main(["explain", str(scenario(tmp_path))]) == 0
    assert "nginx as a process of this machine" in capsys.readouterr().out


@pytest.mark.parametrize(("versions", "status"), [(">=1.0", Status.PASS), (">=1000", Status.FAIL)])
def test_an_expectation_counts_for_some_versions_of_the_server(tmp_path: Path, versions: str, status: Status) -> None:
    given = (
        "expect: {outcome: accepted, status: 404, where: {when: {backend_version: VERSIONS}, expect: {status: 200}}}"
    )
    text = TEXT.partition("  closed:")[0]
    text += f"cases:\n  - {{name: good, server: strict, client: good, {given.replace('VERSIONS', repr(versions))}}}\n"
    plan = load(scenario(tmp_path, text))
    with Lab(plan) as lab:
        assert [lab.run(case).status for case in plan.cases] == [status]
