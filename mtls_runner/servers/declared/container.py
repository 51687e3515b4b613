"""A declared server in a container: with the lab's configuration, or with the author's as it is."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.implementation import DeclaredServer, Implementation, Reload
from mtls_runner.model.port import Material
from mtls_runner.runtimes.clock import check_loaded
from mtls_runner.runtimes.directory import ProgramDirectory
from mtls_runner.runtimes.template import render
from mtls_runner.servers.container.container import Container, no_program
from mtls_runner.servers.container.engine import Engine
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.container.reach import Reach
from mtls_runner.servers.container.spec import MEMORY, PIDS, ContainerSpec
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.failure import start_failure
from mtls_runner.servers.declared.own import own_files, own_port, variables_read
from mtls_runner.servers.declared.reloading import reload_of, replaceable
from mtls_runner.servers.declared.running import RunningDeclared, Started
from mtls_runner.servers.declared.start import wait_until_ready
from mtls_runner.servers.declared.variables import environment, settings, variables, write_rendered

__all__ = ["serve_in_container"]

_DIRECTORY = "/mtls-run"
_PORT = 8443
_NOT_RUN = (126, 127)
"""Exit codes of a shell whose command can't be executed, or is not there (POSIX.1-2017, 2.8.2)."""
_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_CHROOT")
"""What a server that is started as root needs to read its files, to become somebody else and to lock itself in."""


@contextlib.contextmanager
def serve_in_container(
    implementation: Implementation,
    declared: DeclaredServer,
    engine: Engine,
    reach: Reach,
    material: Material,
    directory: Path,
    deadline: Deadline,
) -> Iterator[tuple[RunningDeclared, Container]]:
    """A server that is ready, and the container that it runs in.

    Args:
        implementation, declared: what runs, and how.
        engine: the run's.
        reach: what to run, and how it reaches the servers behind it.
        material: the plan's.
        directory: where its files are written before they are laid into the container; private to it.
        deadline: until when it has to be ready; pulling an image doesn't count.

    Raises:
        MaterialError: something can't be made or read.
        ServerUnusable: it can't start with what it was given.
        LabError: there is no image, or it does not answer.
    """
    if declared.container is None:
        raise LabError(f"{implementation.title} does not say how it runs in a container")
    server = reach.server
    own = bool(server.option("config"))
    seconds = declared.starts_within or deadline.remaining()
    image = engine.image(server.option("image"))
    deadline = Deadline.after(seconds)
    port = own_port(server) if own else _PORT
    known: Mapping[str, object] = {"dir": _DIRECTORY, "cache": _DIRECTORY}
    reached = server.reached
    generations = itertools.count(1)

    def files(described: ServerSpec) -> tuple[ContainerFile, ...]:
        if own:
            return tuple(own_files(replace(described, reached=reached), declared, material, _DIRECTORY))
        return tuple(_generated(described, declared, material, directory, port, next(generations)))

    template = declared.container.command or declared.command
    name = f"{implementation.name}'s command"
    command = [argument for one in template if (argument := render(one, "argument", known, name))]
    # A published port hides the client's own, and an author's log may not have it: lines belong by their order.
    log = ConnectionLog(declared.log, by_port=False)
    spec = ContainerSpec(
        image=image.reference,
        port=port,
        entrypoint=(command[0],),
        command=tuple(command[1:]),
        files=files(server),
        directory=_DIRECTORY,
        user=declared.container.user or image.user,
        run_as=declared.container.user or "",
        capabilities=_CAPABILITIES,
        environment=(
            *(variables_read(server, declared) if own else ()),
            *environment(declared, {**settings(server), **known}).items(),
        ),
        hosts=reach.hosts,
        memory=int(server.option("memory") or MEMORY),
        pids=int(server.option("pids") or PIDS),
        clock=server.clock,
    )
    with engine.run(spec, deadline, log.feed) as container:
        reach.admit(container.host)
        certificate = material.credential(server.certificate).der if server.certificate is not None else None
        address = container.address
        greeted = None
        if address is not None:
            greeted = wait_until_ready(
                container, declared, address, certificate, log, deadline, own=own, names=server.asked
            )
        if greeted is None:
            container.log.join(1)
        if server.clock:
            check_loaded(container.log.tail())
        if address is None or greeted is None:
            raise _why_not(container, image.reference, implementation, declared, server, material)
        started = Started(implementation, declared, address, container, log, not own, greeted)

        def write(changed: ServerSpec, /, *, told: bool) -> None:
            _replace(container, files(changed), reload_of(declared, server), told=told)

        yield replaceable(started, server, material, write), container


def _why_not(
    container: Container,
    image: str,
    implementation: Implementation,
    declared: DeclaredServer,
    server: ServerSpec,
    material: Material,
) -> LabError:
    """Why it does not run, or does not answer."""
    code, said = container.exit_code(), container.log.tail()
    if code in _NOT_RUN:
        return no_program(image, implementation.title, said[-1] if said else f"exit code {code}")
    return start_failure(implementation.title, declared, said, code, server, material)


def _replace(container: Container, files: Sequence[ContainerFile], how: Reload | None, *, told: bool) -> None:
    """Lay new files over those that are there; one that the server watches comes last, once it is ``told``."""
    if how is None:
        container.move_in(files)
    elif how.file is None:
        container.replace(files)
    elif told:
        container.move_in([file for file in files if file.path == f"{_DIRECTORY}/{how.file}"])
    else:
        container.replace([file for file in files if file.path != f"{_DIRECTORY}/{how.file}"])


def _generated(
    server: ServerSpec, declared: DeclaredServer, material: Material, here: Path, port: int, generation: int
) -> Iterator[ContainerFile]:
    place = ProgramDirectory(here, _DIRECTORY)
    address = Address("0.0.0.0", port)  # noqa: S104 - inside; published on loopback
    known = variables(server, material, place, address, _DIRECTORY, generation=generation)
    write_rendered(declared, place, known, told=True)
    for path in sorted(here.rglob("*")):
        if path.is_file():
            mode = path.stat().st_mode & 0o777
            yield ContainerFile(f"{_DIRECTORY}/{path.relative_to(here)}", path.read_bytes(), mode)
