"""Containers: how they are locked in, and that none is left behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import EngineError
from mtls_runner.servers.container.container import Container
from mtls_runner.servers.container.engine import OWNER_LABEL, RUN_LABEL, Engine, host_address, sweep
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.container.owner import Owner
from mtls_runner.servers.container.spec import ContainerSpec

from ..container_engine import IMAGE, docker_client

CONFIG = b"events {} http { server { listen 443; return 200; } }"
SPEC = ContainerSpec(
    image=IMAGE,
    port=443,
    entrypoint=("nginx",),
    command=("-c", "/etc/new/dir/nginx.conf", "-g", "daemon off; error_log stderr notice;"),
    files=(ContainerFile("/etc/new/dir/nginx.conf", CONFIG), ContainerFile("/etc/new/secret.key", b"secret", 0o600)),
    capabilities=("CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"),
)


def names(run: str) -> list[str]:
    """Containers of a run, running or not."""
    with docker_client() as client:
        return [c["Id"] for c in client.containers(all=True, filters={"label": f"{RUN_LABEL}={run}"})]


def started(container: Container) -> None:
    deadline = Deadline.after(20)
    while "start worker process" not in (container.log.take(deadline) or pytest.fail("nginx did not start")):
        pass


def test_it_is_locked_in(engine: Engine) -> None:
    with engine.run(SPEC, Deadline.after(20)) as container, docker_client() as client:
        started(container)
        found = client.inspect_container(container.name)
        host = found["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert [name.removeprefix("CAP_") for name in host["CapAdd"]] == list(SPEC.capabilities)
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert host["Memory"] == host["MemorySwap"] == SPEC.memory
        assert host["PidsLimit"] == SPEC.pids
        assert host["Sysctls"] == {"net.ipv4.ip_default_ttl": "1"}
        assert host["Dns"] == ["127.0.0.1"]
        assert not host["Privileged"]
        assert not host["Binds"]
        bindings = found["NetworkSettings"]["Ports"]["443/tcp"]
        assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]
        assert container.address is not None
        assert container.address.port == int(bindings[0]["HostPort"]) != 443
        assert Owner.parse(found["Config"]["Labels"][OWNER_LABEL]) == Owner.current()
        chunks, _ = client.get_archive(container.name, "/etc/new")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            modes = {entry.name: (entry.mode & 0o7777, entry.uid, entry.gid) for entry in tar if entry.isfile()}
    assert modes == {"new/secret.key": (0o600, 0, 0), "new/dir/nginx.conf": (0o644, 0, 0)}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_is_gone_whatever_happens(engine: Engine, error: type[BaseException]) -> None:
    del engine
    own = Engine.connect()

    def fail() -> None:
        with own.run(SPEC, Deadline.after(20)):
            assert len(names(own.run_id)) == 1
            raise error

    with pytest.raises(error):
        fail()
    assert names(own.run_id) == []


def test_what_cannot_start_leaves_nothing(engine: Engine) -> None:
    del engine
    own = Engine.connect()
    no_such_command = replace(SPEC, entrypoint=("/no/such/command",))
    with pytest.raises(EngineError, match="can't run /no/such/command"), own.run(no_such_command, Deadline.after(20)):
        pass
    with pytest.raises(EngineError, match="refused"), own.run(replace(SPEC, image="Not A Name"), Deadline.after(20)):
        pass
    assert names(own.run_id) == []


def test_an_early_exit_is_noticed_and_its_words_are_kept(engine: Engine) -> None:
    broken = replace(SPEC, files=(ContainerFile("/etc/new/dir/nginx.conf", b"nonsense;"),))
    with engine.run(broken, Deadline.after(20)) as container:
        assert container.log.wait_ended(Deadline.after(10))
        assert container.exit_code() == 1
        assert any('unknown directive "nonsense"' in line for line in container.log.tail())
        assert container.processes() == ()
    with engine.run(SPEC, Deadline.after(20)) as container:
        started(container)
        assert container.exit_code() is None
        assert any("nginx: worker" in command for command in container.processes())


CHILD = textwrap.dedent("""
    import sys
    from tests.nginx.test_container import SPEC, started
    from mtls_runner.deadlines import Deadline
    from mtls_runner.servers.container.engine import Engine

    engine = Engine.connect()
    with engine.run(SPEC, Deadline.after(20)) as container:
        started(container)
        print(engine.run_id, flush=True)
        sys.stdin.read()
