"""The servers of one plan: each started at its first case, whoever asks first, and stopped at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline, go_on
from mtls_runner.errors import FileUnusable, LabError, ServerUnusable
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.endpoint import ByIdentity, ClientSpec, ServerSpec
from mtls_runner.model.port import Report, RunningServer, ServerBackend
from mtls_runner.model.traits import BackendTraits, Runtime

if TYPE_CHECKING:
    from mtls_runner.engine.discretion import Discretion
    from mtls_runner.pki import Store

__all__ = ["PlanServers"]

_START_SECONDS = 60.0
"""How long a server may take to be ready."""


def _is_asked_for(name: str) -> bool:
    """Whether CPython sends it: not with an empty label."""
    with suppress(UnicodeError):
        return bool(name.encode("idna"))
    return False


class _Server:
    """A server that is started once, whoever asks first; its failure is everybody's."""

    __slots__ = ("failure", "lock", "running")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: RunningServer | None = None
        self.failure: LabError | None = None


class PlanServers:
    """A context manager: at its end none of them runs.

    Args:
        plan: whose.
        material: its keys and certificates, made when they are first asked for.
        directory: of the run, 0700.
        runs: whether a case is run.
        together: several may share what they run in; otherwise each is by itself, so that its log is only its own.
        report: told about work that takes time.
        discretion: masks what programs print; ``None``: there is nothing to mask.
    """

    def __init__(
        self,
        plan: Plan,
        material: Callable[[], Store],
        directory: Callable[[], Path],
        runs: Callable[[Case], bool],
        *,
        together: bool,
        report: Report | None,
        discretion: Callable[[], Discretion | None],
    ) -> None:
        self._plan = plan
        self._material = material
        self._directory = directory
        self._runs = runs
        self._together = together
        self._report = report
        self._discretion = discretion
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._servers: dict[ServerSpec, _Server] = {}
        self._by_identity: ByIdentity[ServerSpec, _Server] = ByIdentity()
        self._backends: dict[BackendTraits, ServerBackend] = {}
        self._announced: set[BackendTraits] = set()
        self._announcing = threading.Lock()
        self._connects: dict[RunningServer, Sequence[tuple[ServerSpec, RunningServer]]] = {}
        self._warnings: dict[str, None] = {}
        self._told = 0

    def __enter__(self) -> PlanServers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def running(self, spec: ServerSpec) -> RunningServer:
        """The running server of a description, started at the first call.

        Raises:
            ServerUnusable: it can't start with what it was given; the same error at every call.
            LabError: the lab is broken.
        """
        with self._lock:
            # Cases share one object for equal servers: it is found without hashing all that it holds.
            server = self._by_identity.get(spec)
            if server is None:
                server = self._by_identity.set(spec, self._servers.setdefault(spec, _Server()))
        with server.lock:
            if server.failure is not None:
                raise server.failure
            if server.running is None:
                if self._together:
                    self._announce(spec.backend)
                try:
                    server.running = self._opened(spec, self._stack)
                except LabError as error:
                    server.failure = error
                    raise
            return server.running

    @contextmanager
    def own(self, spec: ServerSpec) -> Iterator[RunningServer]:
        """A server that nobody else connects to.

        Raises:
            LabError: as :meth:`running`.
        """
        with ExitStack() as stack:
            yield self._opened(spec, stack)

    def _opened(self, spec: ServerSpec, stack: ExitStack) -> RunningServer:
        """A server that runs until ``stack`` is left; its last words, where it does not, are for people."""
        try:
            return self._started(spec, stack)
        except LabError as error:
            if (discretion := self._discretion()) is not None:
                discretion.error(error)
            raise

    def _started(self, spec: ServerSpec, stack: ExitStack) -> RunningServer:
        go_on()
        self._tell_start(spec)
        behind = [(name, one, self.running(one)) for name, one in spec.behind]
        given = self._given(spec)
        if behind:
            given = replace(given, reached=tuple((name, running.address) for name, _, running in behind))
        backend = self.backend(spec.backend)
        with backend.beginning(given, self._directory(), Deadline.after(_START_SECONDS)):
            context = backend.serve(given, self._material(), Deadline.after(_START_SECONDS))
            try:
                running = context.__enter__()
            except (ServerUnusable, FileUnusable) as error:
                from mtls_runner.engine.own_material import server_told

                raise server_told(error, spec, self._material(), backend.library_version) from error
        with self._lock:
            stack.push(context.__exit__)
        self._connects[running] = tuple((one, other) for _, one, other in behind if other.tells_of_everyone)
        self._hear(spec, running)
        if not spec.backend.opens_keys and any(one.passphrase is not None for one in spec.every_host):
            with self._lock:
                self._warnings.setdefault(
                    f"server {spec.id!r}: {spec.backend.sentence} opens no encrypted key, and is given a decrypted one"
                )
        return running

    def _given(self, spec: ServerSpec) -> ServerSpec:
        """What a backend is told of a server: of one with an own configuration, the names by which clients ask for it, too."""
        if not spec.option("config"):
            return spec
        clients = (step.client for case in self._plan.cases if case.server.id == spec.id for step in case.steps)
        names = dict.fromkeys(client.server_name for client in clients if client and client.server_name)
        return replace(spec, asked=tuple(filter(_is_asked_for, names)))

    def behind(self, running: RunningServer) -> Sequence[tuple[ServerSpec, RunningServer]]:
        """The servers of the plan that one connects to, as far as they tell of everyone."""
        return self._connects.get(running, ())

    def backend(self, traits: BackendTraits) -> ServerBackend:
        """What runs such servers, made once."""
        with self._lock:
            if traits not in self._backends:
                made = self._backends[traits] = traits.make()
                if self._report is not None:
                    made.report_to(self._report)
            return self._backends[traits]

    def _announce(self, traits: BackendTraits) -> None:
        """Tell a backend, once, of all servers that it may have to start."""
        chosen = self.backend(traits)
        with self._announcing:  # whoever comes second goes on only when the backend knows them all
            if traits in self._announced:
                return
            cases = [case for case in self._plan.cases if case.server.backend is traits]
            # A server with an expectation of its own may be one that can't start: it is not to take others with it.
            judged = {case.server for case in cases if case.client is None}
            wanted = (case.server for case in cases if case.client is not None and self._runs(case))
            chosen.expect(tuple(self._given(server) for server in dict.fromkeys(wanted) if server not in judged))
            self._announced.add(traits)

    def cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        """Why the backend can't give a client this server; ``None``: it can."""
        backend, runtime = server.backend, server.runtime
        if runtime is not None and runtime not in backend.runtimes:
            return f"{backend} does not run {runtime.told}"
        if server.configured_for is not None:
            return f"the scenario brings {server.configured_for}'s own configuration"
        by_path = any(response.rules for one in server.every_host for response in one.responses)
        if by_path and not backend.rules_by_path and not server.option("config"):
            return f"the lab writes no rules for single paths for {backend}"
        return backend.missing() or self.backend(backend).cannot(server, client)

    def version(self, backend: BackendTraits) -> str:
        """Of the program that serves; ``""``: not known (yet)."""
        found = self.backend(backend).versions()
        return found.get(backend.name, next(iter(found.values()), ""))

    def library_version(self, backend: BackendTraits) -> str:
        """Of its TLS library; ``""``: not known (yet)."""
        return self.backend(backend).library_version()

    def versions(self) -> dict[str, str]:
        """Versions of everything that served so far."""
        with self._lock:
            made = list(self._backends.values())
        return {name: version for server in made for name, version in server.versions().items()}

    def _tell_start(self, spec: ServerSpec) -> None:
        """Report the start of a server that takes time: of any but the lab's own."""
        runtimes = spec.backend.runtimes
        if self._report is not None and runtimes and Runtime.EMBEDDED not in runtimes:
            self._report(f"starting {spec.backend} server {spec.id}", 0, 0)

    def _hear(self, spec: ServerSpec, running: RunningServer) -> None:
        """What a program warns of is easily overlooked in its log."""
        discretion = self._discretion()
        for warning in running.warnings if discretion is None else discretion.told(tuple(running.warnings)):
            with self._lock:
                self._warnings.setdefault(f"server {spec.id!r}: {spec.backend} warns: {warning}")

    def warned(self) -> tuple[str, ...]:
        """What servers have warned of since this was asked last; each warning once."""
        with self._lock:
            new = tuple(self._warnings)[self._told :]
            self._told += len(new)
            return new

    def hear_from(self, others: PlanServers) -> None:
        """What they were warned of, these have been."""
        with self._lock:
            self._warnings.update(others._warnings)
