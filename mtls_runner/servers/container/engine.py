"""The containers of one run: made, watched, and gone again whatever happens.

Everything that is made carries the run's labels (its :class:`~mtls_runner.servers.container.owner.Owner` among them), so
that what a killed run left behind can be told from what a live one still uses.
"""

from __future__ import annotations

import atexit
import contextlib
import http.client
import ipaddress
import itertools
import json
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import DeadlineExceeded, EngineError, ServerUnusable
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import Reason
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.container.api import EngineApi, EngineRequest, Refused, is_missing
from mtls_runner.servers.container.connection import EngineConnection, translated
from mtls_runner.servers.container.files import ContainerFile, archive, replacement
from mtls_runner.servers.container.image import Image, PullProgress, find_image, user_id
from mtls_runner.servers.container.owner import Owner

__all__ = ["OWNER_LABEL", "RUN_LABEL", "Container", "ContainerSpec", "Engine", "sweep"]

RUN_LABEL = "mtls-run.run"
OWNER_LABEL = "mtls-run.owner"

_REMOVAL_SECONDS = 30.0


MEMORY = 512 * 1024 * 1024
"""Bytes."""
PIDS = 512

_NETWORK = "bridge"
"""The engine's own, on which containers are that name none."""
_NO_WAY_OUT = {"net.ipv4.ip_default_ttl": "1"}
"""What is sent with this time to live gets as far as this machine and its neighbours on the bridge: the kernel, which would
forward everything else, drops it and says "no route to host" (RFC 1812 §5.3.1). Published ports work as ever."""
_NO_NAME_SERVER = ["127.0.0.1"]
"""Otherwise the container would ask this machine's, which asks the world."""


def host_address(pools: Sequence[Mapping[str, str]]) -> str | None:
    """This machine's IPv4 address on a network with these ``IPAM.Config`` entries, ``None`` where there is none.

    An engine that has made its network since it was started leaves ``Gateway`` out until the next start (moby/moby#26799). The
    address is the subnet's first one then, which it gives to its bridge unless told otherwise.
    """
    for pool in pools:
        gateway, subnet = pool.get("Gateway", ""), pool.get("Subnet", "")
        if "." in gateway:
            return gateway
        if not gateway and "." in subnet:
            return str(next(ipaddress.ip_network(subnet, strict=False).hosts()))
    return None


@dataclass(frozen=True, slots=True)
class ContainerSpec:
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
        environment: variables; never a secret.
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
                _put(self._api, self.name, replacement(files, number, self._owner))

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


