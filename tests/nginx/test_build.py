"""What nginx is in an image is asked once, and kept in the user's cache."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mtls_runner.servers.container.engine import Engine

from ..container_engine import IMAGE, events_of
from ..warm import WarmProcess

SCENARIO = """\
ca: {subject: CN=Lab CA}
leaves: {server: {subject: CN=localhost}}
server: {backend: nginx, certificate: server, trust: [ca]}
cases:
  - {name: without, expect: {server-refused: no-certificate}}
"""


def test_it_is_asked_once(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "nginx.yaml").write_text(SCENARIO)
    cache = tmp_path / "cache"
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "TMPDIR": str(tmp_path), "MTLS_RUN_IMAGE": IMAGE}

    def asked() -> tuple[int, str]:
        """How often a run has asked, and the versions that it tells."""
        before = time.time()
        with WarmProcess("mtls-run", ["nginx.yaml"], cwd=tmp_path, env=environment) as process:
            told, errors = process.communicate(timeout=60)
        assert process.returncode == 0, told + errors
        return events_of(process.pid, before)["exec_create: nginx -V"], told.splitlines()[-1]

    times, versions = asked()
    assert times == 1
    assert "openssl (nginx)" in versions
    assert asked() == (0, versions)
    kept = cache / "mtls-run" / "nginx-builds" / engine.image(IMAGE).id.rpartition(":")[2]
    for spoilt in (b"", kept.read_bytes()[:-1]):  # a disk that was full
        kept.write_bytes(spoilt)
        assert asked() == (1, versions)
