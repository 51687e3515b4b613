"""An engine that is late: its log is still told of the case that it belongs to, and who is not gone is in nobody's way."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mtls_runner.export.script import export
from mtls_runner.language import Overrides, load

from ..container_engine import IMAGE
from .script import run

# The real docker, whose `logs` lags behind, and who refuses to remove the first container, as an engine does that has killed
# one and does not hear of its end in time.
_LATE = """#!/bin/bash
if [ "$1" = rm ] && [ ! -e "$0.refused" ]; then
  echo "${@: -1}" >"$0.refused"
  echo 'Could not kill running container' >&2
  exit 1
elif [ "$1" = logs ]; then
  {docker} "$@" 2>&1 | while IFS= read -r line; do sleep 0.05; printf '%s\\n' "$line"; done
else
  exec {docker} "$@"
fi
"""
_SCENARIO = """
authorities: {ca: {}, other: {}}
leaves: {server: {issuer: ca}, good: {issuer: ca, usage: client}}
server: {certificate: server, trust: [ca]}
cases:
  - {name: the client refuses, client: {certificate: good, trust: [other]}, expect: {client-refused: unknown-ca}}
  - {name: nobody, expect: {server-refused: no-certificate}}
  - {name: refuses again, client: {certificate: good, trust: [other]}, expect: {client-refused: unknown-ca}}
  - {name: good, client: good, expect: accepted}
  - {name: another server, server: {client_auth: none}, expect: accepted}
matrix: {client.tls: [TLSv1.2, TLSv1.3]}
"""


@pytest.mark.usefixtures("nginx_engine")
def test_a_late_line_is_not_the_next_cases_and_a_container_that_stays_is_not_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = shutil.which("docker")
    assert docker is not None
    late = tmp_path / "bin" / "docker"
    late.parent.mkdir()
    late.write_text(_LATE.replace("{docker}", docker))
    late.chmod(0o755)
    monkeypatch.setenv("PATH", f"{late.parent}:{os.environ['PATH']}")
    scenario = tmp_path / "late.yaml"
    scenario.write_text(_SCENARIO)
    exported = export(load(scenario, Overrides(backend="nginx", tool="curl", image=IMAGE)), tmp_path / "exported")
    result = run(exported.script, tmp_path / "temporary")
    assert result.code == 0, result.text
    assert len(result.cases) == 10
    refused = late.with_name("docker.refused").read_text().strip()
    listed = subprocess.run(
        [docker, "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    )
    assert refused.startswith("mtls-run-export-")
    assert refused not in listed.stdout.split()
