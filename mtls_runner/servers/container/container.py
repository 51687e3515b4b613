"""A container that was started: what can be asked of it."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import EngineError
from mtls_runner.model.endpoint import Address
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.container.api import REMOVAL_SECONDS, EngineApi, EngineRequest, Refused
from mtls_runner.servers.container.connection import translated
from mtls_runner.servers.container.files import ContainerFile, archive, hidden, replacement
from mtls_runner.servers.container.spec import ContainerSpec

__all__ = ["Container", "no_program", "started"]

_MOVED = "moved"
_MOVE = f'while [ $# -gt 0 ]; do mv -f -- "$1" "$2" || exit; shift 2; done; echo {_MOVED}'
"""Of a shell whose arguments are the names of before and after, in turn."""


class Container:
    """A started container. ``address`` is ``None`` when it ended so early that its port was never seen.

    Args:
        owner: user id that files for their owner only belong to.
        host: its IP address on the engine's network.
        more: where further ports came out, by their number inside.
        reads_our_files: its root can read what this user alone can, in a directory that is mounted.
    """

    def __init__(
        self,
        api: EngineApi,
        name: str,
        address: Address | None,
        log: LogStream,
        owner: int = 0,
        more: Mapping[int, Address] | None = None,
        host: str = "",
        reads_our_files: bool = False,
    ) -> None:
        self._api = api
        self._owner = owner
        self.host = host
        self.name = name
        self.address = address
        self.log = log
        self.more = more or {}
        self.reads_our_files = reads_our_files
        self._replacements = itertools.count(1)

    def exit_code(self) -> int | None:
        """``None`` while it runs."""
        with translated("asking for the container's state"):
            state = self._api.call("GET", f"/containers/{self.name}/json")["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def processes(self) -> tuple[str, ...]:
        """Command lines of its processes; empty when it no longer runs."""
        with translated("listing the container's processes"):
            try:
                listing = self._api.call("GET", f"/containers/{self.name}/top", ps_args="-eo pid,args")
            except Refused:
                return ()
        return tuple(row[-1] for row in listing.get("Processes") or [])

    def replace(self, files: Sequence[ContainerFile]) -> None:
        """Files in the place of others, as by rename; see :func:`~mtls_runner.servers.container.files.replacement`."""
        if files:
            number = next(self._replacements)
            with translated("replacing files in the container"):
                self._api.unpack(self.name, replacement(files, number, self._owner))

    def move_in(self, files: Sequence[ContainerFile]) -> None:
        """As :meth:`replace`, by a rename that who watches their directories hears of (inotify's ``IN_MOVED_TO``), where the
        image has a shell and ``mv``; otherwise nobody hears of it.
        """
        number = next(self._replacements)
        new = [replace(file, path=hidden(file.path, number)) for file in files if not file.absent]
        with translated("replacing files in the container"):
            self._api.unpack(self.name, archive(new, self._owner))
        pairs = [path for file in files if not file.absent for path in (hidden(file.path, number), file.path)]
        if self.output_of("sh", "-c", _MOVE, "sh", *pairs).strip() != _MOVED:
            self.replace(files)

    def signal(self, name: str) -> None:
        """Send a signal (``HUP``) to its first process."""
        with translated("sending a signal to the container"):
            self._api.call("POST", f"/containers/{self.name}/kill", signal=name)

    def output_of(self, *command: str) -> str:
        """Both streams of a command run inside; ``""`` when it can't be run."""
        wanted = {"Cmd": command, "AttachStdout": True, "AttachStderr": True}
        with translated("running a command in the container"):
            try:
                made = self._api.call("POST", f"/containers/{self.name}/exec", wanted)["Id"]
                output = self._api.follow(f"/exec/{made}/start", {"Detach": False, "Tty": False})
            except Refused:
                return ""
            with contextlib.closing(output):
                written = b"".join(out or err or b"" for out, err in output)
        return written.decode("utf-8", errors="replace")


def started(
    api: EngineApi, name: str, spec: ContainerSpec, asked: EngineRequest, log: LogStream, owner: int
) -> Container:
    """The container that the engine was asked to start, as soon as it has.

    Args:
        api, name, spec: which, on which engine.
        asked: the request.
        log: what it writes.
        owner: user id that files for their owner only belong to.

    Raises:
        EngineError: the image has no such command, or the container is not cut off from other machines, or has no published port.
    """
    with translated("starting a container"):
        _check_started(asked, spec)
        state = api.call("GET", f"/containers/{name}/json")
        host, found = _published(state["NetworkSettings"], (spec.port, *spec.more_ports), log)
    return Container(api, name, found.get(spec.port), log, owner, found, host, _reads_our_files(state))


def _check_started(asked: EngineRequest, spec: ContainerSpec) -> None:
    try:
        asked.answer()
    except Refused as refused:
        # runc's own failure: the command is not in the image, or may not be executed.
        if refused.status == HTTPStatus.BAD_REQUEST:
            what = spec.entrypoint[0] if spec.entrypoint else "its command"
            raise no_program(spec.image, what, refused.message.rpartition("container process: ")[2]) from refused
        raise


def no_program(image: str, program: str, said: str) -> EngineError:
    """An image that does not have what it is to run: that says nothing of a server, not even that it can't start."""
    return EngineError(f"image {image} can't run {program}: {said}. Next: name an image that has it", image=image)


def _reads_our_files(state: Mapping[str, Any]) -> bool:
    """Whether its root is ours, or this user: it runs on this kernel, and no other user stands in root's place."""
    process = Path("/proc") / str(state["State"]["Pid"])
    try:
        here = state["Id"] in (process / "cgroup").read_text()
        inside, outside, _ = (process / "uid_map").read_text().split(maxsplit=2)
    except (OSError, ValueError):  # it has ended, or runs in a virtual machine
        return False
    return here and inside == "0" and int(outside) in (0, os.geteuid())


def _published(network: Mapping[str, Any], wanted: Sequence[int], log: LogStream) -> tuple[str, dict[int, Address]]:
    """Its IP address, and where the ports came out; both empty for a container that ended by now: its log says why.

    Raises:
        EngineError: the container is not cut off from other machines, or has no published port.
    """
    if network.get("GlobalIPv6Address"):
        raise EngineError(
            "the container engine gives containers addresses of IPv6, by which they would reach other machines. "
            'Next: take "ipv6" out of its daemon.json, or use another engine (`docker context use`)'
        )
    ports = network["Ports"] or {}
    bindings = {port: ports.get(f"{port}/tcp") or [] for port in wanted}
    if all(bindings.values()):
        host = next((one["IPAddress"] for one in network["Networks"].values() if one.get("IPAddress")), "")
        return host, {port: Address("127.0.0.1", int(found[0]["HostPort"])) for port, found in bindings.items()}
    if log.wait_ended(Deadline.after(REMOVAL_SECONDS)):
        return "", {}
    raise EngineError("the engine published no port; is its networking set up (`docker network ls`)?")
