"""The containers of one run: made, watched, and gone again whatever happens.

Everything that is made carries the run's labels (its :class:`~mtls_runner.servers.container.owner.Owner` among them), so
that what a killed run left behind can be told from what a live one still uses.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from docker import errors as docker_errors
from docker.types import LogConfig

from mtls_runner.errors import Deadline, DeadlineExceeded, EngineError, ServerUnusable
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import Reason
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.container.connection import EngineConnection, translated
from mtls_runner.servers.container.files import ContainerFile, archive, replacement
from mtls_runner.servers.container.image import Image, PullProgress, find_image, user_id
from mtls_runner.servers.container.owner import Owner

if TYPE_CHECKING:
    from docker.api.client import APIClient

__all__ = ["OWNER_LABEL", "RUN_LABEL", "Container", "ContainerSpec", "Engine", "sweep"]

RUN_LABEL = "mtls-run.run"
OWNER_LABEL = "mtls-run.owner"

_REMOVAL_SECONDS = 30.0


MEMORY = 512 * 1024 * 1024
"""Bytes."""
PIDS = 512

_NO_WAY_OUT = {"net.ipv4.ip_default_ttl": "1"}
"""What is sent with this time to live gets as far as this machine and its neighbours on the bridge: the kernel, which would
forward everything else, drops it and says "no route to host" (RFC 1812 §5.3.1). Published ports work as ever."""
_NO_NAME_SERVER = ["127.0.0.1"]
"""Otherwise the container would ask this machine's, which asks the world."""


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


class Container:
    """A started container. ``address`` is ``None`` when it ended so early that its port was never seen.

    Args:
        owner: user id that files for their owner only belong to.
        more: where further ports came out, by their number inside.
    """

    def __init__(
        self,
        client: APIClient,
        name: str,
        address: Address | None,
        log: LogStream,
        owner: int = 0,
        more: Mapping[int, Address] | None = None,
    ) -> None:
        self._client = client
        self._owner = owner
        self.name = name
        self.address = address
        self.log = log
        self.more = more or {}
        self._replacements = itertools.count(1)

    def exit_code(self) -> int | None:
        """``None`` while it runs."""
        with translated("asking for the container's state"):
            state = self._client.inspect_container(self.name)["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def processes(self) -> tuple[str, ...]:
        """Command lines of its processes; empty when it no longer runs."""
        with translated("listing the container's processes"):
            try:
                listing = self._client.top(self.name, ps_args="-eo pid,args")
            except docker_errors.APIError:
                return ()
        return tuple(row[-1] for row in listing.get("Processes") or [])

    def replace(self, files: Sequence[ContainerFile]) -> None:
        """Files in the place of others, as by rename; see :func:`~mtls_runner.servers.container.files.replacement`."""
        if files:
            number = next(self._replacements)
            with translated("replacing files in the container"):
                self._client.put_archive(self.name, "/", replacement(files, number, self._owner))

    def signal(self, name: str) -> None:
        """Send a signal (``HUP``) to its first process."""
        with translated("sending a signal to the container"):
            self._client.kill(self.name, signal=name)

    def output_of(self, *command: str) -> str:
        """Both streams of a command run inside; ``""`` when it can't be run."""
        with translated("running a command in the container"):
            try:
                made = self._client.exec_create(self.name, list(command))
                output = self._client.exec_start(made["Id"])
            except docker_errors.APIError:
                return ""
        return output.decode("utf-8", errors="replace")


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

    @classmethod
    def connect(cls) -> Engine:
        """Find the engine, and remove what dead runs left on it.

        Raises:
            EngineError: there is none, no permission, or it is on another machine.
        """
        engine = cls(EngineConnection.find())
        with engine._connection.client() as client, translated("removing what earlier runs left"):
            _sweep(client)
        atexit.register(engine._remove_all)
        return engine

    def image(self, reference: str, progress: PullProgress | None = None) -> Image:
        """The image's own description; it is pulled when it isn't here.

        Raises:
            EngineError: it is not here and can't be pulled.
        """
        with self._images_lock:
            if reference not in self._images:
                with self._connection.client() as client, translated(f"looking for image {reference}"):
                    self._images[reference] = find_image(client, reference, progress)
            return self._images[reference]

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
        name = f"mtls-run-{self.run_id}-{next(self._numbers)}"
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self._connection.client(deadline))
            # The name is known before the container is there: an interrupt at any moment finds it.
            self._alive.add(name)
            stack.callback(self._remove, name)
            with translated("starting a container"):
                owner = self._create(client, name, spec)
                chunks = client.attach(name, stream=True, logs=False, demux=True)
                stack.callback(_close, chunks)
                log = LogStream(chunks, f"log of {name}", listener)
                log.cut = partial(_cut_off, client, name)
                stack.callback(log.join, _REMOVAL_SECONDS)
                # Callbacks run last in, first out: the container goes first, and that ends its log.
                stack.callback(self._remove, name)
                _start(client, name)
                found = _published(client, name, (spec.port, *spec.more_ports), log)
            yield Container(client, name, found.get(spec.port), log, owner, found)

    def _create(self, client: APIClient, name: str, spec: ContainerSpec) -> int:
        """Returns the user id that files for their owner only belong to."""
        host_config = client.create_host_config(
            port_bindings=dict.fromkeys((spec.port, *spec.more_ports), ("127.0.0.1",)),
            cap_drop=["ALL"],
            cap_add=list(spec.capabilities),
            security_opt=["no-new-privileges"],
            mem_limit=spec.memory,
            memswap_limit=spec.memory,
            pids_limit=spec.pids,
            sysctls=_NO_WAY_OUT,
            dns=_NO_NAME_SERVER,
            extra_hosts=dict(spec.hosts),
            binds=[f"{outside}:{inside}:ro" for outside, inside in spec.mounts],
            # All of the output is read as it comes; the engine need not keep a second copy.
            log_config=LogConfig(type="none"),
        )
        client.create_container(
            spec.image,
            command=list(spec.command) if spec.command is not None else None,
            entrypoint=list(spec.entrypoint) if spec.entrypoint is not None else None,
            name=name,
            environment=dict(spec.environment),
            user=spec.run_as or None,
            working_dir=spec.directory or None,
            ports=[spec.port, *spec.more_ports],
            host_config=host_config,
            labels={RUN_LABEL: self.run_id, OWNER_LABEL: str(self._owner)},
        )
        owner = user_id(client, name, spec.user)
        if spec.files:
            client.put_archive(name, "/", archive(spec.files, owner))
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
        with self._connection.client(Deadline.after(_REMOVAL_SECONDS)) as client, translated("removing a container"):
            _remove(client, name)
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
    with EngineConnection.find().client() as client, translated("removing what earlier runs left"):
        return _sweep(client)


