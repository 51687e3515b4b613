"""What is remembered by identity is kept alive: an object that is gone leaves its identity to the next one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_HEAD = "ca: {}\nleaves: {server: {passphrase: its own}}\nservers: {base: {certificate: server, trust: [ca]}}\ncases:\n"
_COUNT = 300
_SEEN = """
import json, pathlib, sys
from mtls_runner import load
print(json.dumps([[case.server.responses[-1].status, case.server.passphrase.reveal()]
                  for case in load(pathlib.Path(sys.argv[1])).cases]))
"""


# The C library's allocator gives the place of what is gone to the next that has its size, Python's own more seldom.
@pytest.mark.parametrize("allocator", ["malloc", "default"])
def test_each_case_has_the_server_that_it_describes(tmp_path: Path, allocator: str) -> None:
    path = tmp_path / "many.yaml"
    lines = [
        f"  - {{name: case {number}, server: {{like: base, response: {{status: {200 + number}}}, "
        f"passphrase: secret {number}}}, expect: accepted}}\n"
        for number in range(_COUNT)
    ]
    path.write_text(_HEAD + "".join(lines))
    finished = subprocess.run(
        [sys.executable, "-c", _SEEN, str(path)],
        env=os.environ | {"PYTHONMALLOC": allocator},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(finished.stdout) == [[200 + number, f"secret {number}"] for number in range(_COUNT)]
