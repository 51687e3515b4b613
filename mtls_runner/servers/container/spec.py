"""What to run in a container, as the engine is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from mtls_runner.servers.container.files import ContainerFile

__all__ = ["MEMORY", "PIDS", "ContainerSpec"]

MEMORY = 512 * 1024 * 1024
"""Bytes."""
PIDS = 512

_NO_WAY_OUT = {"net.ipv4.ip_default_ttl": "1"}
"""What is sent with this time to live gets as far as this machine and its neighbours on the bridge: the kernel, which would
forward everything else, drops it and says "no route to host" (RFC 1812 §5.3.1). Published ports work as ever."""
_NO_NAME_SERVER = ["127.0.0.1"]
"""Otherwise the container would ask this machine's, which asks the world."""


class ContainerSpec(Struct, frozen=True):
    """What to run.

    Args:
        image: a reference as ``docker run`` takes it.
        port: TCP port inside; it is published on 127.0.0.1 under a number that the engine chooses.
        entrypoint: instead of the image's own; ``None``: the image's.
        command: instead of the image's own; ``None``: the image's.
        files: laid in before the start.
        user: whom the image runs its command as (``Image.user``); files for their owner only belong to this user.
        capabilities: the only ones it keeps.
        hosts: names that resolve inside (``/etc/hosts``).
        mounts: directories of this machine's and where they appear inside, read-only.
        memory: limit in bytes, swap included.
        pids: limit of processes and threads.
        more_ports: published likewise.
        environment: variables; never a secret of the lab's.
        run_as: the user that the command runs as; ``""``: the image's own.
        directory: that it runs in; ``""``: the image's own.
        clock: how far ahead its clock is (libfaketime).
    """

    image: str
    port: int
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    files: tuple[ContainerFile, ...] = ()
    user: str = ""
    capabilities: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()
    mounts: tuple[tuple[Path, str], ...] = ()
    memory: int = MEMORY
    pids: int = PIDS
    more_ports: tuple[int, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    run_as: str = ""
    directory: str = ""
    clock: timedelta = timedelta(0)

    @property
    def laid_in(self) -> tuple[ContainerFile, ...]:
        """All files that it has to have before the start."""
        if not self.clock:
            return self.files
        from mtls_runner.runtimes.clock import INSIDE, library_for_container

        return (*self.files, ContainerFile(INSIDE, library_for_container()))

    def _environment(self) -> Mapping[str, str]:
        if not self.clock:
            return dict(self.environment)
        from mtls_runner.runtimes.clock import INSIDE, moved_clock

        return moved_clock(self.clock, dict(self.environment), INSIDE)

    def description(self) -> dict[str, Any]:
        """As the API has it."""
        ports = [f"{port}/tcp" for port in (self.port, *self.more_ports)]
        return {
            "Image": self.image,
            "Entrypoint": self.entrypoint,
            "Cmd": self.command,
            "Env": [f"{name}={text}" for name, text in self._environment().items()],
            "User": self.run_as,
            "WorkingDir": self.directory,
            "ExposedPorts": {port: {} for port in ports},
            "HostConfig": {
                "PortBindings": {port: [{"HostIp": "127.0.0.1", "HostPort": ""}] for port in ports},
                "CapDrop": ["ALL"],
                "CapAdd": self.capabilities,
                "SecurityOpt": ["no-new-privileges"],
                "Memory": self.memory,
                "MemorySwap": self.memory,
                "PidsLimit": self.pids,
                "Sysctls": _NO_WAY_OUT,
                "Dns": _NO_NAME_SERVER,
                "ExtraHosts": [f"{name}:{address}" for name, address in self.hosts],
                "Mounts": [
                    {"Type": "bind", "Source": str(outside), "Target": inside, "ReadOnly": True}
                    for outside, inside in self.mounts
                ],
                # All of the output is read as it comes; the engine need not keep a second copy.
                "LogConfig": {"Type": "none"},
            },
        }
