"""nginx as a process of this machine: the one that is installed, run by the user who runs the lab, in a directory of its own.

The lab binds the port and hands the socket over, as an nginx does to the next one when it is replaced by a newer binary (the
variable ``NGINX``, ``ngx_add_inherited_sockets``): so no port is chosen that somebody else could take, and whoever connects
before nginx is ready waits.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError, ServerUnusable
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Material
from mtls_runner.runtimes.clock import moved_clock
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.runtimes.process import Program, find_program, finish, start
from mtls_runner.servers.container.files import ContainerFile, lay
from mtls_runner.servers.nginx.build import NginxBuild
from mtls_runner.servers.nginx.prepare import Prepared, prepare_generated, prepare_own
from mtls_runner.servers.nginx.reloading import ReloadableNginx
from mtls_runner.servers.nginx.start import wait_until_ready
from mtls_runner.servers.nginx.surroundings import ROOT, Surroundings
from mtls_runner.servers.nginx.write.configuration import port_inside
from mtls_runner.servers.nginx.write.syntax import path_argument
from mtls_runner.servers.stubs.upstream import upstream_stub

if TYPE_CHECKING:
    from mtls_runner.servers.nginx.read.copy import OwnConfiguration

__all__ = ["InstalledNginx", "NginxProcess", "installed", "serve_as_process"]

_HOST = "127.0.0.1"
_BACKLOG = 511
"""nginx's own (``NGX_LISTEN_BACKLOG``)."""
_ASKING_SECONDS = 10.0
_TEMPORARY = {
    "client_body_temp_path": "http",
    "proxy_temp_path": "http_proxy",
    "fastcgi_temp_path": "http_fastcgi",
    "uwsgi_temp_path": "http_uwsgi",
    "scgi_temp_path": "http_scgi",
}
"""Directories that nginx makes when it starts, wherever it was built for, and the module of each."""


class InstalledNginx(Struct, frozen=True):
    """The nginx of this machine.

    Args:
        path: of the program.
        build: what it says of itself.
    """

    path: str
    build: NginxBuild


@lru_cache(maxsize=4)
def _ask(path: str) -> InstalledNginx:
    with tempfile.TemporaryDirectory(prefix="mtls-run-") as directory:
        return InstalledNginx(
            path, NginxBuild(finish([path, "-V"], Path(directory), Deadline.after(_ASKING_SECONDS)).text())
        )


def installed() -> InstalledNginx | None:
    """The one on PATH, where servers lie, or among the scripts of this Python; asked once.

    Raises:
        LabError: it can't be run.
    """
    path = find_program("nginx")
    return _ask(path) if path is not None else None


class NginxProcess:
    """Implements :class:`mtls_runner.servers.nginx.instance.NginxInstance`."""

    def __init__(self, program: Program, address: Address) -> None:
        self._program = program
        self._address = address

    @property
    def log(self) -> LogStream:
        """Both streams."""
        return self._program.log

    @property
    def address(self) -> Address:
        """The socket that it was given."""
        return self._address

    def exit_code(self) -> int | None:
        """The exit code of the master process."""
        return self._program.exit_code()

    def processes(self) -> tuple[str, ...]:
        """The processes of its group."""
        ps = find_program("ps")
        if ps is None:
            return tuple(_commands_in_proc(self._program.pid))
        with tempfile.TemporaryDirectory(prefix="mtls-run-") as directory:
            listing = finish([ps, "-A", "-o", "pgid=", "-o", "args="], Path(directory), Deadline.after(_ASKING_SECONDS))
        rows = (line.strip().partition(" ") for line in listing.output.decode("utf-8", "replace").splitlines())
        return tuple(command.strip() for group, _, command in rows if group == str(self._program.pid))

    def replace(self, files: Sequence[ContainerFile]) -> None:
        """Replace files by rename: whoever opens one gets a whole file."""
        for file in files:
            _write(file)

    def signal(self, name: str) -> None:
        """To the master."""
        self._program.signal(name)


