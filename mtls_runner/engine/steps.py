"""A case's steps, one after the other, on one server."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline, go_on, pause
from mtls_runner.engine.compare import judge, whole
from mtls_runner.engine.observe import reloaded, server_started, server_unusable
from mtls_runner.errors import LabError, ServerUnusable
from mtls_runner.model.case import Action, Case, Plan, Step, Versions
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView, Observation, Reason, ServerView
from mtls_runner.model.port import Client, KeptConnection, RunningServer
from mtls_runner.model.traits import ClientTraits
from mtls_runner.model.verdict import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls_runner.engine.lab import Lab, Met

__all__ = ["cannot_go_on", "changes_server", "not_judged", "renews_client", "run_steps"]

_RELOAD_SECONDS = 30.0
_LONGEST = timedelta(hours=1)
_TOGETHER = 100
"""Repeated requests that are made before the server's log is read; what came of them is kept until then."""
_SEEN = attrgetter(*(name for name in ClientView.__struct_fields__ if name != "request_number"))
_TOLD = attrgetter(*(name for name in ServerView.__struct_fields__ if name not in ("heard", "log")))


def changes_server(case: Case) -> bool:
    """Whether its steps change the server, so that it needs one of its own."""
    return any(step.action in (Action.REPLACE, Action.RELOAD) for step in case.steps)


def renews_client(case: Case) -> bool:
    """Whether its steps replace the client's files, so that it needs material of its own."""
    return any(step.action is Action.RENEW for step in case.steps)


def run_steps(lab: Lab, case: Case) -> Verdict:
    """Run a case's steps until one does not pass.

    Raises:
        LabError: the server can't be started, though no step expects that.
    """
    with ExitStack() as stack:
        running: RunningServer | None = None
        if changes_server(case):
            running = stack.enter_context(lab.servers.own(case.server))
            why = _not_replaced(case, running)
            if why is not None:
                return Verdict(case, Status.SKIP, skip_reason=why)
        elif case.client is not None:
            running = lab.server(case.server)
        if running is not None:
            lab.begin()
        return whole(case, _Steps(lab, case, running, stack).run())


def _not_replaced(case: Case, running: RunningServer) -> str | None:
    """Why its steps can't be done to the server; ``None``: they can."""
    backend = case.server.backend
    reloads = [step for step in case.steps if step.action is Action.RELOAD]
    if running.reloadable:
        wanted = (step.server for step in case.steps if reloads and step.server is not None)
        return next((why for server in wanted if (why := running.unchangeable(server)) is not None), None)
    if not running.replaceable:
        return f"the files of {backend} servers can't be replaced by the lab"
    # an author's configuration may have it watch its files, and of one that does not an author may want to see that
    if not reloads or case.server.option("config") or all(map(_unnoticed, reloads)):
        return None
    return f"{backend} servers can't be told to read their files again"


def _unnoticed(step: Step) -> bool:
    return any(
        check.path == "reason" and any(way.value == Reason.UNNOTICED for way in check.alternatives)
        for check in step.expect.checks
    )


def cannot_go_on(case: Case, tool: Callable[[ClientTraits], Client]) -> str | None:
    """Why the case's client can't go on with a session or a connection as its steps want; ``None``: it can."""
    for number, step in enumerate(case.steps):
        if step.client is None:
            continue
        client = tool(step.client.tool)
        if step.client.location is not None and not client.follows_redirects:
            return f"{step.client.tool} follows no redirects"
        if client.keeps_connections:
            continue
        if step.resume is not None:
            return f"{step.client.tool} takes no session along from one process to the next"
        if step.reuse is not None:
            if not client.probes_all_at_once:
                return f"{step.client.tool} makes one request for each connection"
            if any(each.reuse != step.reuse for each in case.steps[step.reuse + 1 : number]):
                return (
                    f"{step.client.tool} makes all requests of a connection at once: nothing can be done between them"
                )
    return None


def not_judged(plan: Plan, case: Case, error: LabError, step: Step | None = None) -> Verdict:
    """The verdict of a case in which the lab broke, with the log of a server that did not start."""
    from mtls_runner.engine.what_to_mend import blamed

    text, reason = str(error), None
    if isinstance(error, ServerUnusable):
        reason = error.reason
        lines = "".join(f"\n  {line}" for line in error.log)
        text = f"the server did not start ({reason}): {error}{lines}"
    place = blamed(plan, case.server, error)
    return Verdict(case, Status.ERROR, error=text, step=step, span=place, unusable=reason)


