"""One plan's lab: runs its cases, with its material, servers and clients, from any number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline, go_on
from mtls_runner.engine.observe import observe, with_lines
from mtls_runner.engine.servers import PlanServers
from mtls_runner.engine.steps import cannot_go_on, changes_server, not_judged, renews_client, run_steps
from mtls_runner.errors import FileUnusable, LabError, MaterialError
from mtls_runner.model.case import Case, Expectation, Plan, meet_briefly
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.chain import completed
from mtls_runner.model.endpoint import ByMeeting, ClientSpec, ServerSpec, has_gap
from mtls_runner.model.observation import ClientView, Observation, Outcome, Phase, ServerView
from mtls_runner.model.port import Client, Report, RunningServer, Watch
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.traits import ClientTraits
from mtls_runner.model.verdict import Status, Verdict
from mtls_runner.private_files import kept_directory, private_directory
from mtls_runner.tls.classify import Facts, Judgement, doubtful
from mtls_runner.tls.rules import suspicious

if TYPE_CHECKING:
    from mtls_runner.engine.control import Controls
    from mtls_runner.engine.discretion import Discretion
    from mtls_runner.engine.stranger import Strangers
    from mtls_runner.pki import Store
    from mtls_runner.pki.keys import KeyPool

__all__ = ["Lab", "Met", "seen_by_server"]

_BEHIND_SECONDS = 0.5
"""How long a server may take to be done with a proxy that has answered its own client already."""
_VIEW_SECONDS = 5.0
"""How long a server may take to be done with a connection after its client is."""

Met = tuple[ClientView, ServerView | None]
"""What each end saw of a request."""

_T = TypeVar("_T")

Ask = Callable[[Deadline], Sequence[ClientView]]


class Lab(AbstractContextManager["Lab"]):
    """Runs the cases of one plan, from any number of threads.

    Args:
        plan: what to run.
        keep: a directory to leave the material and generated files in; ``None``: a private one, removed at the end.
        pool: where keys come from; ``None``: a pool of its own (and the user's RSA keys on disk).
        report: told about work that takes time.
        apart: each server by itself, so that its log is only its own; otherwise several may share a container.
        dated: certificates that live for seconds only are made for this lab; otherwise each case that needs such ones gets a lab
            of its own.

    Raises:
        LabError: on entering, when there is no place to work in.
    """

    def __init__(
        self,
        plan: Plan,
        keep: Path | None = None,
        *,
        pool: KeyPool | None = None,
        report: Report | None = None,
        apart: bool = False,
        dated: bool = False,
    ) -> None:
        self.plan = plan
        self._dated = dated
        self._found: dict[str, str] = {}
        self._keep = keep
        self.pool = pool
        """``None`` until a key is needed."""
        self._report = report
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._making = threading.Lock()
        """Held for as long as keys are made, while others go on asking for warnings and versions."""
        self._material: Store | None = None
        self._skips: ByMeeting[str | None] = ByMeeting()
        self._brief: ByMeeting[bool] = ByMeeting()
        self._tools: dict[ClientTraits, Client] = {}
        self._directory = Path()
        self.servers = PlanServers(
            plan,
            lambda: self.material,
            lambda: self._directory,
            self._could,
            together=not apart,
            report=report,
            discretion=lambda: self._discretion,
        )
        """The plan's, each started at its first case."""
        self._controls: Controls | None = None
        self._unknown: Strangers | None = None
        self._own = any(spec.files is not None for spec in plan.certificates.values())
        self._by_clocks: Lab | None = None
        self._once: dict[str, tuple[threading.Lock, list[Verdict]]] = {}

    def __enter__(self) -> Lab:
        place = private_directory() if self._keep is None else kept_directory(self._keep)
        self._directory = self._stack.enter_context(place)
        self._stack.enter_context(self.servers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    # --- what a case needs, made once ---

    def begin(self) -> None:
        """Called when a case's servers run: short-lived certificates that no server has been given yet are dated from now on,
        however long the servers took to start.
        """
        if self._dated:
            self.material.begin(datetime.now(UTC))

    @property
    def material(self) -> Store:
        """The plan's keys and certificates.

        Raises:
            MaterialError: they can't be made.
        """
        with self._making:
            if self._material is None:
                from mtls_runner.pki import Store

                self._material = Store(
                    self._directory,
                    self.plan.certificates,
                    start=datetime.now(UTC),
                    pool=self._keys(),
                    progress=self._report,
                    crls=self.plan.crls,
                )
            return self._material

    def _keys(self) -> KeyPool:
        with self._lock:
            if self.pool is None:
                # The package first, as whoever makes material has it: threads that load it from two ends block each other.
                import mtls_runner.pki  # noqa: F401
                from mtls_runner.pki.keys import KeyPool

                self.pool = KeyPool.of_user()
            return self.pool

    def tool(self, traits: ClientTraits) -> Client:
        """The client with these traits, made once."""
        with self._lock:
            if traits not in self._tools:
                made = self._tools[traits] = traits.make()
                self._stack.callback(made.close)
            return self._tools[traits]

    def server(self, spec: ServerSpec) -> RunningServer:
        """The running server of a description; see :meth:`~mtls_runner.engine.servers.PlanServers.running`."""
        return self.servers.running(spec)

    def notes(self) -> tuple[str, ...]:
        """What a person should know about the user's own material before it is used; makes the material, if there is any."""
        if self.plan.moved:
            then = datetime.now(UTC) + self.plan.moved
            return (f"as of {then:%Y-%m-%d %H:%M}Z: every date that the lab writes is moved as far the other way",)
        if not self._own and all(crl.file is None for crl in self.plan.crls.values()):
            return ()
        from mtls_runner.engine.own_material import notes

        try:
            return notes(self.plan, self.material)
        except MaterialError:
            return ()  # every case will say so

    def as_files_say(self) -> Plan | None:
        """The plan with the user's own certificates and CRLs as their files are; ``None``: it has none."""
        if not self._own or self._material is None:
            return None
        from mtls_runner.engine.own_material import as_files_say

        return as_files_say(self.plan, self._material)

    def notes_on(self, *ends: ClientSpec | ServerSpec | None) -> tuple[str, ...]:
        """Those of :meth:`notes` that are about the user's own material at these ends."""
        if not self._own:
            return ()
        from mtls_runner.engine.own_material import notes_on

        return notes_on(self.material, *ends)

    def versions(self) -> dict[str, str]:
        """Versions of everything that took part so far, as far as it told."""
        with self._lock:
            found = dict(self._found)
            for traits, client in self._tools.items():
                with suppress(LabError):  # there is none; its cases say so
                    found[traits.name] = client.version()
        found.update(self.servers.versions())
        return {name: version for name, version in found.items() if version}

    # --- cases ---

    def cannot(self, case: Case) -> str | None:
        """Why this case is skipped; ``None``: it can be run."""
        if self.plan.moved:
            from mtls_runner.engine.moved import stands_still

            still = stands_still(case, self.plan)
            if still is not None:
                return still
        reasons = (self._cannot(server, client) for server, client in case.meetings())
        return next((reason for reason in reasons if reason is not None), None) or cannot_go_on(case, self.tool)

    def _could(self, case: Case) -> bool:
        """Whether the case can be run; not where its client is missing, which is for the case itself to report."""
        try:
            return self.cannot(case) is None
        except LabError:
            return False

    def _cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        return self._skips.get(server, client, lambda: self._why_not(server, client))

    def _lives_briefly(self, case: Case) -> bool:
        """Whether the case needs material that is dated when it runs, or changes the client's files."""
        return renews_client(case) or any(
            self._brief.get(server, client, partial(meet_briefly, server, client, self.plan))
            for server, client in case.meetings()
        )

    def _why_not(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        reason = self.servers.cannot(server, client)
        if reason is None and client is not None:
            reason = client.tool.missing() or client.tool.cannot_speak(client.protocol)
            reason = reason or self.tool(client.tool).cannot(client)
        certificates = self.plan.certificates
        return reason or completed(server, client, certificates) or _stays_locked(server, client, certificates)

    def prepare(self, case: Case) -> None:
        """Start what the case needs, so that what fails then is the lab and not the case.

        Raises:
            LabError: the lab is broken, or the server can't start and the case does not expect that.
        """
        if case.client is None or changes_server(case) or self.cannot(case) is not None:
            return
        if self._dated or not self._lives_briefly(case):
            self.server(case.server)

    @cached_property
    def _discretion(self) -> Discretion | None:
        """``None``: the lab's own server and known clients never print what they are given."""
        if not any(map(_may_print, self.plan.cases)):
            return None
        from mtls_runner.engine.discretion import Discretion

        return Discretion(self.plan, lambda: self._material.places if self._material is not None else ())

    def discreet(self, told: _T) -> _T:
        """A verdict, or what an end saw, for people: without passphrases and keys, whatever a program printed."""
        return self._discretion.told(told) if self._discretion is not None else told

    def run(self, case: Case) -> Verdict:
        """Run one case, for people to read what came of it."""
        return self.discreet(self._judged(case))

    def _judged(self, case: Case) -> Verdict:
        """Its verdict. A case may also serve as the control of others; it is run only once if its request is not safe to repeat
        (RFC 9110 §9.2.1).
        """
        if case.client is None or case.client.request.safe:
            return self._verdict(case)
        with self._lock:
            lock, known = self._once.setdefault(case.id, (threading.Lock(), []))
        with lock:
            if not known:
                known.append(self._verdict(case))
            return known[0]

    def _verdict(self, case: Case) -> Verdict:
        """The one barrier: whatever goes wrong in here is this case's verdict."""
        began = time.monotonic()
        try:
            verdict = self._run(case)
        except LabError as error:
            verdict = not_judged(self.plan, case, error)
        except Exception as error:  # noqa: BLE001 - a bug of the lab's own must not take the other cases with it
            verdict = Verdict(case, Status.ERROR, error=f"internal error: {type(error).__name__}: {error}")
        duration = time.monotonic() - began
        return replace(verdict, duration=duration)

    def _run(self, case: Case) -> Verdict:
        reason = self.cannot(case)
        if reason is not None:
            return Verdict(case, Status.SKIP, skip_reason=reason)
        if self.plan.moved:
            from mtls_runner.engine.moved import needs_clocks

            if needs_clocks(case, self.plan):
                return self._run_by_clocks(case)
        if not self._dated and self._lives_briefly(case):
            return self._run_dated(case)
        verdict = run_steps(self, case)
        return replace(verdict, dated=self._material.start) if self._material is not None else verdict

    def _run_by_clocks(self, case: Case) -> Verdict:
        """Run the case in another lab, where the programs' clocks are moved and the material has the dates of the file."""
        keys = self._keys()
        with self._lock:
            if self._by_clocks is None:
                from mtls_runner.engine.moved import by_clocks

                keep = self._keep / "by-clocks" if self._keep is not None else None
                lab = Lab(by_clocks(self.plan), keep, pool=keys, report=self._report, dated=self._dated)
                self._by_clocks = self._stack.enter_context(lab)
            lab = self._by_clocks
        return self._run_in(lab, next(one for one in lab.plan.every_case if one.id == case.id))

    def _run_dated(self, case: Case) -> Verdict:
        """Run the case in a lab of its own, whose material is made now, however long the cases before it took."""
        keep = self._keep / "dated" / f"{self.plan.every_case.index(case):04}" if self._keep is not None else None
        with Lab(self.plan, keep, pool=self._keys(), report=self._report, apart=True, dated=True) as lab:
            return self._run_in(lab, case)

    def _run_in(self, lab: Lab, case: Case) -> Verdict:
        verdict = lab.discreet(lab._run(case))
        with self._lock:
            self._found.update(lab.versions())
            self.servers.hear_from(lab.servers)
        return verdict

    def meet(self, spec: ClientSpec, client: Client, server: RunningServer, ask: Ask, count: int = 1) -> list[Met]:
        """Make the requests of one connection; what each end saw of each.

        Args:
            spec, client, server: who connects, and to whom.
            ask: makes the requests.
            count: how many requests. After one that failed, the rest are not made, and the result has no entry for them.
        """
        behind = self.servers.behind(server)
        with server.watch() as watch:
            before = [other.heard() for _, other in behind]
            try:
                views = ask(Deadline.after(spec.timeout * count))
            except FileUnusable as error:
                from mtls_runner.engine.own_material import client_without

                views = [client_without(spec, client.version(), error)]
            go_on()
            met = [(seen, seen_by_server(watch, seen, spec, server)) for seen in views]
            seen, told = met[-1]
            for (one, other), rank in zip(behind if seen.local_port is not None else (), before, strict=False):
                there = other.heard_after(rank, Deadline.after(_BEHIND_SECONDS))
                if there:
                    # its own log may say nothing
                    if told is None or not told.telling:
                        lines = told.log if told is not None else ()
                        told = ServerView("its log", handshake_complete=seen.response is not None or None, log=lines)
                    met[-1] = seen, replace(told, behind=(one.id, there[-1]))
                    break
            else:
                if behind and told is not None and seen.response is not None:
                    met[-1] = seen, replace(told, unheard=tuple(one.id for one, _ in behind))
            return met

    def observed(
        self, case: Case, spec: ClientSpec, server: RunningServer, met: Met, files: ServerSpec | None = None
    ) -> Observation:
        """What came of a request.

        Args:
            case, spec, server: what was run, as a plain case; ``case.server`` is what the server has read.
            met: what each end saw.
            files: what the server's files hold by now; ``None``: what it has read.
        """
        material = self.material
        seen, told = met
        untold = told if told is not None and not told.telling else None
        if untold is not None:
            told = None
        if seen.phase is Phase.PREPARE:
            from mtls_runner.engine.own_material import client_told

            seen = client_told(seen, spec, material)
        spec = self._renewed(spec, seen)
        host, files = case.server.host(spec.server_name), files or case.server
        facts = Facts(
            server=host,
            client=spec,
            seen=seen,
            told=told,
            notes=self.notes_on(spec, host),
            despite=self._despite(spec, case.server, files, seen),
        )
        if suspicious(facts):
            connect = partial(self._ask_alone, server)
            facts = replace(facts, control=self._control().control(case, spec, server, connect))
        if doubtful(facts):
            facts = replace(facts, held=self._strangers().held(server, host, spec, partial(self._ask_alone, server)))
        found = observe(facts, material.name, partial(self._culprit, host, spec, files, case.expect))
        return with_lines(found, untold) if untold is not None else found

    def _renewed(self, spec: ClientSpec, seen: ClientView) -> ClientSpec:
        """The description with the certificate that the client really presented: its files may hold another one by now."""
        if spec.certificate is None or not seen.sent_chain:
            return spec
        sent = seen.sent_chain[0]
        if sent == self.material.credential(spec.certificate).der:
            return spec
        name = self.material.name(sent)
        return replace(spec, certificate=name) if name in self.plan.certificates else spec

    def _despite(self, spec: ClientSpec, loaded: ServerSpec, files: ServerSpec, seen: ClientView) -> tuple[str, ...]:
        """What the server holds against a client that it lets in."""
        fresh = seen.request_number == 1 and not seen.resumed
        if fresh and files is loaded and files.host(spec.server_name).crl_check is RevocationCheck.NONE:
            return ()
        from mtls_runner.engine.despite import despite

        return despite(spec, loaded, files, self.material, self.plan, seen)

    def _culprit(
        self, host: ServerSpec, spec: ClientSpec, files: ServerSpec, wanted: Expectation, judgement: Judgement
    ) -> str:
        """The certificate, list or setting that is to blame, as a sentence; none where a client was let in as expected."""
        outcomes = {one.value for check in wanted.checks if check.path == "outcome" for one in check.alternatives}
        as_expected = judgement.outcome is Outcome.ACCEPTED and (not outcomes or Outcome.ACCEPTED in outcomes)
        if as_expected and not has_gap(spec.tls):
            return ""
        from mtls_runner.engine.culprit import to_blame

        return to_blame(self.plan, self.material, host, spec, files, wanted, judgement)

    def _control(self) -> Controls:
        from mtls_runner.engine.control import Controls

        with self._lock:
            if self._controls is None:
                self._controls = Controls(self.plan.every_case, self._judged)
            return self._controls

    def _strangers(self) -> Strangers:
        from mtls_runner.engine.stranger import Strangers

        material, keys = self.material, self._keys()
        with self._lock:
            if self._unknown is None:
                self._unknown = Strangers(self.plan, material, self._directory / "stranger", keys)
            return self._unknown

    def _ask_alone(self, server: RunningServer, spec: ClientSpec, material: Store | None = None) -> ClientView:
        """One connection that nobody judges; with other material than the plan's, where that is given."""
        client = self.tool(spec.tool)
        given = material or self.material
        ((seen, _),) = self.meet(spec, client, server, lambda limit: [client.probe(spec, server.address, given, limit)])
        return seen


def seen_by_server(watch: Watch, seen: ClientView, spec: ClientSpec, server: RunningServer) -> ServerView | None:
    """What the server saw of what a client did; ``None``: nothing, or the client went elsewhere."""
    elsewhere = spec.connect is not None and spec.connect.port != server.address.port
    met = seen.local_port is not None and not elsewhere
    return watch.view(seen, Deadline.after(_VIEW_SECONDS)) if met else None


def _may_print(case: Case) -> bool:
    """Whether a program takes part that may print secrets: one that did not come with the lab, or runs an own configuration."""
    for server, client in case.meetings():
        there = client.location or () if client is not None else ()
        servers = (server, *(other for _, other in (*server.behind, *there)))
        if any(one.backend.unknown_words or one.option("config") for one in servers):
            return True
        if client is not None and client.tool.unknown_words:
            return True
    return False


def _stays_locked(
    server: ServerSpec, client: ClientSpec | None, certificates: Mapping[str, CertificateSpec]
) -> str | None:
    """Why a program that opens no encrypted key can't be given a decrypted one; ``None``: it can, or needs none.

    Also ``None`` where the case is about the server's start, which shows what the program makes of the key, and for a key of
    the user's own.
    """
    if server.backend.opens_keys:
        return None
    for one in server.every_host:
        spec = certificates.get(one.certificate) if one.certificate is not None else None
        if spec is None or one.passphrase is None:
            continue
        if client is None or spec.files is not None or one.passphrase != spec.passphrase:
            return f"{server.backend.sentence} opens no encrypted key"
    return None
