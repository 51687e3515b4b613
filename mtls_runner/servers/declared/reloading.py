"""Declared servers whose files are replaced while they run: some can be told, some notice by themselves, some do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError, ServerUnusable
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.implementation import DeclaredServer, Reload
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Material
from mtls_runner.servers.declared.failure import start_failure
from mtls_runner.servers.declared.running import VIEW_SECONDS, RunningDeclared, Started
from mtls_runner.servers.declared.variables import settings
from mtls_runner.servers.declared.view import facts
from mtls_runner.servers.readiness import HEAD_REQUEST, Answer, Greeting, greet
from mtls_runner.tls.dialects import compiled
from mtls_runner.tls.messages import subject

__all__ = ["ReloadableDeclared", "ReplaceableDeclared", "reload_of", "replaceable"]

_SIGNAL_SECONDS = 1.0
"""Seconds after which a program that logs when it begins to reload has missed the signal."""
_NOTICE_SECONDS = 2.0
"""Seconds in which a program that watches its files (inotify) has read them."""
_PAUSE_SECONDS = 0.01
"""Seconds between two looks at a server that reads its files again."""


class Write(Protocol):
    """Writes a server's files, as by rename."""

    def __call__(self, server: ServerSpec, /, *, told: bool) -> object:
        """Write this description's files; the one that the server watches (``reload: {file: …}``) last, and only if ``told``."""
        ...


class ReplaceableDeclared(RunningDeclared):
    """A server that can't be told to read its files again; it may watch them.

    Args:
        started: what runs.
        write: writes its files for another description.
        server: what it was started with.
        material: the plan's.
    """

    replaceable = True

    def __init__(
        self,
        started: Started,
        write: Write,
        server: ServerSpec,
        material: Material,
    ) -> None:
        super().__init__(started)
        self._server = server
        self._write = write
        self._material = material
        self._read = self._in_files = self._leaf()
        self._tells_process = any("(?P<process>" in text for text in self._declared.log.facts)

    def _leaf(self) -> bytes | None:
        """The certificate that it presents by its description, DER; ``None``: the description does not say."""
        certificate = self._server.certificate
        return self._material.credential(certificate).der if certificate is not None else None

    def replace(self, server: ServerSpec) -> None:
        """Write its files anew; it goes on with what it has read, unless it watches them.

        Raises:
            MaterialError: something can't be made.
        """
        self._server = server
        self._in_files = self._leaf()
        self._write(server, told=False)

    def reload(self, deadline: Deadline) -> None:
        """Wait until it presents the new certificate: a server that watches its files does so within moments.

        Raises:
            ServerUnusable: it still shows the certificate that it had.
            LabError: its files hold the certificate that it had, which says nothing; or it shows none.
        """
        title, wanted = self._implementation.title, self._in_files
        if wanted is None or wanted == self._read:
            raise LabError(
                f"{title} can't be told to read its files again, and nothing shows whether it has: its certificate is the one "
                "that it had. Leave `reload` out, and let the next connection show it"
            )
        limit = deadline.within(_NOTICE_SECONDS)
        while (shown := self._greeted(deadline).certificate) != wanted and not (shown and limit.passed):
            deadline.check(f"waiting for {title} to show a certificate")
            self._instance.log.wait_ended(deadline.within(_PAUSE_SECONDS))
        if shown != wanted:
            raise ServerUnusable(
                f"{title} can't be told to read its files again, and within {_NOTICE_SECONDS:g} s it has not shown "
                f"{subject(wanted)}, which they hold now, but {subject(shown)}",
                reason=Reason.UNNOTICED,
            )
        self._read = wanted

    def _greeted(self, deadline: Deadline) -> Greeting:
        """A connection of the lab's own, and all that is logged of it."""
        with self._log.our_own():
            return self._met(deadline)[0]

    def _met(self, deadline: Deadline) -> tuple[Greeting, Sequence[str]]:
        after = self._log.count
        limit = deadline.within(VIEW_SECONDS)
        greeting = greet(self._address, limit, HEAD_REQUEST, first=self._first, name=self._name)
        if greeting.answer is not Answer.TLS or (self._log.by_port and not self._tells_process):
            return greeting, ()
        port = greeting.port if self._log.by_port else None
        return greeting, self._log.wait(port, after, self._is_over, deadline.within(self._log_seconds))