""")


def child() -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "MTLS_RUN_IMAGE": IMAGE}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=root,
    )


def test_a_killed_run_is_swept_and_a_live_one_is_not(engine: Engine) -> None:
    del engine
    with child() as live, child() as killed:
        try:
            assert live.stdout is not None
            assert killed.stdout is not None
            live_run, killed_run = live.stdout.readline().strip(), killed.stdout.readline().strip()
            assert len(names(live_run)) == len(names(killed_run)) == 1
            sweep()
            assert len(names(live_run)) == len(names(killed_run)) == 1
            killed.send_signal(signal.SIGKILL)
            killed.wait(20)
            sweep()
            assert once_as_wanted(lambda: names(killed_run), []) == []
            assert len(names(live_run)) == 1
            live.communicate("", timeout=30)
            assert live.returncode == 0
            assert names(live_run) == []
        finally:
            for process in (live, killed):
                if process.poll() is None:
                    process.kill()


def once_as_wanted(look: Callable[[], object], wanted: object) -> object:
    """What there is, once it is what is wanted, or after half a minute: a run that starts meanwhile may be removing the same
    containers, and ours does not wait for that.
    """
    deadline = Deadline.after(30)
    while (found := look()) != wanted and not deadline.passed:
        time.sleep(0.05)
    return found


def test_what_is_not_ours_stays(engine: Engine) -> None:
    """Containers of other machines' runs, of runs in other pid namespaces, and those with a label that is no owner's."""
    del engine
    here = Owner.current()
    others = [
        str(replace(here, host="elsewhere", pid=2**22 + 1)),
        str(replace(here, namespace="pid:[1]", pid=2**22 + 1)),
        "nonsense",
    ]
    gone = [str(replace(here, pid=2**22 + 1)), str(replace(here, boot="before")), str(replace(here, started="1"))]
    with docker_client() as client:
        made = {
            owner: client.create_container(IMAGE, labels={RUN_LABEL: "test", OWNER_LABEL: owner})["Id"]
            for owner in (*others, *gone)
        }
        try:
            sweep()
            wanted = {made[owner] for owner in others}
            assert once_as_wanted(lambda: set(names("test")) & set(made.values()), wanted) == wanted
        finally:
            for owner in others:
                client.remove_container(made[owner], force=True)


def test_where_this_machine_is_to_a_container(engine: Engine) -> None:
    """As the engine tells of a container, whether or not it tells of its network."""
    with engine.run(SPEC, Deadline.after(60)), docker_client() as client:
        (container,) = names(engine.run_id)
        assert engine.gateway() == client.inspect_container(container)["NetworkSettings"]["Gateway"]


@pytest.mark.parametrize(
    ("pools", "address"),
    [
        ([{"Subnet": "10.1.0.0/16", "Gateway": "10.1.2.3"}], "10.1.2.3"),
        ([{"Subnet": "10.1.0.0/16"}], "10.1.0.1"),
        ([{"Subnet": "fd00::/80"}, {"Subnet": "192.0.2.64/26"}], "192.0.2.65"),
        ([{"Subnet": "fd00::/80", "Gateway": "fd00::1"}], None),
        ([], None),
    ],
)
def test_the_address_of_a_network_that_tells_none(pools: list[dict[str, str]], address: str | None) -> None:
    assert host_address(pools) == address


def test_an_owner_is_itself_as_text() -> None:
    here = Owner.current()
    assert Owner.parse(str(here)) == here
    assert not here.is_gone()
    for text in ("", "a/b/c", "a/b/c/d/e", f"{here}/more"):
        assert Owner.parse(text) is None


def test_a_zombie_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        here = replace(Owner.current(), pid=process.pid)
        started_at = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        process.stdout.read()  # until it has ended, but before anybody waits for it
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert replace(here, started=started_at).is_gone()
