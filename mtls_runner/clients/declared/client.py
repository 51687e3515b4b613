"""A declared client: a process for each exchange, or one that stays."""

from __future__ import annotations

import contextlib
import itertools
import re
import shlex
import shutil
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from mtls_runner.clients.curl.trace import CurlTrace
from mtls_runner.clients.declared.honours import inexpressible
from mtls_runner.clients.declared.messages import parse
from mtls_runner.clients.declared.resident import Residents
from mtls_runner.clients.declared.variables import placeholders, variables
from mtls_runner.clients.declared.view import Wrote, client_view
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ClientSpec
from mtls_runner.model.implementation import DeclaredClient, Implementation
from mtls_runner.model.observation import ClientView
from mtls_runner.model.port import Client, Material
from mtls_runner.private_files import user_directory
from mtls_runner.runtimes.clock import moved_clock
from mtls_runner.runtimes.directory import ProgramDirectory
from mtls_runner.runtimes.installed import Installed
from mtls_runner.runtimes.ports import reserved_port
from mtls_runner.runtimes.process import Finished, Unfinished, finish
from mtls_runner.runtimes.shared_settings import has_encrypted_key
from mtls_runner.runtimes.template import Inexpressible, render
from mtls_runner.tls import unknown_group

__all__ = ["DeclaredToolClient"]

_MESSAGES = "messages"
_MOST = 1 << 26
_GRACE_SECONDS = 0.5
"""Beyond the exchange's own limit, for a client that can't be told it."""
_START_SECONDS = 60.0
"""The same for one that is told it, and begins to count once it runs: starting a JVM or Python takes time of its own."""
_READY_SECONDS = 10.0
"""The same for one that runs already, and has to read what it is to do."""
_GAVE_UP = re.compile(rb"time(?:d )?out|deadline exceeded", re.IGNORECASE)