def _alike(met: Met, before: Met, step: Step) -> bool:
    """Whether both ends say of a request what they said of the one before, which was judged; its number and log lines aside."""
    (seen, told), (seen_before, told_before) = met, before
    if (told is None) != (told_before is None) or any(check.path == "server_log" for check in step.expect.checks):
        return False
    if told is not None and told_before is not None and _TOLD(told) != _TOLD(told_before):
        return False
    return bool(_SEEN(seen) == _SEEN(seen_before))


def _asked(connection: KeptConnection, spec: ClientSpec, like: ClientView | None, most: int) -> list[ClientView]:
    """Make a request, and repeat it as long as the client sees the same as before.

    The server's log is read afterwards: reading it after each request would hold up the next one.

    Args:
        connection, spec: what is asked, and where.
        like: what was seen before; ``None``: make one request only.
        most: requests.
    """
    views: list[ClientView] = []
    for _ in range(min(most, _TOGETHER)):
        views.append(connection.ask(spec, Deadline.after(spec.timeout)))
        if like is None or _SEEN(views[-1]) != _SEEN(like):
            break
    return views


class _Steps:
    def __init__(self, lab: Lab, case: Case, running: RunningServer | None, stack: ExitStack) -> None:
        self._lab = lab
        self._case = case
        self._running = running
        self._stack = stack
        self._loaded: ServerSpec = case.server
        self._files: ServerSpec = case.server
        self._open: dict[int, KeptConnection] = {}
        self._made: dict[int, list[Met]] = {}
        self._gone_on_with = {
            number for step in case.steps for number in (step.resume, step.reuse) if number is not None
        }

    def run(self) -> tuple[Verdict, ...]:
        done: list[Verdict] = []
        for number, step in enumerate(self._case.steps):
            began = time.monotonic()
            go_on()
            try:
                verdict = self._step(number, step)
            except LabError as error:
                verdict = not_judged(self._lab.plan, self._case, error, step)
            done.append(replace(verdict, duration=time.monotonic() - began))
            if verdict.status is not Status.PASS:
                break
        return tuple(done)

    def _step(self, number: int, step: Step) -> Verdict:
        match step.action:
            case Action.WAIT:
                pause(self._seconds(step))  # the author's own wait: until something has expired
            case Action.REPLACE:
                if step.server is not None and self._running is not None:
                    self._running.replace(step.server)
                    self._files = step.server
            case Action.RENEW:
                self._renew(step)
            case Action.RESTART:
                self._restart()
            case Action.RELOAD:
                return judge(self._case, step, self._reload(), self._versions(step))
            case Action.START:
                return judge(self._case, step, self._start(), self._versions(step))
            case Action.CONNECT:
                return self._connect(number, step)
        return Verdict(self._case, Status.PASS, step=step)

    def _renew(self, step: Step) -> None:
        client = self._case.client
        if client is None or client.certificate is None or step.renewed is None:
            raise LabError("the case's client has no certificate that could be renewed")
        given = (client.chain, client.key, client.passphrase)
        material = self._lab.material
        material.renew(material.presented(client.certificate, *given), material.presented(step.renewed, client.chain))

    def _restart(self) -> None:
        for connection in self._open.values():
            connection.close()
        for traits in {step.client.tool for step in self._case.steps if step.client is not None}:
            self._lab.tool(traits).restart(self._lab.material)

    def _versions(self, step: Step, client: Client | None = None) -> Versions:
        """The server's are only asked for where somebody wants to know: that takes a process in a container."""
        backend = self._case.server.backend
        ranges = [check.only_for for check in step.expect.checks]
        return Versions(
            client.version() if client is not None else "",
            self._lab.servers.version(backend) if any(one.backend for one in ranges) else "",
            client.library_version() if client is not None and any(one.tool_library for one in ranges) else "",
            self._lab.servers.library_version(backend) if any(one.library for one in ranges) else "",
        )

    def _start(self) -> Observation:
        server = self._case.server
        try:
            self._lab.server(server)
        except ServerUnusable as error:
            return server_unusable(error.reason, str(error), error.log, notes=self._lab.notes_on(server))
        return server_started()

    def _seconds(self, step: Step) -> float:
        if step.until_expired is None:
            return step.seconds
        from mtls_runner.engine.despite import not_after

        end = not_after(self._lab.material.credential(step.until_expired))
        if end is None:
            raise LabError(f"{step.until_expired}: when it expires can't be read")
        left = end - datetime.now(UTC) - self._lab.plan.clock
        if left > _LONGEST:
            raise LabError(f"{step.until_expired} does not expire within {_LONGEST}")
        # notAfter is a whole second that still counts (RFC 5280 §4.1.2.5)
        return max(0.0, left.total_seconds() + 1)

    def _reload(self) -> Observation:
        if self._running is None:
            raise LabError("this server can't be reloaded")
        try:
            self._running.reload(Deadline.after(_RELOAD_SECONDS))
        except ServerUnusable as error:
            return server_unusable(
                error.reason, str(error), error.log, reload="ended" if error.ended else "goes on as before"
            )
        self._loaded = self._files
        return reloaded()

    def _connect(self, number: int, step: Step) -> Verdict:
        if step.client is None or self._running is None:
            raise LabError("a connection without a client, or to no server")
        client = self._lab.tool(step.client.tool)
        here = self._case
        if not here.plain or here.server is not self._loaded:  # as the server is, not as its files are
            here = replace(here, server=self._loaded, steps=(replace(step, name=""),))
        before: Met | None = None
        for left in reversed(range(step.client.repeat)):
            if step.client.location is not None:
                from mtls_runner.engine.redirects import followed

                seen = followed(self._lab, here, step.client, self._running, self._files)
            else:
                met = self._meet(number, step, step.client, client, self._running, before, left + 1)
                if left and before is not None and _alike(met, before, step):
                    continue
                before = met
                seen = self._lab.observed(here, step.client, self._running, met, self._files)
            verdict = judge(self._case, step, seen, self._versions(step, client))
            if verdict.status is not Status.PASS:
                break
        return verdict

    def _meet(
        self,
        number: int,
        step: Step,
        spec: ClientSpec,
        client: Client,
        server: RunningServer,
        before: Met | None,
        most: int,
    ) -> Met:
        """One request: on a connection of its own, or on one that is there; then several may be made and kept for later calls."""
        material = self._lab.material
        if self._made.get(number):
            return self._made[number].pop(0)
        if step.reuse is not None:
            connection = self._open[step.reuse]
            # what a server connects to itself is only asked about the last request
            like = before[0] if before is not None and not self._case.server.upstreams else None
            first, *rest = self._lab.meet(spec, client, server, lambda _: _asked(connection, spec, like, most))
            self._made[number] = rest
            return first
        if number in self._gone_on_with and client.probes_all_at_once:
            return self._meet_all(number, spec, client, server)
        if number not in self._gone_on_with and step.resume is None:
            return self._lab.meet(
                spec, client, server, lambda limit: [client.probe(spec, server.address, material, limit)]
            )[0]
        session = self._session(step)

        def connect(limit: Deadline) -> list[ClientView]:
            self._open[number] = connection = client.connect(spec, server.address, material, limit, session)
            self._stack.callback(connection.close)
            return [connection.view]

        return self._lab.meet(spec, client, server, connect)[0]

    def _session(self, step: Step) -> object | None:
        if step.resume is None:
            return None
        connection = self._open.get(step.resume)
        session = connection.session if connection is not None else None
        if session is None:
            raise LabError(f"step {step.resume + 1} left no session that could be resumed")
        return session

    def _meet_all(self, number: int, spec: ClientSpec, client: Client, server: RunningServer) -> Met:
        """All requests of a connection at once; those of later steps are kept for them."""
        later = [(at, each.client) for at, each in enumerate(self._case.steps) if each.reuse == number and each.client]
        numbers = [at for at, each in later for _ in range(each.repeat)]
        specs = [spec, *(each for _, each in later for _ in range(each.repeat))]
        first, *rest = self._lab.meet(
            spec,
            client,
            server,
            lambda limit: client.probe_all(specs, server.address, self._lab.material, limit),
            len(specs),
        )
        for at, met in zip(numbers, rest, strict=False):  # without its own material it connects to nobody
            self._made.setdefault(at, []).append(met)
        return first
