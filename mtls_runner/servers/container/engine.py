"""The containers of one run: made, watched, and gone again whatever happens.

Everything that is made carries the run's labels (its :class:`~mtls_runner.servers.container.owner.Owner` among them), so
that what a killed run left behind can be told from what a live one still uses.
"""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
import itertools
import json
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from mtls_runner.deadlines import Deadline, pause
from mtls_runner.errors import DeadlineExceeded, EngineError
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.container.answer import NoAnswer
from mtls_runner.servers.container.api import REMOVAL_SECONDS, EngineApi, EngineRequest, Refused, is_missing
from mtls_runner.servers.container.connection import EngineConnection, translated
from mtls_runner.servers.container.files import archive
from mtls_runner.servers.container.image import Image, find_image, user_id
from mtls_runner.servers.container.owner import Owner
from mtls_runner.servers.container.spec import ContainerSpec

if TYPE_CHECKING:
    from mtls_runner.model.port import Report
    from mtls_runner.servers.container.container import Container

__all__ = ["OWNER_LABEL", "RUN_LABEL", "Engine", "host_address", "sweep"]

RUN_LABEL = "mtls-run.run"
OWNER_LABEL = "mtls-run.owner"

_AGAIN_SECONDS = 0.2

_NETWORK = "bridge"
"""The engine's own, on which containers are that name none."""


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


class Engine:
    """A local Docker Engine and the containers of one run on it. Threads may share it; see :meth:`connect`."""

    def __init__(self, connection: EngineConnection) -> None:
        self._connection = connection
        self._owner = Owner.current()
        self._numbers = itertools.count(1)
        self._images: dict[str, Image] = {}
        self._images_lock = threading.Lock()
        self._alive: set[str] = set()
        self._sweeping = threading.Lock()
        self._swept = False
        self.run_id = uuid.uuid4().hex[:12]
        self.version = connection.engine_version
        local = connection.base_url.startswith("unix:///") and sys.platform == "linux"
        self.may_share_files = local and not Path("/sys/fs/selinux/enforce").exists()
        """Whether it is worth trying to mount a directory with files that are this user's alone; see ``reads_our_files``.

        Not where containers run in a virtual machine, or SELinux keeps them from what was not made for them.
        """

    @classmethod
    def connect(cls, deadline: Deadline | None = None) -> Engine:
        """Find the engine; what dead runs left on it is removed as soon as it starts something.

        Raises:
            EngineError: there is none, no permission, or it is on another machine.
            DeadlineExceeded: it does not answer.
        """
        engine = cls(EngineConnection.find(deadline))
        atexit.register(engine._remove_all)
        return engine

    def image(self, reference: str, progress: Report | None = None, *, pull: bool = True) -> Image:
        """The image's own description; it is pulled when it isn't here, unless ``pull`` forbids it.

        Raises:
            EngineError: it is not here and can't be pulled, or may not be.
        """
        with self._images_lock:
            if reference not in self._images:
                with translated(f"looking for image {reference}"):
                    self._images[reference] = find_image(self._connection, reference, progress, pull=pull)
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
            EngineError: the engine refuses, or the image is absent (call :meth:`image` first), or can't run the command.
            DeadlineExceeded: the engine took too long.
        """
        with self.begin(spec, deadline, listener) as start:
            started = start()
            yield started()

    @contextlib.contextmanager
    def begin(
        self, spec: ContainerSpec, deadline: Deadline, listener: Callable[[str | None], None] | None = None
    ) -> Iterator[Callable[[], Callable[[], Container]]]:
        """As :meth:`run`, but the engine is only asked to make it. What is yielded has it started, as soon as it is made, and
        returns what waits until it is.

        Raises:
            EngineError, DeadlineExceeded: as :meth:`run`, each when that is waited for.
        """
        name = f"mtls-run-{self.run_id}-{next(self._numbers)}"
        with contextlib.ExitStack() as stack:
            api = self._connection.api(deadline)
            # The name is known before the container is there: an interrupt at any moment finds it.
            self._alive.add(name)
            stack.callback(self._remove, name)
            with translated("starting a container"):
                labels = {RUN_LABEL: self.run_id, OWNER_LABEL: str(self._owner)}
                made = api.ask("POST", "/containers/create", {**spec.description(), "Labels": labels}, name=name)
                # What is not there yet would not be removed.
                stack.callback(made.settle)
                self._sweep_once(api)
            yield partial(self._start, stack, api, name, spec, made, listener)

    def _start(
        self,
        stack: contextlib.ExitStack,
        api: EngineApi,
        name: str,
        spec: ContainerSpec,
        made: EngineRequest,
        listener: Callable[[str | None], None] | None,
    ) -> Callable[[], Container]:
        from mtls_runner.servers.container.container import started  # loaded while the engine works

        with translated("starting a container"):
            made.answer()
            owner = user_id(api, name, spec.user)
            if files := spec.laid_in:
                api.unpack(name, archive(files, owner))
            output = api.follow(f"/containers/{name}/attach", stream=1, stdout=1, stderr=1)
            stack.callback(output.close)
            log = LogStream(output, f"log of {name}", listener)
            log.cut = partial(_cut_off, api, name)
            stack.callback(log.join, REMOVAL_SECONDS)
            # Callbacks run last in, first out: the container goes first, and that ends its log.
            stack.callback(self._remove, name)
            asked = api.ask("POST", f"/containers/{name}/start")
            stack.callback(asked.forget)
        return partial(started, api, name, spec, asked, log, owner)

    def _sweep_once(self, api: EngineApi) -> None:
        """Meanwhile, for nobody waits for that."""
        with self._sweeping:
            swept, self._swept = self._swept, True
        if not swept:
            with contextlib.suppress(Refused):  # what others have left breaks no run
                _sweep(api, Deadline.after(0))

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
            deadline = Deadline.after(REMOVAL_SECONDS)
            _remove(self._connection.api(deadline), name, deadline)
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
        return _sweep(connection.api(), Deadline.after(REMOVAL_SECONDS))


def _sweep(api: EngineApi, deadline: Deadline) -> int:
    removed = 0
    labels = json.dumps({"label": [RUN_LABEL, OWNER_LABEL]})
    for entry in api.call("GET", "/containers/json", all=1, filters=labels):
        owner = Owner.parse(entry["Labels"][OWNER_LABEL])
        if owner is not None and owner.is_gone() and _remove(api, entry["Id"], deadline):
            removed += 1
    return removed


def _remove(api: EngineApi, name: str, deadline: Deadline) -> bool:
    """Kill and remove with anonymous volumes; whether there was anything left to remove.

    A busy engine may kill it, not hear of its end in time, and refuse; until the deadline it is asked again.
    """
    while True:
        try:
            api.call("DELETE", f"/containers/{name}", v=1, force=1)
        except Refused as refused:
            if refused.status == HTTPStatus.INTERNAL_SERVER_ERROR and not deadline.passed:
                pause(_AGAIN_SECONDS)
                continue
            # 409: somebody else (an engine that restarts, a second sweep) is removing it already.
            if not is_missing(refused) and refused.status != HTTPStatus.CONFLICT:
                raise
            return False
        return True


def _cut_off(api: EngineApi, name: str) -> str:
    """Why a container's output has ended before the container; ``""``: the container has ended, too."""
    try:
        runs = api.call("GET", f"/containers/{name}/json")["State"]["Running"]
    except (Refused, OSError, NoAnswer) as error:
        if isinstance(error, Refused) and is_missing(error):
            return ""
        return f"the connection to the container engine was lost, and so what the server says: {error}"
    return "the connection to the container engine was lost for a while, and so what the server said" if runs else ""
