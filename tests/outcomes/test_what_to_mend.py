"""The line of the file that a server did not start for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.cli import main
from mtls_runner.cli.program import ExitCode

SCENARIO = """\
ca: {}
leaves: {server: {}}
server:
  backend: BACKEND
  runtime: process
  tls: [TLSv1.2, TLSv1.3]
  groups: [nonsense]
cases: [{name: asked, expect: accepted}]
"""


@pytest.mark.parametrize(
    ("backend", "said", "line"),
    [
        (
            "haproxy",
            "unable to set SSL curves list to 'nonsense' for bind",
            7,
        ),  # and of SSL, TLS and its configuration file
        ("node", "Failed to set ECDH curve", 3),  # which of its settings that is, nobody knows
    ],
)
def test_it_is_the_one_whose_words_the_program_repeats(
    backend: str,
    said: str,
    line: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(SCENARIO.replace("BACKEND", backend))
    assert main(["run", "bad.yaml"]) == ExitCode.BROKEN
    told = capsys.readouterr().out
    assert said in told
    assert f"\nbad.yaml:{line}:" in told
