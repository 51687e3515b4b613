"""Whose connection is whose: the kernel gives a port out again, to somebody else."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

from mtls_runner.clients.python_ssl import PythonClient
from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView, Phase
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.servers.python import PythonBackend
from tests.named import backend, tool

from ..pki.describe import authority, leaf, plan

_SECONDS = 10.0


def test_a_port_that_somebody_else_had_before(tmp_path: Path) -> None:
    store = Store(tmp_path, plan(authority("ca"), leaf("one")), start=datetime.now(UTC), pool=KeyPool())
    spec = ServerSpec("server", backend("python"), "one", None, trust=("ca",))
    with PythonBackend().serve(spec, store, Deadline.after(_SECONDS)) as server:
        with server.watch() as watch:
            seen = PythonClient().probe(
                ClientSpec(tool("python"), certificate="one", trust=("ca",)),
                server.address,
                store,
                Deadline.after(_SECONDS),
            )
            before = watch.view(seen, Deadline.after(_SECONDS))
        assert before is not None
        assert before.client_subject == "CN=one"

        last = server.arrived()
        with socket.create_connection((server.address.host, server.address.port), _SECONDS) as stranger:
            port = stranger.getsockname()[1]
        (told,) = server.seen(last, Deadline.after(_SECONDS))
        assert told.handshake_complete is False
        with server.watch() as watch:
            nobody = watch.view(ClientView("python", "3", Phase.REQUEST, local_port=port), Deadline.after(0))
        assert nobody is None
