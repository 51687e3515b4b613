"""A case's steps, one after the other, on one server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mtls_runner.deadline import Deadline
from mtls_runner.engine.compare import compare
from mtls_runner.engine.despite import not_after
from mtls_runner.engine.observe import reloaded, server_unusable
from mtls_runner.errors import LabError, ServerUnusable
from mtls_runner.model.case import Action, Case, Step
from mtls_runner.model.observation import Observation, Reason
from mtls_runner.model.port import Reloadable, RunningServer
from mtls_runner.model.server import ServerSpec
from mtls_runner.model.verdict import Status, StepVerdict, Verdict

if TYPE_CHECKING:
    from mtls_runner.engine.lab import Lab

__all__ = ["as_cases", "changes_server", "run_steps"]

_RELOAD_SECONDS = 30.0
_LONGEST = timedelta(hours=1)


def changes_server(case: Case) -> bool:
    """Whether its steps change the server, so that it needs one of its own."""
    return any(step.action in (Action.REPLACE, Action.RELOAD) for step in case.steps)


def as_cases(case: Case) -> Iterator[Case]:
    """Every combination of a server and a client that its steps may come to, as a case without steps."""
    server = case.server
    for step in case.steps:
        server = step.server or server
        if step.client is not None:
            yield replace(case, server=server, client=step.client, expect=step.expect, tls=step.tls, steps=())
        elif step.server is not None:
            yield replace(case, server=server, steps=())


def run_steps(lab: Lab, case: Case) -> Verdict:
    """Until one does not pass.

    Raises:
        LabError: the server can't be started.
    """
    with ExitStack() as stack:
        if changes_server(case):
            running = stack.enter_context(lab.own_server(case.server))
            if not isinstance(running, Reloadable):
                return Verdict(
                    case, Status.SKIP, skip_reason=f"{case.server.backend} servers can't be reloaded by the lab"
                )
        else:
            running = lab.server(case.server)
        return _verdict(case, _Steps(lab, case, running).run())


def _verdict(case: Case, done: tuple[StepVerdict, ...]) -> Verdict:
    last = done[-1]
    seen = next((one.observation for one in reversed(done) if one.observation is not None), None)
    place = f"step {len(done)} ({last.step.name})"
    mismatches = tuple(replace(mismatch, path=f"{place}, {mismatch.path}") for mismatch in last.mismatches)
    error = f"{place}: {last.error}" if last.error else ""
    doubts = [one.undetermined for one in done if one.undetermined is not None]
    undetermined = doubts[0] if doubts and last.status is Status.PASS else None
    return Verdict(case, last.status, seen, mismatches, error=error, steps=done, undetermined=undetermined)


class _Steps:
    def __init__(self, lab: Lab, case: Case, running: RunningServer) -> None:
        self._lab = lab
        self._case = case
        self._running = running
        self._loaded: ServerSpec = case.server
        self._files: ServerSpec = case.server
        self._seen: dict[int, Observation] = {}

    def run(self) -> tuple[StepVerdict, ...]:
        done: list[StepVerdict] = []
        for number, step in enumerate(self._case.steps):
            began = time.monotonic()
            try:
                verdict = self._step(number, step)
            except LabError as error:
                verdict = StepVerdict(step, Status.ERROR, error=str(error))
            done.append(replace(verdict, duration=time.monotonic() - began))
            if verdict.status is not Status.PASS:
                break
        return tuple(done)

    def _step(self, number: int, step: Step) -> StepVerdict:
        match step.action:
            case Action.WAIT:
                time.sleep(self._seconds(step))  # the author's own wait: until something has expired
            case Action.REPLACE:
                if step.server is not None and isinstance(self._running, Reloadable):
                    self._running.replace(step.server)
                    self._files = step.server
            case Action.RELOAD:
                return self._judge(step, self._reload(), "")
            case Action.CONNECT:
                return self._connect(number, step)
        return StepVerdict(step, Status.PASS)

    def _seconds(self, step: Step) -> float:
        if step.until_expired is None:
            return step.seconds
        left = not_after(self._lab.material.credential(step.until_expired)) - datetime.now(UTC)
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
            return server_unusable(Reason(error.reason), str(error), error.log, reload=True)
        self._loaded = self._files
        return reloaded()

    def _connect(self, number: int, step: Step) -> StepVerdict:
        if step.client is None:
            raise LabError("a connection without a client")
        client = self._lab.tool(step.client.tool)
        session = None
        if step.resume is not None:
            earlier = self._seen[step.resume].client
            session = earlier.session if earlier is not None else None
            if session is None:
                raise LabError(f"step {step.resume + 1} left no session that could be resumed")
        # as the server is, not as its files are
        here = replace(self._case, server=self._loaded, client=step.client, expect=step.expect, tls=step.tls)
        for _ in range(step.client.repeat):
            seen = self._lab.exchange(
                here, step.client, client, self._running, files=self._files, keep_session=True, session=session
            )
            self._seen[number] = seen
            verdict = self._judge(step, seen, client.version())
            if verdict.status is not Status.PASS:
                break
        return verdict

    @staticmethod
    def _judge(step: Step, seen: Observation, version: str) -> StepVerdict:
        if seen.outcome is None:
            return StepVerdict(step, Status.ERROR, seen, error=seen.summary)
        held = compare(step.expect, seen, version)
        status = Status.FAIL if held.mismatches else Status.PASS
        return StepVerdict(step, status, seen, held.mismatches, undetermined=held.undetermined)