class Engine:
    """A local Docker Engine and the containers of one run on it. Threads may share it; see :meth:`connect`."""

    def __init__(self, connection: EngineConnection) -> None:
        self._connection = connection
        self._owner = Owner.current()
        self._numbers = itertools.count(1)
        self._images: dict[str, Image] = {}
        self._images_lock = threading.Lock()
        self._alive: set[str] = set()
        self.run_id = uuid.uuid4().hex[:12]
        self.version = connection.engine_version
        local = connection.base_url.startswith("unix:///") and sys.platform == "linux"
        self.may_share_files = local and not Path("/sys/fs/selinux/enforce").exists()
        """Whether it is worth trying to mount a directory with files that are this user's alone; see ``reads_our_files``.

        Not where containers run in a virtual machine, or SELinux keeps them from what was not made for them.
        """

    @classmethod
    def connect(cls) -> Engine:
        """Find the engine, and remove what dead runs left on it.

        Raises:
            EngineError: there is none, no permission, or it is on another machine.
        """
        engine = cls(EngineConnection.find())
        with translated("removing what earlier runs left"):
            _sweep(engine._connection.api())
        atexit.register(engine._remove_all)
        return engine

    def image(self, reference: str, progress: PullProgress | None = None) -> Image:
        """The image's own description; it is pulled when it isn't here.

        Raises:
            EngineError: it is not here and can't be pulled.
        """
        with self._images_lock:
            if reference not in self._images:
                with translated(f"looking for image {reference}"):
                    self._images[reference] = find_image(self._connection, reference, progress)
            return self._images[reference]

    def gateway(self) -> str:
        """This machine's IPv4 address on the engine's network, by which containers reach it.

        Raises:
            EngineError: it has none.
        """
        with translated(f"looking at the network {_NETWORK}"):
            found = self._connection.api().call("GET", f"/networks/{_NETWORK}")["IPAM"]["Config"] or []
        host = host_address(found)
        if host is None:
            raise EngineError(
                f"this machine has no address on the engine's network {_NETWORK}: containers don't reach it"
            )
        return host

    @contextlib.contextmanager
    def run(
        self, spec: ContainerSpec, deadline: Deadline, listener: Callable[[str | None], None] | None = None
    ) -> Iterator[Container]:
        """A started container; it is removed with its volumes on every way out. ``listener``: see :class:`LogStream`.

        Raises:
            EngineError: the engine refuses, or the image is absent (call :meth:`image` first).
            ServerUnusable: the container's command can't be started.
            DeadlineExceeded: the engine took too long.
        """
        with self.begin(spec, deadline, listener) as started:
            yield started()

    @contextlib.contextmanager
    def begin(
        self, spec: ContainerSpec, deadline: Deadline, listener: Callable[[str | None], None] | None = None
    ) -> Iterator[Callable[[], Container]]:
        """As :meth:`run`, but the engine is only asked to start it; what is yielded waits until it has.

        Raises:
            EngineError, ServerUnusable, DeadlineExceeded: as :meth:`run`; what comes of the start when it is waited for.
        """
        name = f"mtls-run-{self.run_id}-{next(self._numbers)}"
        with contextlib.ExitStack() as stack:
            api = self._connection.api(deadline)
            # The name is known before the container is there: an interrupt at any moment finds it.
            self._alive.add(name)
            stack.callback(self._remove, name)
            with translated("starting a container"):
                owner = self._create(api, name, spec)
                output = api.follow(f"/containers/{name}/attach", stream=1, stdout=1, stderr=1)
                stack.callback(output.close)
                log = LogStream(output, f"log of {name}", listener)
                log.cut = partial(_cut_off, api, name)
                stack.callback(log.join, _REMOVAL_SECONDS)
                # Callbacks run last in, first out: the container goes first, and that ends its log.
                stack.callback(self._remove, name)
                asked = api.ask("POST", f"/containers/{name}/start")
                stack.callback(asked.forget)

            def started() -> Container:
                with translated("starting a container"):
                    _check_started(asked)
                    state = api.call("GET", f"/containers/{name}/json")
                    host, found = _published(state["NetworkSettings"], (spec.port, *spec.more_ports), log)
                return Container(api, name, found.get(spec.port), log, owner, found, host, _reads_our_files(state))

            yield started

    def _create(self, api: EngineApi, name: str, spec: ContainerSpec) -> int:
        """Returns the user id that files for their owner only belong to."""
        labels = {RUN_LABEL: self.run_id, OWNER_LABEL: str(self._owner)}
        api.call("POST", "/containers/create", {**_description(spec), "Labels": labels}, name=name)
        owner = user_id(api, name, spec.user)
        if files := _files(spec):
            _put(api, name, archive(files, owner))
        return owner

    def _remove(self, name: str) -> None:
        try:
            self._remove_once(name)
        except BaseException:
            # Interrupted in the middle: finish first.
            self._remove_once(name)
            raise

    def _remove_once(self, name: str) -> None:
        if name not in self._alive:
            return
        with translated("removing a container"):
            _remove(self._connection.api(Deadline.after(_REMOVAL_SECONDS)), name)
        self._alive.discard(name)

    def _remove_all(self) -> None:
        for name in tuple(self._alive):
            with contextlib.suppress(EngineError, DeadlineExceeded):
                self._remove_once(name)


def sweep() -> int:
    """Remove the containers of runs whose process is gone; return how many there were.

    Containers of live runs, of other machines' runs, and everything that isn't this program's stay.

    Raises:
        EngineError: no engine, or no permission.
    """
    connection = EngineConnection.find()
    with translated("removing what earlier runs left"):
        return _sweep(connection.api())


