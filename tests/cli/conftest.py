"""Runs the program as a person does, most often without its start (``tests.warm``)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..warm import WarmProcess, fits, run_warm

SMALL = """\
name: small
tags: [quick]
ca: {subject: CN=Lab CA, key: ec-p256}
leaves:
  server: {subject: CN=server.test, usage: server, key: ec-p256}
  client: {subject: CN=client.test, usage: client, key: ec-p256}
server: {certificate: server, client_auth: required, trust: [ca]}
cases:
  - name: without a certificate
    expect: {server-refused: no-certificate}
  - name: with the certificate
    client: client
    expect: accepted
matrix:
  client.tls: [TLSv1.2, TLSv1.3]
"""
FAILING = SMALL.replace("no-certificate", "expired").replace("name: small", "name: failing")

UNAVAILABLE = SMALL.replace("server: {certificate", "server: {backend: nginx, image: 'no-such-image:0', certificate")
"""Its lab is broken wherever it runs: there is no such image, or no container engine at all."""
SKIPPED = SMALL.replace("trust: [ca]}", "trust: [ca], verify_depth: 1}")
"""Asks for what Python's ssl has not."""


@dataclass(frozen=True)
class Cli:
    """The program in a directory of its own."""

    directory: Path

    @property
    def command(self) -> str:
        found = shutil.which("mtls-run", path=str(Path(sys.executable).parent))
        assert found is not None, "the console script is not installed beside this Python"
        return found

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR", "XDG_CACHE_HOME") if name in os.environ}
        return {**kept, "LANG": "C.UTF-8", "PYTHONWARNINGS": "error", **more}

    def __call__(
        self, *arguments: str, env: dict[str, str] | None = None, stdout: int = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        environment = self.environment(**(env or {}))
        if fits(environment):
            return run_warm("mtls-run", arguments, cwd=self.directory, env=environment, stdout=stdout)
        return self.cold(*arguments, env=env, stdout=stdout)

    def cold(
        self, *arguments: str, env: dict[str, str] | None = None, stdout: int = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        """The console script itself, which imports what it needs."""
        return subprocess.run(
            [self.command, *arguments],
            cwd=self.directory,
            env=self.environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )

    def start(
        self,
        *arguments: str,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        env: dict[str, str] | None = None,
    ) -> WarmProcess:
        """One that goes on, in a session of its own."""
        return WarmProcess(
            "mtls-run",
            arguments,
            cwd=self.directory,
            env=self.environment(**(env or {})),
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def writer(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return writer