def _commands_in_proc(group: int) -> Iterator[str]:
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(directory.name)) == group:
                yield (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()


def _write(file: ContainerFile) -> None:
    path = Path(file.path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lay(file, path)


def _surroundings(directory: Path, nginx: InstalledNginx) -> Surroundings:
    """Everything below the directory; root's workers stay root's, who alone can enter it."""
    main = [f"pid {path_argument(f'{directory}/nginx.pid')};"]
    if os.geteuid() == 0:
        main.append(f"user {pwd.getpwuid(0).pw_name};")
    temporary = tuple(
        f"{directive} {path_argument(f'{directory}/{directive}')};"
        for directive, module in _TEMPORARY.items()
        if nginx.build.has(module)
    )
    return Surroundings(str(directory), f"{_HOST}:", tuple(main), temporary, nginx.build.modules)


@contextlib.contextmanager
def serve_as_process(
    server: ServerSpec, material: Material, nginx: InstalledNginx, deadline: Deadline
) -> Iterator[ReloadableNginx]:
    """The scenario's server, ready.

    Raises:
        MaterialError: something can't be made.
        ServerUnusable: nginx can't start with what it was given.
        LabError: it can't be started at all.
    """
    directory = _directory(server, material)
    surroundings = _surroundings(directory, nginx)
    options = ["-e", "stderr"] if nginx.build.is_at_least("1.19.5") else []
    own = _read(server)
    if own is not None:
        from mtls_runner.servers.nginx.read.around import said_around

        surroundings = replace(surroundings, http=(*surroundings.http, *said_around(nginx.build.configuration, own)))
    wanted = port_inside(server)
    numbers = tuple(dict.fromkeys((wanted, *(own.ports.values() if own is not None else ()))))
    with contextlib.ExitStack() as stack:
        listeners = {number: stack.enter_context(_listener()) for number in numbers}
        ports = {number: listener.getsockname()[1] for number, listener in listeners.items()}
        address = Address(_HOST, ports[wanted])
        stub = stack.enter_context(upstream_stub(server, material.directory)) if server.stubs else None

        def prepared_for(changed: ServerSpec) -> Prepared:
            if own is None:
                return prepare_generated({address.port: changed}, material, surroundings)
            return prepare_own(
                _read(replace(changed, reached=server.reached)) or own,
                material,
                surroundings,
                ports,
                str(stub.directory) if stub else "",
            )

        prepared = prepared_for(server)
        for file in prepared.files:
            _write(file)
        given = [
            listener.fileno() for number, listener in listeners.items() if own is None or number in own.ports.values()
        ]
        prefix = f"{directory}{ROOT if own is not None else ''}/"
        command = [nginx.path, "-p", prefix, *options, *(prepared.command or ())]
        environment = moved_clock(server.clock, {"NGINX": "".join(f"{number};" for number in given)})
        program = stack.enter_context(start(command, directory, environment=environment, inherited=tuple(given)))
        for listener in listeners.values():
            listener.close()  # its own are nginx's now: they end with it
        process = NginxProcess(program, address)
        ready = wait_until_ready(process, prepared, wanted, deadline)
        yield ReloadableNginx(
            address,
            process,
            prepared,
            prepared_for,
            stub.take if stub is not None else None,
            warnings=ready.warnings,
            proxied=wanted in prepared.proxy_ports,
        )


def _directory(server: ServerSpec, material: Material) -> Path:
    """Of its own, below the plan's."""
    above = material.directory.absolute() / "nginx"
    above.mkdir(mode=0o700, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{server.id}-", dir=above))
    if "$" in str(directory):
        raise LabError(f"nginx would take the $ in {directory} for a variable: set TMPDIR to another directory")
    return directory


def _listener() -> socket.socket:
    """One that nginx inherits; like nginx's own, which may accept until nobody is there, it does not block."""
    listener = socket.create_server((_HOST, 0), backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


def _read(server: ServerSpec) -> OwnConfiguration | None:
    if not server.option("config"):
        return None
    from mtls_runner.servers.nginx.read.copy import read_user_configuration

    own = read_user_configuration(server)
    beyond = next(
        (address for address in own.listens if address.split(" ")[0] not in own.ports and "quic" not in address), None
    )
    if beyond is not None:
        raise ServerUnusable(
            f"listen {beyond}: a process of the lab's listens on loopback only; a container has it",
            reason=Reason.BAD_CONFIG,
        )
    return own
