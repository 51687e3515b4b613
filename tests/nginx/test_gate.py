"""nginx's container starts before its configuration is made; whoever can't share files with it starts it afterwards."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import ServerUnusable
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.pki import Store
from mtls_runner.servers.container import container as container_module
from mtls_runner.servers.container.engine import RUN_LABEL, Engine
from mtls_runner.servers.nginx.backend import NginxBackend
from tests.named import tool

from ..container_engine import docker_client
from .conftest import Lab, MakeServer


@pytest.fixture
def backend(engine: Engine) -> NginxBackend:
    if not engine.may_share_files:
        pytest.skip("this engine shares no files with the lab")
    return NginxBackend()


@pytest.fixture
def server(make_server: MakeServer) -> ServerSpec:
    return make_server(runtime=None)


def containers(backend: NginxBackend) -> list[dict[str, Any]]:
    """Of this backend's run, as the docker package sees them."""
    run = backend._connected().run_id
    with docker_client() as client:
        found = client.containers(all=True, filters={"label": f"{RUN_LABEL}={run}"})
        return [client.inspect_container(each["Id"]) for each in found]


def waits(backend: NginxBackend, deadline: Deadline) -> bool:
    """Until nginx runs, and whether it is one process, that has not begun to work."""
    with docker_client() as client:
        while True:
            (found,) = containers(backend)
            if found["State"]["Running"]:
                rows = client.top(found["Id"], ps_args="-eo pid,args")["Processes"] or []
                if any(row[-1].startswith("nginx") for row in rows):
                    return len(rows) == 1
            deadline.check("waiting for nginx to be started")


def private(directory: Path) -> bool:
    """Whether what is in it can be entered by this user alone, and keys be read by nobody else."""
    keys = list(directory.rglob("*.key"))
    assert keys, list(directory.rglob("*"))
    alone = all(not stat.S_IMODE(path.stat().st_mode) & 0o077 for path in keys)
    return alone and not stat.S_IMODE(directory.stat().st_mode) & 0o077


def test_it_waits_and_then_serves_what_was_made(
    backend: NginxBackend, lab: Lab, server: ServerSpec, store: Store, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    client = ClientSpec(tool("python"), certificate="good", trust=("ca",))
    context = backend.serve(server, store, Deadline.after(60))
    with backend.beginning(server, tmp_path, Deadline.after(60)):
        assert waits(backend, Deadline.after(30))
        running = context.__enter__()
    try:
        assert len(containers(backend)) == 1
        assert private(tmp_path)
        assert lab.probe(running, server, client).judgement.outcome is Outcome.ACCEPTED
        running.replace(replace(server, trust=("other",)))
        assert lab.probe(running, server, client).judgement.outcome is Outcome.ACCEPTED
        running.reload(Deadline.after(30))  # opens the FIFO again
        assert lab.probe(running, server, client).judgement.reason is Reason.UNKNOWN_CA
    finally:
        context.__exit__(None, None, None)
    assert containers(backend) == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_never_made_leaves_nothing(backend: NginxBackend, server: ServerSpec, tmp_path: Path) -> None:
    with backend.beginning(server, tmp_path, Deadline.after(60)):
        assert len(containers(backend)) == 1
    assert containers(backend) == []
    assert list(tmp_path.iterdir()) == []


def test_who_comes_while_one_is_begun_begins_no_second_one(
    backend: NginxBackend, server: ServerSpec, store: Store, tmp_path: Path
) -> None:
    """Whether that one waits still, or has been taken."""
    first = backend.beginning(server, tmp_path, Deadline.after(60))
    with first, backend.beginning(server, tmp_path, Deadline.after(60)):
        (begun,) = containers(backend)
        served = backend.serve(server, store, Deadline.after(60))
        with served, backend.beginning(server, tmp_path, Deadline.after(60)):
            assert [found["Id"] for found in containers(backend)] == [begun["Id"]]
    assert containers(backend) == []
    assert list(tmp_path.iterdir()) == []


def test_nobody_takes_one_that_is_still_being_begun(
    backend: NginxBackend, lab: Lab, server: ServerSpec, store: Store, tmp_path: Path
) -> None:
    """Cases beside each other whose server is each one's own."""
    client = ClientSpec(tool("python"), certificate="good", trust=("ca",))

    together = Barrier(4)

    def case(_: int) -> Outcome | None:
        together.wait(60)
        with backend.beginning(server, tmp_path, Deadline.after(20)):
            served = backend.serve(server, store, Deadline.after(20))
            with served as running:
                return lab.probe(running, server, client).judgement.outcome

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(case, range(12))) == [Outcome.ACCEPTED] * 12
    assert containers(backend) == []
    assert list(tmp_path.iterdir()) == []


def test_what_it_cannot_use_is_told_as_ever(
    backend: NginxBackend, make_server: MakeServer, store: Store, tmp_path: Path
) -> None:
    server = make_server(runtime=None, certificate="mismatch")
    with (
        pytest.raises(ServerUnusable) as early,
        backend.beginning(server, tmp_path, Deadline.after(60)),
        backend.serve(server, store, Deadline.after(60)),
    ):
        pass
    with pytest.raises(ServerUnusable) as alone, backend.serve(server, store, Deadline.after(60)):
        pass
    assert early.value.reason is Reason.KEY_MISMATCH
    assert str(early.value) == str(alone.value)
    assert containers(backend) == []


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param(lambda state: False, id="an engine that puts other users in the place of ours"),  # noqa: ARG005
        pytest.param(None, id="an engine that does not"),
    ],
)
def test_where_it_cannot_read_our_files_they_are_laid_into_another_container(
    backend: NginxBackend,
    lab: Lab,
    server: ServerSpec,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reads: Callable[[object], bool] | None,
) -> None:
    if reads is not None:
        monkeypatch.setattr(container_module, "_reads_our_files", reads)
    context = backend.serve(server, store, Deadline.after(60))
    with backend.beginning(server, tmp_path, Deadline.after(60)):
        running = context.__enter__()
    try:
        (found,) = containers(backend)
        assert bool(found["Mounts"]) is (reads is None)
        seen = lab.probe(running, server, ClientSpec(tool("python"), certificate="good", trust=("ca",)))
        assert seen.judgement.outcome is Outcome.ACCEPTED
    finally:
        context.__exit__(None, None, None)


def test_whose_files_a_container_reads_is_what_the_kernel_says(backend: NginxBackend, tmp_path: Path) -> None:
    """A process that is no container, and one that has ended, read none."""
    del tmp_path, backend
    for pid in (os.getpid(), 0):
        assert not container_module._reads_our_files({"Id": "0" * 64, "State": {"Pid": pid}})
