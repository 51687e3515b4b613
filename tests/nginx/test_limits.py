"""Limits of a container: the scenario's, or the lab's own."""

from __future__ import annotations

import docker
import pytest
from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.pki import Store
from mtls_runner.servers.container.engine import Engine
from mtls_runner.servers.container.spec import MEMORY, PIDS
from mtls_runner.servers.nginx.backend import NginxBackend
from tests.named import backend

from ..container_engine import IMAGE

SERVER = ServerSpec(id="limits", backend=backend("nginx"), certificate="server", passphrase=None, trust=("ca",))


@pytest.mark.parametrize(
    ("options", "memory", "pids"),
    [((), MEMORY, PIDS), ((("memory", "67108864"), ("pids", "64")), 64 * 1024 * 1024, 64)],
    ids=["default", "given"],
)
def test_limits_are_set(
    options: tuple[tuple[str, str], ...], memory: int, pids: int, engine: Engine, store: Store
) -> None:
    assert engine is not None
    server = replace(SERVER, options=(("image", IMAGE), *options))
    with NginxBackend().serve(server, store, Deadline.after(60)) as running:
        port = str(running.address.port)
        client = docker.from_env()
        try:
            ours = [
                container
                for container in client.containers.list(ignore_removed=True)
                if any(
                    binding["HostPort"] == port
                    for bindings in container.attrs["NetworkSettings"]["Ports"].values()
                    for binding in bindings or ()
                )
            ]
            assert len(ours) == 1
            host = ours[0].attrs["HostConfig"]
            assert (host["Memory"], host["MemorySwap"], host["PidsLimit"]) == (memory, memory, pids)
            assert host["SecurityOpt"] == ["no-new-privileges"]
            assert host["CapDrop"] == ["ALL"]
        finally:
            client.close()
