"""Resumed sessions: openssl s_client -reconnect comes five times more, and says each time whether it was New or Reused."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mtls_runner import load
from mtls_runner.deadlines import Deadline
from mtls_runner.engine.lab import Lab
from mtls_runner.model.verdict import Status
from mtls_runner.pki.keys import KeyPool

_TEXT = """\
ca: {}
leaves: {server: {usage: server}, client: {usage: client}}
servers:
  keeps: {}
  forgets: {backend: nginx, runtime: process, session_tickets: false, session_cache: "off"}
cases:
  - name: keeps
    server: keeps
    client: {certificate: client, tls: TLSv1.2}
    steps:
      - {expect: {outcome: accepted, resumed: false}}
      - {resume: true, expect: {outcome: accepted, resumed: true}}
  - name: forgets
    server: forgets
    client: {certificate: client, tls: TLSv1.2}
    expect: {outcome: accepted, resumed: false}
"""
_AGAIN = 5


@pytest.mark.usefixtures("nginx_program")
def test_as_s_client_reconnects(tmp_path: Path) -> None:
    file = tmp_path / "reconnect.yaml"
    file.write_text(_TEXT)
    plan = load(file)
    with Lab(plan, pool=KeyPool()) as lab:
        for case, reused in zip(plan.cases, (_AGAIN, 0), strict=True):
            assert case.client is not None
            assert lab.run(case).status is Status.PASS
            server, own = lab.server(case.server), lab.material.presented("client", case.client.chain)
            before = server.arrived()
            command = f"openssl s_client -reconnect -no_ign_eof -tls1_2 -connect {server.address} -verify_return_error"
            done = subprocess.run(
                [
                    *command.split(),
                    *(
                        "-CAfile",
                        lab.material.bundle(["ca"]),
                        "-cert",
                        own.certificate,
                        "-key",
                        own.key or own.certificate,
                    ),
                ],
                input="",
                capture_output=True,
                text=True,
                check=True,
            )
            told = re.findall(r"^(New|Reused), TLSv1\.2", done.stdout, re.MULTILINE)
            assert (told.count("New"), told.count("Reused")) == (1 + _AGAIN - reused, reused), done.stdout[-2000:]
            if reused:
                resumed = [view.resumed for view in server.seen(before, Deadline.after(10))]
                assert (resumed.count(False), resumed.count(True)) == (1, reused)