def _sweep(client: APIClient) -> int:
    removed = 0
    for entry in client.containers(all=True, filters={"label": [RUN_LABEL, OWNER_LABEL]}):
        owner = Owner.parse(entry["Labels"][OWNER_LABEL])
        if owner is not None and owner.is_gone() and _remove(client, entry["Id"]):
            removed += 1
    return removed


def _remove(client: APIClient, name: str) -> bool:
    """Kill and remove with anonymous volumes; whether there was anything left to remove."""
    try:
        client.remove_container(name, v=True, force=True)
    except docker_errors.NotFound:
        return False
    except docker_errors.APIError as error:
        # 409: somebody else (an engine that restarts, a second sweep) is removing it already.
        if error.status_code != requests.codes["conflict"]:
            raise
        return False
    return True


def _cut_off(client: APIClient, name: str) -> str:
    """Why a container's output has ended before the container; ``""``: the container has ended, too."""
    try:
        runs = client.inspect_container(name)["State"]["Running"]
    except docker_errors.NotFound:
        return ""
    except (docker_errors.DockerException, requests.RequestException, OSError) as error:
        return f"the connection to the container engine was lost, and so what the server says: {error}"
    return "the connection to the container engine was lost for a while, and so what the server said" if runs else ""


def _start(client: APIClient, name: str) -> None:
    try:
        client.start(name)
    except docker_errors.APIError as error:
        # runc's own failure: the command is not in the image, or may not be executed.
        if error.status_code == requests.codes["bad_request"]:
            message = f"the container's command can't be started: {error.explanation}"
            raise ServerUnusable(message, reason=Reason.BAD_CONFIG) from error
        raise


def _published(client: APIClient, name: str, wanted: Sequence[int], log: LogStream) -> dict[int, Address]:
    """Where the ports came out; empty for a container that ended by now: it has none, and its log says why.

    Raises:
        EngineError: the container is not cut off from other machines, or has no published port.
    """
    network = client.inspect_container(name)["NetworkSettings"]
    if network.get("GlobalIPv6Address"):
        raise EngineError(
            "the container engine gives containers addresses of IPv6, by which they would reach other machines. "
            'Next: take "ipv6" out of its daemon.json, or use another engine (`docker context use`)'
        )
    ports = network["Ports"] or {}
    bindings = {port: ports.get(f"{port}/tcp") or [] for port in wanted}
    if all(bindings.values()):
        return {port: Address("127.0.0.1", int(found[0]["HostPort"])) for port, found in bindings.items()}
    if log.wait_ended(Deadline.after(_REMOVAL_SECONDS)):
        return {}
    raise EngineError("the engine published no port; is its networking set up (`docker network ls`)?")


def _close(chunks: object) -> None:
    """Close the attached connection for good: its own ``close`` leaves the response holding the socket."""
    with contextlib.suppress(OSError):
        chunks.close()  # type: ignore[attr-defined]
    response = getattr(chunks, "_response", None)
    if isinstance(response, requests.Response):
        response.close()