class ReloadableDeclared(ReplaceableDeclared):
    """A server that reads its files again when it is told to; ``how``: by what. The rest is as for the base class."""

    reloadable = True

    def __init__(
        self,
        started: Started,
        write: Write,
        server: ServerSpec,
        material: Material,
        how: Reload,
    ) -> None:
        super().__init__(started, write, server, material)
        self._arguments, self._answer_as = started.arguments, started.answer_as
        self._reload = how

    def unchangeable(self, server: ServerSpec) -> str | None:
        """Where it is told by its arguments, or its environment: they are those of its start."""
        arguments = self._arguments
        if arguments is None or arguments(server) == arguments(self._server):
            return None
        before = settings(self._server)
        changed = [name for name, value in settings(server).items() if before[name] != value]
        return (
            f"{self._implementation.title} is told {' and '.join(changed) or 'which files it has'} when it starts, and not by "
            "a reload"
        )

    def reload(self, deadline: Deadline) -> None:
        """Tell it, and wait until it logs that it is done; then until another process than before serves, where its log tells.

        Raises:
            ServerUnusable: it says that it can't; it goes on as before, unless it is one that ends then.
            LabError: it says nothing in time.
        """
        before = self._serving(deadline)[1]
        count = self._log.count
        done, failed = compiled(self._reload.done), compiled(self._reload.failed or r"(?!)")

        def answered(lines: Sequence[str]) -> bool:
            return any(done.search(line) or failed.search(line) for line in lines)

        self._tell(count, deadline)
        lines = self._log.wait(None, count, answered, deadline)
        if any(failed.search(line) for line in lines):
            title = self._implementation.title
            failure = start_failure(title, self._declared, lines, None, self._server, self._material)
            failure.ended = self._gone = bool(self._reload.ends) and self._instance.log.wait_ended(deadline)
            raise failure
        if not answered(lines):
            raise LabError(
                f"{self._implementation.title} does not say that it has read its files again; its last words:"
                f"{self._last_words()}"
            )
        while not self._renewed(before, deadline):
            deadline.check(f"waiting for {self._implementation.title} to serve what it has read")
            self._instance.log.wait_ended(deadline.within(_PAUSE_SECONDS))
        if self._answer_as is not None:
            self._answer_as(self._server)

    def _tell(self, count: int, deadline: Deadline) -> None:
        """Tell it by the file that it watches, or by a signal; if it can miss that, repeat it until it logs that it begins."""
        signal = self._reload.signal
        if signal is None:
            self._write(self._server, told=True)
            return
        self._instance.signal(signal)
        if self._reload.begun is None:
            return
        begun = compiled(self._reload.begun)

        def heard(lines: Sequence[str]) -> bool:
            return any(begun.search(line) for line in lines)

        while not heard(self._log.wait(None, count, heard, deadline.within(_SIGNAL_SECONDS))) and not deadline.passed:
            self._instance.signal(signal)

    def _renewed(self, before: str | None, deadline: Deadline) -> bool:
        answers, process = self._serving(deadline)
        return answers and (before is None or process != before)

    def _serving(self, deadline: Deadline) -> tuple[bool, str | None]:
        """Whether it answers (stunnel binds its port anew), and which process does; ``None``: its log doesn't tell."""
        with self._log.our_own():
            greeting, lines = self._met(deadline)
        return greeting.answer is Answer.TLS, facts(self._declared, lines).get("process")


def reload_of(declared: DeclaredServer, server: ServerSpec) -> Reload | None:
    """How it is made to read its files again; an author's configuration names files of its own, if any, for it to watch."""
    how = declared.reload
    return None if how is not None and how.signal is None and server.option("config") else how


def replaceable(started: Started, server: ServerSpec, material: Material, write: Write) -> ReplaceableDeclared:
    """What runs, able to do what it was declared to.

    Args:
        started, server, material, write: as for the classes.
    """
    how = reload_of(started.declared, server)
    if how is None:
        return ReplaceableDeclared(started, write, server, material)
    return ReloadableDeclared(started, write, server, material, how)
