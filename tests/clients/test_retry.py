"""A client that connects once more tells of the connection that its words are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.registry import registry

from ..hostile.scenario import make_context, visit
from ..hostile.servers import hostile_servers
from ..hostile.wire import Wire


def test_java_tells_the_last_connection_where_a_server_hangs_up(tmp_path: Path) -> None:
    """Its HttpClient sends a GET again where a connection ends before an answer begins."""
    if (why := registry().clients["java"].missing()) is not None:
        pytest.skip(why)
    came: list[int] = []

    def hang_up(wire: Wire) -> None:
        came.append(wire.sock.getpeername()[1])
        wire.handshake()
        wire.request()

    with hostile_servers({"hangs up": hang_up}, make_context(tmp_path), tmp_path) as ports:
        (verdict,) = visit(tmp_path, ports, {"hangs up": "no-connection: closed"}, "java", timeout=10).values()
    assert len(came) > 1
    assert verdict.observation is not None
    assert verdict.observation.client is not None
    assert verdict.observation.client.local_port == came[-1]
