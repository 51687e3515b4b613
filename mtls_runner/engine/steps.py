"""A case's steps, one after the other, on one server."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mtls_runner.deadline import Deadline
from mtls_runner.engine.despite import not_after
from mtls_runner.engine.judge import judge, whole
from mtls_runner.engine.observe import reloaded, server_started, server_unusable
from mtls_runner.engine.own_material import notes_on
from mtls_runner.errors import LabError, ServerUnusable
from mtls_runner.model.case import Action, Case, Step
from mtls_runner.model.expectation import Versions
from mtls_runner.model.observation import Observation
from mtls_runner.model.port import Client, Reloadable, RunningServer
from mtls_runner.model.server import ServerSpec
from mtls_runner.model.verdict import Status, Verdict

if TYPE_CHECKING:
    from mtls_runner.engine.lab import Lab

__all__ = ["changes_server", "explained", "run_steps"]

_RELOAD_SECONDS = 30.0
_LONGEST = timedelta(hours=1)


def changes_server(case: Case) -> bool:
    """Whether its steps change the server, so that it needs one of its own."""
    return any(step.action in (Action.REPLACE, Action.RELOAD) for step in case.steps)


def run_steps(lab: Lab, case: Case) -> Verdict:
    """Until one does not pass.

    Raises:
        LabError: the server can't be started, though no step expects that.
    """
    with ExitStack() as stack:
        running: RunningServer | None = None
        if changes_server(case):
            running = stack.enter_context(lab.own_server(case.server))
            if not isinstance(running, Reloadable):
                why = f"{case.server.backend} servers can't be reloaded by the lab"
                return Verdict(case, Status.SKIP, skip_reason=why)
        elif case.client is not None:
            running = lab.server(case.server)
        return whole(case, _Steps(lab, case, running).run())


def explained(error: LabError) -> str:
    """What broke, with the log of a server that did not start."""
    if isinstance(error, ServerUnusable):
        lines = "".join(f"\n  {line}" for line in error.log)
        return f"the server did not start ({error.reason}): {error}{lines}"
    return str(error)


class _Steps:
    def __init__(self, lab: Lab, case: Case, running: RunningServer | None) -> None:
        self._lab = lab
        self._case = case
        self._running = running
        self._loaded: ServerSpec = case.server
        self._files: ServerSpec = case.server
        self._seen: dict[int, Observation] = {}
        self._resumed = {step.resume for step in case.steps}

    def run(self) -> tuple[Verdict, ...]:
        done: list[Verdict] = []
        for number, step in enumerate(self._case.steps):
            began = time.monotonic()
            try:
                verdict = self._step(number, step)
            except LabError as error:
                verdict = Verdict(self._case, Status.ERROR, error=explained(error), step=step)
            done.append(replace(verdict, duration=time.monotonic() - began))
            if verdict.status is not Status.PASS:
                break
        return tuple(done)

    def _step(self, number: int, step: Step) -> Verdict:
        match step.action:
            case Action.WAIT:
                time.sleep(self._seconds(step))  # the author's own wait: until something has expired
            case Action.REPLACE:
                if step.server is not None and isinstance(self._running, Reloadable):
                    self._running.replace(step.server)
                    self._files = step.server
            case Action.RELOAD:
                return judge(self._case, step, self._reload(), self._versions(step))
            case Action.START:
                return judge(self._case, step, self._start(), self._versions(step))
            case Action.CONNECT:
                return self._connect(number, step)
        return Verdict(self._case, Status.PASS, step=step)

    def _versions(self, step: Step, client: Client | None = None) -> Versions:
        """The server's is only asked for where somebody wants to know: that takes a process in a container."""
        wanted = any(check.only_for.backend for check in step.expect.checks)
        return Versions(
            client.version() if client is not None else "",
            self._lab.backend_version(self._case.server.backend) if wanted else "",
        )

    def _start(self) -> Observation:
        server, material = self._case.server, self._lab.material
        try:
            self._lab.server(server)
        except ServerUnusable as error:
            return server_unusable(error.reason, str(error), error.log, notes=notes_on(material, server))
        return server_started()

    def _seconds(self, step: Step) -> float:
        if step.until_expired is None:
            return step.seconds
        end = not_after(self._lab.material.credential(step.until_expired))
        if end is None:
            raise LabError(f"{step.until_expired}: when it expires can't be read")
        left = end - datetime.now(UTC)
        if left > _LONGEST:
            raise LabError(f"{step.until_expired} does not expire within {_LONGEST}")
        # notAfter is a whole second that still counts (RFC 5280 §4.1.2.5)
        return max(0.0, left.total_seconds() + 1)

    def _reload(self) -> Observation:
        if not isinstance(self._running, Reloadable):
            raise LabError("this server can't be reloaded")
        try:
            self._running.reload(Deadline.after(_RELOAD_SECONDS))
        except ServerUnusable as error:
            return server_unusable(error.reason, str(error), error.log, reload=True)
        self._loaded = self._files
        return reloaded()

    def _connect(self, number: int, step: Step) -> Verdict:
        if step.client is None or self._running is None:
            raise LabError("a connection without a client, or to no server")
        client = self._lab.tool(step.client.tool)
        session = None
        if step.resume is not None:
            earlier = self._seen[step.resume].client
            session = earlier.session if earlier is not None else None
            if session is None:
                raise LabError(f"step {step.resume + 1} left no session that could be resumed")
        # as the server is, not as its files are
        here = replace(self._case, server=self._loaded, steps=(replace(step, name=""),))
        for _ in range(step.client.repeat):
            seen = self._lab.exchange(
                here,
                step.client,
                client,
                self._running,
                files=self._files,
                keep_session=step.resume is not None or number in self._resumed,
                session=session,
            )
            self._seen[number] = seen
            verdict = judge(self._case, step, seen, self._versions(step, client))
            if verdict.status is not Status.PASS:
                break
        return verdict
