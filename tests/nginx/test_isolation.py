"""A container reaches no other machine and no name server: shown with a "machine" of the test's own, a network namespace.

Addresses are of 198.18.0.0/15, which is for such tests (RFC 2544). They are routed to the namespace only; should it be gone,
a route that leads nowhere is what is left.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.api.client import APIClient
from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import EngineError
from mtls_runner.model.endpoint import Address
from mtls_runner.servers.container.container import Container
from mtls_runner.servers.container.engine import Engine
from mtls_runner.servers.container.files import ContainerFile, archive

from ..container_engine import IMAGE, docker_client, not_here
from .test_container import SPEC, started

PAGE = b"from another machine"


def sh(*command: str | Path) -> None:
    subprocess.run(command, check=True, timeout=60, capture_output=True)


@dataclass(frozen=True)
class Machine:
    """Another machine, as far as anybody can tell: a network namespace with a wire to this one."""

    namespace: str
    address: str

    def received(self) -> dict[str, int]:
        """The kernel's counters (RFC 1213): IP packets, TCP connections, and UDP datagrams for any port."""
        command = ["ip", "netns", "exec", self.namespace, "cat", "/proc/net/snmp"]
        text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        lines = [line.split() for line in text.splitlines()]
        found = {
            f"{names[0]}{name}": int(value)
            for names, values in zip(lines[::2], lines[1::2], strict=True)
            for name, value in zip(names[1:], values[1:], strict=True)
        }
        datagrams = found["Udp:InDatagrams"] + found["Udp:NoPorts"]
        return {"packets": found["Ip:InReceives"], "connections": found["Tcp:PassiveOpens"], "datagrams": datagrams}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if os.geteuid() or shutil.which("ip") is None:
        not_here("a network namespace needs root, and `ip` (Debian: iproute2)")
    pid = os.getpid()
    name, near, far = f"mtls-run-{pid}", f"mr{pid}a", f"mr{pid}b"
    base = f"198.{18 + (pid >> 14) % 2}.{(pid >> 6) & 255}"
    here, there = f"{base}.{(pid & 63) * 4 + 1}", f"{base}.{(pid & 63) * 4 + 2}"
    inside = ("ip", "-netns", name)
    with ExitStack() as stack:
        # Longer prefixes and lower metrics win: this is for when the wire is not there.
        nowhere = ("blackhole", f"{base}.{(pid & 63) * 4}/30", "metric", "9999")
        sh("ip", "route", "add", *nowhere)
        stack.callback(sh, "ip", "route", "del", *nowhere)
        sh("ip", "netns", "add", name)
        stack.callback(sh, "ip", "netns", "del", name)
        sh("ip", "link", "add", near, "type", "veth", "peer", far, "netns", name)
        sh("ip", "address", "add", f"{here}/30", "dev", near)
        sh("ip", "link", "set", near, "up")
        sh(*inside, "address", "add", f"{there}/30", "dev", far)
        sh(*inside, "link", "set", far, "up")
        sh(*inside, "route", "add", "default", "via", here)
        (tmp_path / "index.html").write_bytes(PAGE)
        serve = [sys.executable, "-u", "-m", "http.server", "--directory", str(tmp_path), "--bind", there, "80"]
        server = stack.enter_context(
            subprocess.Popen(
                ["ip", "netns", "exec", name, *serve], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        )
        stack.callback(server.terminate)
        assert server.stdout is not None
        assert server.stdout.readline().startswith("Serving HTTP")
        yield Machine(name, there)


def status_of(address: Address | None, path: str) -> tuple[int, bytes]:
    assert address is not None
    connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def without(client: APIClient, container: Container, *settings: str) -> str:
    """The id of a new container that is as that one, but for some settings."""
    found = client.inspect_container(container.name)
    config = found["Config"] | {"HostConfig": {k: v for k, v in found["HostConfig"].items() if k not in settings}}
    made = client.create_container_from_config(  # type: ignore[no-untyped-call]
        {k: v for k, v in config.items() if k != "Hostname"}
    )
    return str(made["Id"])


def test_nothing_in_a_container_reaches_another_machine(engine: Engine, machine: Machine) -> None:
    text = f"""events {{}} http {{ server {{
        listen 443;
        resolver {machine.address} ipv6=off; resolver_timeout 1s;
        location / {{ proxy_pass http://{machine.address}/; }}
        location /name {{ set $name somebody.test; proxy_pass http://$name; }}
    }} }}"""
    files = (ContainerFile("/etc/new/dir/nginx.conf", text.encode()),)
    with docker_client() as client:
        with engine.run(replace(SPEC, files=files), Deadline.after(20)) as container:
            started(container)
            before = machine.received()
            assert status_of(container.address, "/")[0] == 502
            assert status_of(container.address, "/name")[0] == 502
            assert machine.received() == before
            assert any("No route to host" in line for line in container.log.tail())
            control = without(client, container, "Sysctls", "Dns")
        try:
            arrives(client, control, files, machine, before)
        finally:
            client.remove_container(control, v=True, force=True)


def arrives(
    client: APIClient, control: str, files: tuple[ContainerFile, ...], machine: Machine, before: dict[str, int]
) -> None:
    """The control: the same container without the setting gets through, by name server and by address."""
    client.put_archive(control, "/", archive(files))
    client.start(control)
    deadline = Deadline.after(20)
    while not any("nginx: worker" in row[-1] for row in client.top(control, ps_args="-eo pid,args")["Processes"] or []):
        deadline.check("waiting for the control")
    (binding,) = client.inspect_container(control)["NetworkSettings"]["Ports"]["443/tcp"]
    address = Address("127.0.0.1", int(binding["HostPort"]))
    assert status_of(address, "/") == (200, PAGE)
    assert status_of(address, "/name")[0] == 502
    after = machine.received()
    assert after["connections"] == before["connections"] + 1
    assert after["datagrams"] > before["datagrams"]


@pytest.fixture
def engine_with_ipv6(tmp_path: Path) -> Iterator[str]:
    """A second engine, whose containers have IPv6, in a network namespace that leads nowhere."""
    if os.geteuid() or shutil.which("dockerd") is None or shutil.which("nsenter") is None:
        not_here("a second container engine needs root, dockerd and nsenter")
    name = f"mtls-run-6-{os.getpid()}"
    base = Path("/tmp") / name  # the path of a socket is short
    socket = f"unix://{base}/socket"
    with ExitStack() as stack:
        sh("ip", "netns", "add", name)
        stack.callback(sh, "ip", "netns", "del", name)
        sh("ip", "-netns", name, "link", "set", "lo", "up")
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        places = ["--data-root", f"{base}/data", "--exec-root", f"{base}/exec", "--pidfile", f"{base}/pid"]
        command = ["nsenter", f"--net=/run/netns/{name}", "dockerd", "-H", socket, *places]
        with (tmp_path / "log").open("w") as log:
            daemon = stack.enter_context(
                subprocess.Popen([*command, "--ipv6", "--fixed-cidr-v6", "fd00:198:18::/64"], stdout=log, stderr=log)
            )
        stack.callback(daemon.terminate)
        deadline = Deadline.after(60)
        while subprocess.run(["docker", "-H", socket, "version"], capture_output=True, timeout=60).returncode:
            assert daemon.poll() is None, (tmp_path / "log").read_text()
            deadline.check("waiting for dockerd")
        with subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE) as save:
            subprocess.run(
                ["docker", "-H", socket, "load"], stdin=save.stdout, check=True, timeout=60, capture_output=True
            )
        yield socket


def test_an_engine_whose_containers_have_ipv6_is_refused(
    engine_with_ipv6: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_with_ipv6)
    refusing = Engine.connect()
    with pytest.raises(EngineError, match="addresses of IPv6"), refusing.run(SPEC, Deadline.after(20)):
        pass
    with docker_client() as client:
        assert client.containers(all=True) == []