class DeclaredToolClient(Client):
    """Implements :class:`mtls_runner.model.port.Client`.

    Args:
        implementation: the declaration.
        declared: its client.
    """

    def __init__(self, implementation: Implementation, declared: DeclaredClient) -> None:
        self._implementation = implementation
        self._declared = declared
        self._installed = Installed(implementation)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._expressible: dict[ClientSpec, str | None] = {}
        templates = (*declared.command, *(file.text for file in declared.files), *dict(declared.environment).values())
        stays = declared.stays.request if declared.stays is not None else ""
        self._told_port = declared.told_port or any(
            "local_port" in template for template in (*templates, declared.input or "", stays)
        )
        self._residents = Residents(declared.stays.done, declared.stays.ready) if declared.stays is not None else None

    def version(self) -> str:
        """The program's version."""
        return self._installed.versions().get(self._implementation.name, "")

    def library_version(self) -> str:
        """The version of its TLS library, where its declaration says how to ask."""
        return self._installed.versions().get(self._implementation.library_name, "")

    def cannot(self, client: ClientSpec) -> str | None:
        """What it has no setting for, or what its files and arguments can't hold."""
        with self._lock:
            if client not in self._expressible:
                title = self._implementation.title
                self._expressible[client] = (
                    inexpressible(client, self._declared, title)
                    or self._unwritable(client)
                    or self._too_old_for(client)
                )
            return self._expressible[client]

    def _too_old_for(self, client: ClientSpec) -> str | None:
        if not client.groups:  # asking for versions takes a process
            return None
        return unknown_group(client.groups, self._declared.dialect.name, self.library_version() or self.version())

    def _unwritable(self, client: ClientSpec) -> str | None:
        known = {**placeholders(client), **self._installed.names()}
        try:
            for file in self._declared.files:
                render(file.text, file.syntax, known, file.name)
            for argument in self._declared.command:
                render(argument, "argument", known, "command")
        except Inexpressible as error:
            return f"{self._implementation.title}: {error}"
        return None

    def probe(self, client: ClientSpec, address: Address, material: Material, deadline: Deadline) -> ClientView:
        """Make one connection and one request by the declared program.

        Raises:
            LabError: it is missing, or its declaration is wrong.
        """
        seconds = deadline.remaining()
        cache = self._installed.directory()
        here = self._directory(material)
        try:
            with contextlib.ExitStack() as stack:
                place = ProgramDirectory(here, str(here))
                known = variables(client, client.connect or address, material, place, cache)
                known |= self._installed.names()
                port = None
                if self._told_port:
                    port = stack.enter_context(reserved_port(user_directory() / "ports", connects=True))
                    known["local_port"] = port
                try:
                    command = self._prepared(known, here, cache)
                except Inexpressible as error:  # all else was tried before anything ran
                    title = self._implementation.title
                    raise LabError(f"{title}: {error}: set TMPDIR to another directory") from error
                wrote = self._run(known, command, here, min(seconds, client.timeout), client.clock)
        finally:
            shutil.rmtree(here, ignore_errors=True)
        if self._declared.transcript is not None and wrote.trace is not None and not wrote.trace.said_hello:
            port = None
        typed = shlex.join(command)
        if self._declared.stays is not None:
            typed = (
                f"echo {shlex.quote(render(self._declared.stays.request, 'line', known, 'stays.request'))} | {typed}"
            )
        return client_view(
            self._implementation.name,
            self.version(),
            self._declared,
            client,
            wrote,
            typed,
            port,
            encrypted=has_encrypted_key(client, material),
        )

    def close(self) -> None:
        """End the processes that stay."""
        if self._residents is not None:
            self._residents.close()

    def _prepared(self, known: Mapping[str, object], here: Path, cache: str) -> list[str]:
        place = ProgramDirectory(here, str(here))
        for file in self._declared.files:
            content = render(file.text, file.syntax, known, file.name).encode()
            place.write(file.name, content, executable=file.executable)
        if self._declared.input is not None:
            content = render(self._declared.input, "argument", known, "input").encode()
            body = known.get("body_file")
            place.write("input", content + (Path(str(body)).read_bytes() if body else b""))
        return self._installed.command(self._declared.command, known, cache)

    def _run(
        self, known: Mapping[str, object], command: list[str], here: Path, seconds: float, clock: timedelta
    ) -> Wrote:
        environment = {name: render(text, "argument", known, name) for name, text in self._declared.environment}
        if self._declared.told_port:
            from mtls_runner.runtimes.preload import preload

            environment.update(preload(known["local_port"]))
        timed_out = False
        counts = any("timeout" in file.text or "everything" in file.text for file in self._declared.files)
        more = _GRACE_SECONDS
        if counts:
            stays = self._declared.stays
            more = _READY_SECONDS if stays is not None and stays.ready is not None else _START_SECONDS
        try:
            done = self._finish(known, command, here, seconds + more, moved_clock(clock, environment))
        except Unfinished as error:
            done, timed_out = error.partial, True
        return Wrote(
            done.exit_code,
            done.output,
            done.errors,
            self._trace(here),
            timed_out or _late(done, seconds, counts=counts),
        )

    def _finish(
        self,
        known: Mapping[str, object],
        command: list[str],
        here: Path,
        seconds: float,
        environment: Mapping[str, str],
    ) -> Finished:
        if self._residents is not None and self._declared.stays is not None:
            request = render(self._declared.stays.request, "line", known, "stays.request")
            return self._residents.exchange(command, environment, request, here.parent, seconds)
        return finish(
            command,
            here,
            Deadline.after(seconds),
            environment=environment,
            standard_input=here / "input" if self._declared.input is not None else None,
            most=_MOST,
        )

    def _trace(self, here: Path) -> CurlTrace | None:
        if self._declared.transcript is None:
            return None
        try:
            return parse((here / _MESSAGES).read_bytes())
        except FileNotFoundError:
            return None  # it never came to a handshake
        except OSError as error:
            raise LabError(f"{self._implementation.title} wrote no messages: {error.strerror}") from error

    def _directory(self, material: Material) -> Path:
        base = material.directory.absolute() / f"{self._implementation.name}-client"
        base.mkdir(mode=0o700, exist_ok=True)
        directory = base / str(next(self._numbers))
        directory.mkdir(mode=0o700)
        return directory


def _late(done: Finished, seconds: float, *, counts: bool) -> bool:
    """It gave up by its own limit; one that ``counts`` says so."""
    gave_up = bool(_GAVE_UP.search(done.output + done.errors)) if counts else True
    return done.exit_code != 0 and done.seconds >= seconds and gave_up
