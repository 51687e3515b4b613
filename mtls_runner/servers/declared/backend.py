"""The backend of a declared server."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import EngineError, LabError, ServerUnusable
from mtls_runner.model.endpoint import Address, ClientSpec, ServerSpec
from mtls_runner.model.implementation import DeclaredServer, Implementation
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Material, ServerBackend
from mtls_runner.model.traits import Runtime
from mtls_runner.private_files import user_directory
from mtls_runner.registry import NO_CONSENT
from mtls_runner.runtimes.clock import moved_clock
from mtls_runner.runtimes.directory import ProgramDirectory
from mtls_runner.runtimes.installed import Installed, missing_program
from mtls_runner.runtimes.ports import reserved_port
from mtls_runner.runtimes.process import Program, finish, start
from mtls_runner.runtimes.processes import beyond_loopback
from mtls_runner.runtimes.template import Inexpressible, render
from mtls_runner.servers.declared.answering import Answers
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.failure import start_failure
from mtls_runner.servers.declared.honours import inexpressible
from mtls_runner.servers.declared.own import cannot_be_a_process, own_address, own_files
from mtls_runner.servers.declared.reloading import replaceable
from mtls_runner.servers.declared.running import RunningDeclared, Started
from mtls_runner.servers.declared.start import wait_until_ready
from mtls_runner.servers.declared.variables import environment, placeholders, settings, variables, write_rendered

if TYPE_CHECKING:
    from mtls_runner.servers.container.engine import Engine
    from mtls_runner.servers.stubs.upstream import LoopbackStub

__all__ = ["DeclaredBackend"]

_PORTS_TRIED = 5
_CHECK_SECONDS = 20.0
_HOST = "127.0.0.1"
_EXECUTABLE = 0o100


class DeclaredBackend(ServerBackend):
    """Runs what a declaration says, as a process or in a container.

    Args:
        implementation: the declaration.
        declared: its server.
        consent: whether commands that the scenario's tree brings may run, an own configuration among them.
    """

    def __init__(self, implementation: Implementation, declared: DeclaredServer, *, consent: bool = False) -> None:
        self._implementation = implementation
        self._declared = declared
        self._title = implementation.title
        self._installed = Installed(implementation)
        self._consent = consent
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._expressible: dict[ServerSpec, str | None] = {}
        self._engine: Engine | None = None
        self._inside: dict[str, str] = {}

    def versions(self) -> Mapping[str, str]:
        """Versions of the program and of its TLS library, where it ran last."""
        return self._inside or self._installed.versions()

    def library_version(self) -> str:
        """Where its declaration says how to ask."""
        return self.versions().get(self._implementation.library_name, "")

    def cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:  # noqa: ARG002 - as the protocol has it
        """What it has no setting for, what its configuration can't hold."""
        with self._lock:
            if server not in self._expressible:
                self._expressible[server] = (
                    self._cannot_run(server)
                    or inexpressible(server, self._declared, self._title)
                    or self._unwritable(server)
                )
            return self._expressible[server]

    def _cannot_run(self, server: ServerSpec) -> str | None:
        if _in_container(server):
            return None
        if not server.option("config"):
            return missing_program(self._implementation)
        if not self._consent:
            return NO_CONSENT.format(what=f"an own configuration can have {self._title} run any command")
        beyond = cannot_be_a_process(server, self._declared)
        if beyond is not None:
            return beyond
        return missing_program(self._implementation)

    def _unwritable(self, server: ServerSpec) -> str | None:
        if server.option("config"):
            return None
        known = {**placeholders(server), **self._installed.names()}
        try:
            for file in self._declared.files:
                render(file.text, file.syntax, known, file.name)
        except Inexpressible as error:
            return f"{self._title}: {error}"
        return None

    @contextlib.contextmanager
    def serve(self, server: ServerSpec, material: Material, deadline: Deadline) -> Iterator[RunningDeclared]:
        """A process in a directory of its own, or a container.

        Raises:
            ServerUnusable: it can't start with what it was given.
            LabError: it is not installed, or does not answer; there is no engine, or no image.
        """
        with contextlib.ExitStack() as stack:
            stub = None
            if server.stubs:
                from mtls_runner.servers.stubs.upstream import LoopbackStub

                stub = stack.enter_context(LoopbackStub(server))
                there = tuple((name, stub.address) for name in server.stubs)
                server = replace(server, reached=(*server.reached, *there))
            running = stack.enter_context(self._served(server, material, deadline))
            running.application = stub.take if stub is not None else None
            yield running

    @contextlib.contextmanager
    def _served(self, server: ServerSpec, material: Material, deadline: Deadline) -> Iterator[RunningDeclared]:
        if _in_container(server):
            with self._serve_in_container(server, material, deadline) as running:
                yield running
            return
        seconds = self._declared.starts_within or deadline.remaining()
        cache = self._installed.directory()
        deadline = Deadline.after(seconds)  # building takes time of its own
        for _ in range(_PORTS_TRIED):
            with contextlib.ExitStack() as stack:
                try:
                    running = self._start(server, material, cache, deadline, stack)
                except ServerUnusable as error:
                    if error.reason != Reason.ADDRESS_IN_USE or server.option("config"):
                        raise
                    continue  # somebody was faster: another port
                yield running
                return
        raise LabError(f"{self._title} found {_PORTS_TRIED} ports in use, one after the other")

    @contextlib.contextmanager
    def _serve_in_container(
        self, server: ServerSpec, material: Material, deadline: Deadline
    ) -> Iterator[RunningDeclared]:
        from mtls_runner.servers.container.reach import reach
        from mtls_runner.servers.declared.container import serve_in_container

        with self._lock:
            if self._engine is None:
                self._engine = self._connected()
        here = self._directory(server, material)
        with (
            reach(self._engine, server) as reached,
            serve_in_container(
                self._implementation, self._declared, self._engine, reached, material, here, deadline
            ) as (running, container),
        ):
            if not self._inside and self._implementation.version is not None:
                told = container.output_of(*self._implementation.version.command)
                self._inside = {**self._installed.read_versions(told), "docker engine": self._engine.version}
            yield running

    def _connected(self) -> Engine:
        """The engine; without one, what else there is."""
        from mtls_runner.servers.container.engine import Engine

        try:
            return Engine.connect()
        except EngineError as error:
            raise EngineError(
                f"{error}. Without an engine: --runtime process runs {self._title} on this machine"
            ) from error

    def _start(
        self, server: ServerSpec, material: Material, cache: str, deadline: Deadline, stack: contextlib.ExitStack
    ) -> RunningDeclared:
        own = bool(server.option("config"))
        address = (
            own_address(server, self._declared)
            if own
            else Address(_HOST, stack.enter_context(reserved_port(user_directory() / "ports", _HOST)))
        )
        here = self._directory(server, material)

        # An author's log may not have the client's port: lines belong by their order.
        log = ConnectionLog(self._declared.log, by_port=not own)
        application = self._application(server, log, stack) if not own else None
        behind = application.address if application is not None else None

        generations = itertools.count(1)

        def written(described: ServerSpec, *, told: bool) -> Mapping[str, object]:
            if own:
                return self._own(replace(described, reached=server.reached), material, here)
            place = ProgramDirectory(here, str(here))
            generation = next(generations) if told else 0
            known = {
                **variables(described, material, place, address, cache, behind, generation),
                **self._installed.names(),
            }
            write_rendered(self._declared, place, known, told=told)
            return known

        try:
            known = written(server, told=True)
            command = self._installed.command(self._declared.command, known, cache)
        except Inexpressible as error:  # all else was tried before anything ran
            raise LabError(f"{self._title}: {error}: set TMPDIR to another directory") from error
        answers = self._answers(server, here, stack) if not own else None
        program = stack.enter_context(
            start(
                command,
                here,
                environment=moved_clock(server.clock, self._environment(known)),
                standard_input=answers.fifo if answers is not None else None,
                stop=self._declared.stop,
                listener=lambda line: _heard(line, log, answers),
            )
        )
        certificate = material.credential(server.certificate).der if server.certificate is not None else None
        greeted = wait_until_ready(
            program,
            self._declared,
            address,
            certificate,
            log,
            deadline,
            own=own,
            listens_on=program.listens_on,
            names=server.asked,
        )
        if greeted is None:
            raise self._failure(server, material, program, known, cache, here)
        if own or self._declared.listens_everywhere or not self._implementation.shipped:
            self._keep_to_loopback(program, own=own)
        told = None if own else partial(self._arguments, cache)
        answer = application.answer_as if application is not None else None
        started = Started(self._implementation, self._declared, address, program, log, not own, greeted, told, answer)
        return replaceable(started, server, material, written)

    def _arguments(self, cache: str, server: ServerSpec) -> object:
        """What it is started with beside its files, wherever these lie."""
        known = {**placeholders(server), **self._installed.names()}
        return self._installed.command(self._declared.command, known, cache), environment(self._declared, known)

    def _keep_to_loopback(self, program: Program, *, own: bool) -> None:
        reached = ", ".join(map(str, beyond_loopback(program.listens_on())))
        if reached:
            raise LabError(
                f"{self._title} listens beyond loopback, on {reached}, and was ended: "
                + (
                    "only runtime: container keeps others away from it"
                    if own or self._declared.listens_everywhere
                    else "where to listen is {{address}}; one that can't be told says listens_everywhere: true"
                )
            )

    def _own(self, server: ServerSpec, material: Material, here: Path) -> Mapping[str, object]:
        """Writes the author's files; returns what commands may name."""
        for file in own_files(server, self._declared, material, str(here)):
            name, place = str(Path(file.path).relative_to(here)), ProgramDirectory(here, str(here))
            place.write(name, file.content, executable=bool(file.mode & _EXECUTABLE))
        return {**settings(server), "dir": str(here)}

    def _directory(self, server: ServerSpec, material: Material) -> Path:
        base = material.directory.absolute() / self._implementation.name
        base.mkdir(mode=0o700, exist_ok=True)
        directory = base / server.id
        while True:
            try:
                directory.mkdir(mode=0o700)
            except FileExistsError:
                directory = base / f"{server.id}-{next(self._numbers)}"
            else:
                return directory

    def _environment(self, known: Mapping[str, object]) -> dict[str, str]:
        found = environment(self._declared, known)
        if not self._declared.listens_everywhere:
            return found
        from mtls_runner.runtimes.preload import preload

        return {**found, **preload()}

    def _answers(self, server: ServerSpec, here: Path, stack: contextlib.ExitStack) -> Answers | None:
        if self._declared.answers != "stdin":
            return None
        answers = Answers(server, self._declared, here / "standard-input")
        stack.callback(answers.close)
        return answers

    def _application(self, server: ServerSpec, log: ConnectionLog, stack: contextlib.ExitStack) -> LoopbackStub | None:
        if self._declared.answers != "application":
            return None
        from mtls_runner.servers.stubs.upstream import LoopbackStub

        return stack.enter_context(LoopbackStub(server, log.asked))

    def _failure(
        self,
        server: ServerSpec,
        material: Material,
        program: Program,
        known: Mapping[str, object],
        cache: str,
        here: Path,
    ) -> ServerUnusable:
        if program.exit_code() is not None:
            program.log.join(1)
        lines = list(program.log.tail())
        if self._declared.check is not None:
            command = self._installed.command(self._declared.check, known, cache)
            done = finish(command, here, Deadline.after(_CHECK_SECONDS), environment=self._environment(known))
            lines = [*done.text().splitlines(), *lines]
        return start_failure(
            self._title,
            self._declared,
            list(dict.fromkeys(lines)),
            program.exit_code(),
            server,
            material,
        )


def _heard(line: str | None, log: ConnectionLog, answers: Answers | None) -> None:
    log.feed(line)
    if line is not None and answers is not None:
        answers.feed(line)


def _in_container(server: ServerSpec) -> bool:
    """Where that was asked for; and an author's own configuration, which can have a program do anything, unless it was not."""
    if server.option("config"):
        return server.runtime is not Runtime.PROCESS
    return server.runtime is Runtime.CONTAINER