def _environment(spec: ContainerSpec) -> Mapping[str, str]:
    if not spec.clock:
        return dict(spec.environment)
    from mtls_runner.runtimes.clock import INSIDE, moved_clock

    return moved_clock(spec.clock, dict(spec.environment), INSIDE)


def _files(spec: ContainerSpec) -> tuple[ContainerFile, ...]:
    if not spec.clock:
        return spec.files
    from mtls_runner.runtimes.clock import INSIDE, library_for_container

    return (*spec.files, ContainerFile(INSIDE, library_for_container()))


def _description(spec: ContainerSpec) -> dict[str, Any]:
    """As the API has it."""
    ports = [f"{port}/tcp" for port in (spec.port, *spec.more_ports)]
    return {
        "Image": spec.image,
        "Entrypoint": spec.entrypoint,
        "Cmd": spec.command,
        "Env": [f"{name}={text}" for name, text in _environment(spec).items()],
        "User": spec.run_as,
        "WorkingDir": spec.directory,
        "ExposedPorts": {port: {} for port in ports},
        "HostConfig": {
            "PortBindings": {port: [{"HostIp": "127.0.0.1", "HostPort": ""}] for port in ports},
            "CapDrop": ["ALL"],
            "CapAdd": spec.capabilities,
            "SecurityOpt": ["no-new-privileges"],
            "Memory": spec.memory,
            "MemorySwap": spec.memory,
            "PidsLimit": spec.pids,
            "Sysctls": _NO_WAY_OUT,
            "Dns": _NO_NAME_SERVER,
            "ExtraHosts": [f"{name}:{address}" for name, address in spec.hosts],
            "Mounts": [
                {"Type": "bind", "Source": str(outside), "Target": inside, "ReadOnly": True}
                for outside, inside in spec.mounts
            ],
            # All of the output is read as it comes; the engine need not keep a second copy.
            "LogConfig": {"Type": "none"},
        },
    }


def _put(api: EngineApi, name: str, tar: bytes) -> None:
    api.call("PUT", f"/containers/{name}/archive", tar, path="/")


def _sweep(api: EngineApi) -> int:
    removed = 0
    labels = json.dumps({"label": [RUN_LABEL, OWNER_LABEL]})
    for entry in api.call("GET", "/containers/json", all=1, filters=labels):
        owner = Owner.parse(entry["Labels"][OWNER_LABEL])
        if owner is not None and owner.is_gone() and _remove(api, entry["Id"]):
            removed += 1
    return removed


def _remove(api: EngineApi, name: str) -> bool:
    """Kill and remove with anonymous volumes; whether there was anything left to remove."""
    try:
        api.call("DELETE", f"/containers/{name}", v=1, force=1)
    except Refused as refused:
        # 409: somebody else (an engine that restarts, a second sweep) is removing it already.
        if not is_missing(refused) and refused.status != HTTPStatus.CONFLICT:
            raise
        return False
    return True


def _cut_off(api: EngineApi, name: str) -> str:
    """Why a container's output has ended before the container; ``""``: the container has ended, too."""
    try:
        runs = api.call("GET", f"/containers/{name}/json")["State"]["Running"]
    except (Refused, OSError, http.client.HTTPException) as error:
        if isinstance(error, Refused) and is_missing(error):
            return ""
        return f"the connection to the container engine was lost, and so what the server says: {error}"
    return "the connection to the container engine was lost for a while, and so what the server said" if runs else ""


def _check_started(asked: EngineRequest) -> None:
    try:
        asked.answer()
    except Refused as refused:
        # runc's own failure: the command is not in the image, or may not be executed.
        if refused.status == HTTPStatus.BAD_REQUEST:
            message = f"the container's command can't be started: {refused.message}"
            raise ServerUnusable(message, reason=Reason.BAD_CONFIG) from refused
        raise


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
    if log.wait_ended(Deadline.after(_REMOVAL_SECONDS)):
        return "", {}
    raise EngineError("the engine published no port; is its networking set up (`docker network ls`)?")
