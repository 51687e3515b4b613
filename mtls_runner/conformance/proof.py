"""Proves a declared implementation by the catalogue of faults: which of its patterns read a line, which of its claims held."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from mtls_runner.conformance.catalogue import plan_of, scenario_files
from mtls_runner.engine import RunOptions, run
from mtls_runner.language import Overrides, load
from mtls_runner.language.implementations.reading import DIRECTORY
from mtls_runner.language.tree import known_to
from mtls_runner.model import listed, plural
from mtls_runner.model.case import Action, Case, Plan
from mtls_runner.model.endpoint import ClientSpec, ServerSpec, has_gap
from mtls_runner.model.implementation import Dialect, Difference, Honours, Implementation, Pattern
from mtls_runner.model.observation import Observation, Outcome, Reason
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.traits import ClientTraits
from mtls_runner.model.verdict import CaseFinished, RunFinished, Status, Verdict
from mtls_runner.reporters import one_line
from mtls_runner.tls import verify_reason
from mtls_runner.tls.dialects import FACTS, SEEN, compiled

__all__ = ["Course", "Proof", "proofs_of", "sayable", "unseen_of"]

_PROOF = DIRECTORY / "proof.yaml"
"""What the catalogue has no case for."""
_JOBS = 4
"""Cases of each at once: most of them wait for a program to start."""
_CONTROL = "good"
"""The proof's case that goes well wherever anything does: where it does not, no other case says anything."""
_LAST_WORDS = 3
"""Lines of a program's own that are shown of each broken case but the control, of which all are."""
_GAPS = "gaps"
_RELOAD = "reload"
"""Said by a declaration that has one, beside what it honours."""
_SURE = (
    "none",
    "who it is",
    "expired",
    "foreign",
    "the server is stale",
    "the client trusts another",
    "the server has another name",
)
"""Cases of the proof whose reasons nobody reads otherwise, or so that they are among several."""
_TOLD = ("client_subject", "client_verify")
"""Of whom it let in, where it tells."""
_NO_PORT = (
    "it does not tell from which port it connects, so that what a server saw of it is not known: tell it by a fact `local_port`, "
    "have it connect from {{local_port}}, or say told_port: true"
)
_WRONG_PORT = "the server saw no connection from the port that it tells (local_port)"
_REFUSED = (Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED, Outcome.NO_AGREEMENT)
_BY_CHANCE = (Reason.ADDRESS_IN_USE, Reason.MISSING_FILE)
"""Reasons not to start that no scenario can cause: the lab chooses the port and writes the files."""


class Course(Protocol):
    """Several proofs at a time: whether they go on, and what is told of them meanwhile."""

    stopped: threading.Event

    def goes_on(self, proof: Proof) -> None:
        """A case of it was run."""
        ...


class Proof(Struct):
    """What the catalogue has shown of an implementation as a server, or as a client.

    Args:
        name: of the implementation.
        role: server or client.
        said: what it says it honours.
        patterns: that its lines are read by, but for its dialect's.
        facts: regular expressions that say what it saw.
        dialect: of its TLS library.
        differs: what it says that it does otherwise than the catalogue.
        own: what is run in any case.
        left: of the catalogue, cases that were not run yet.
        stuck: the control did not go well, and nothing after it was run.
        met: of a client, whether a server saw a connection from a port that was known to be its own; ``None``: it told none.
    """

    name: str
    role: str
    said: frozenset[str]
    patterns: tuple[Pattern, ...]
    facts: tuple[str, ...]
    dialect: Dialect
    differs: tuple[Difference, ...]
    own: Plan
    left: list[Plan]
    ran: int = 0
    broken: list[str] = field(default_factory=list)
    undeclared: dict[str, tuple[str, ...]] = field(default_factory=dict)
    proved: set[str] = field(default_factory=set)
    differed: set[str] = field(default_factory=set)
    stuck: bool = False
    met: bool | None = None

    def unseen(self) -> list[Pattern]:
        """Patterns of its own that never read a line; each plan reads a tree's own declaration anew."""
        seen = {(pattern.match, pattern.place) for pattern in SEEN}
        return [pattern for pattern in self.patterns if (pattern.match, pattern.place) not in seen]

    def unread(self) -> list[str]:
        """Facts that it never told."""
        return [fact for fact in self.facts if compiled(fact).pattern not in FACTS]

    def unproved(self) -> list[str]:
        """What it says that no case went well with."""
        return sorted(self.said - self.proved) + [
            f"differs: {one.case}" for one in self._always() if one.case not in self.differed
        ]

    def _always(self) -> Iterator[Difference]:
        return (one for one in self.differs if not one.sometimes)

    def run_enough(self, course: Course, *, everything: bool) -> None:
        """The control, then what is needed to see all patterns of its own, and all that it says it does; or everything."""
        cases = sorted(self.own.cases, key=lambda case: case.name != _CONTROL)
        self.run(replace(self.own, cases=tuple(cases)), course)
        if self.stuck:
            return
        wanted = {one.case for one in self._always()}
        if not everything:
            # Then where an end can't use what it is given: the reasons that are expected there are not each program's.
            for about in (_meanings, self._unusable):
                expected = about(self.unseen())
                for number in range(len(self.left)):
                    self.run(self._taken(number, expected, wanted), course)
        while self.left and (everything or self.unseen() or self.said - self.proved):
            self.run(self.left.pop(0), course)

    def _unusable(self, unseen: Sequence[Pattern]) -> frozenset[str]:
        return frozenset([f"{self.role}-unusable"] if unseen else [])

    def more(self) -> Iterator[Plan]:
        """What may bring it to say what nobody has said yet of its dialect: first what is about that, then all the rest."""
        for number in range(len(self.left)):
            yield self._taken(number, _meanings(sayable(self)))
        while self.left:
            yield self.left.pop(0)

    def _taken(self, number: int, about: Collection[str], names: Collection[str] = ()) -> Plan:
        """The cases of a plan that expect one of these reasons or outcomes, or have such a name; they are no longer left."""
        plan = self.left[number]
        taken = tuple(case for case in plan.cases if case.written in names or _expected(case) & set(about))
        self.left[number] = replace(plan, cases=tuple(case for case in plan.cases if case not in taken))
        return replace(plan, cases=taken)

    def run(self, plan: Plan, course: Course) -> None:
        """Each case, unless or until somebody has stopped it all, or the control went wrong."""
        for event in run([plan], RunOptions(jobs=_JOBS)) if plan.cases and not course.stopped.is_set() else ():
            if isinstance(event, CaseFinished):
                self._look(event.verdict)
                course.goes_on(self)
            elif isinstance(event, RunFinished) and event.error:
                self.broken.append(f"broken: {plan.name}: {event.error}")
            if course.stopped.is_set() or self.stuck:
                return  # nobody else has the run: it ends, too

    def _look(self, verdict: Verdict) -> None:
        if verdict.status is Status.SKIP:
            return
        self.ran += 1
        case = verdict.case
        seen = verdict.observation
        if seen is not None and seen.client is not None and seen.client.local_port is not None:
            self.met = self.met or seen.server is not None
        if case.name == _CONTROL and verdict.status in (Status.FAIL, Status.ERROR):
            self.stuck = True
        elif case.name == _CONTROL and self.role == "client" and self.met is False:
            self.stuck = True
            self.broken.append(f"broken: {case.name}: {_WRONG_PORT}")
        observed = verdict.observation.outcome if verdict.observation is not None else None
        found = [one for one in self.differs if one.case == case.written]
        declared = next((one for one in found if one.outcome is observed), found[0] if found else None)
        if declared is not None and observed is declared.outcome:
            self.differed.add(declared.case)
            return
        if declared is not None and declared.outcome is Outcome.SERVER_UNUSABLE and verdict.unusable is not None:
            self.differed.add(declared.case)  # who comes to a server that does not start
            return
        if verdict.status is Status.ERROR:
            first, *more = verdict.error.splitlines()
            shown = more if self.stuck else more[-_LAST_WORDS:]
            shown += verdict.observation.evidence if verdict.observation is not None else ()
            self.broken.append(
                "\n      ".join([f"broken: {case.name}: {first}", *map(one_line, map(str.strip, shown))])
            )
            return
        if observed is not None and "outcome" in {mismatch.path for mismatch in verdict.mismatches}:
            self.undeclared.setdefault(
                f"differs, and does not say so: {case.written}: {observed}", tuple(_evidence(verdict))
            )
        if seen is not None and case.written in _SURE:
            self._read(verdict, seen)
        if not _as_meant(verdict):
            return
        version = verdict.observation.tls_version if verdict.observation is not None else None
        if version is not None and observed is Outcome.ACCEPTED:
            self.proved.add(f"tls: {version}")
            own = case.server if self.role == "server" else case.client
            if own is not None and has_gap(own.tls) and version == own.tls[-1]:  # above what is left out
                self.proved.add(_GAPS)
        if self.role == "server":
            self.proved |= set(_asked_of_server(case.server))
        elif case.client is not None:
            self.proved |= set(_asked_of_client(case.client))
        if any(step.action is Action.RELOAD for step in case.steps):
            self.proved.add(_RELOAD)

    def _read(self, verdict: Verdict, seen: Observation) -> None:
        """What was read of a case whose lines nobody reads otherwise."""
        name, paths = verdict.case.written, {one.path: one for one in verdict.mismatches}
        if seen.outcome is self._refuses:
            server = seen.server if self.role == "server" else None
            if "reason" in paths:
                told = f"reads another reason than was made: {name}: {listed(seen.reasons)}"
                self.undeclared[told] = tuple(_evidence(verdict, "reason"))
            elif server is not None and not server.error:
                last = [f"its last line: {one_line(server.log[-1])}"] if server.log else []
                told = f"reads no line about whom it refused: {name}: is {self.dialect.name} its TLS library's dialect?"
                self.undeclared[told] = tuple(last)
        for path in _TOLD if seen.outcome is Outcome.ACCEPTED else ():
            if path in paths and paths[path].observed != "not observed":
                told = f"tells another {path} than came: {name}: {paths[path].observed}"
                self.undeclared[told] = tuple(_evidence(verdict, path))

    @property
    def _refuses(self) -> Outcome:
        return Outcome.SERVER_REFUSED if self.role == "server" else Outcome.CLIENT_REFUSED

    def so_far(self) -> str:
        """How much of it was run, in a line."""
        return f"{self.name}, {self.role}: {plural(self.ran, 'case')}"

    def lines(self) -> Iterator[str]:
        """What there is to say, for people."""
        stuck = ": the control does not go well, and nothing after it was run" if self.stuck else ""
        yield f"  {self.role}: {plural(self.ran, 'case')}{stuck}"
        yield from (f"    {line}" for line in self.broken)
        for line, evidence in self.undeclared.items():
            yield f"    {line}"
            yield from (f"      {fact}" for fact in evidence)
        if self.stuck:
            option = "--backend" if self.role == "server" else "--tool"
            what, keep = ("its files and all lines", " --keep") if self.role == "server" else ("both ends", "")
            yield f"    {what}: mtls-run FILE {option} {self.name} --allow-commands{keep} -v"
            return
        if self.role == "client" and self.met is None:
            yield f"    {_NO_PORT}"
        yield from (f"    unseen pattern: {pattern.match}  {pattern.place}" for pattern in self.unseen())
        yield from (f"    unseen fact: {fact}" for fact in self.unread())
        yield from (f"    unproved setting: {setting}" for setting in self.unproved())
        yield (
            f"  {self.role}: {len(self.unseen())} unseen patterns, {len(self.unproved())} unproved settings, "
            f"{len(self.broken)} broken cases"
        )

    def whole(self) -> bool:
        """Whether nothing is missing, and nothing went wrong."""
        return not (self.stuck or self.broken or self.undeclared or self.unseen() or self.unread() or self.unproved())


def sayable(proof: Proof) -> list[Pattern]:
    """What of its dialect nobody has said, and it may."""
    return [pattern for pattern in unseen_of(proof.dialect) if pattern.said_by in ("", proof.name)]


def _meanings(patterns: Sequence[Pattern]) -> frozenset[str]:
    """The reasons that they stand for."""
    coded = {verify_reason(pattern.code) for pattern in patterns if pattern.code is not None}
    return frozenset(reason for pattern in patterns for reason in pattern.reasons) | frozenset(filter(None, coded))


def _expected(case: Case) -> set[str]:
    """The outcomes and reasons that a case expects."""
    checks = [check for check in case.expect.checks if check.path in ("outcome", "reason")]
    return {str(alternative.value) for check in checks for alternative in check.alternatives}


def unseen_of(dialect: Dialect) -> list[Pattern]:
    """Patterns of a dialect that never read a line."""
    return [pattern for pattern in dialect.lines if pattern not in SEEN]


def proofs_of(implementation: Implementation, tree: Path) -> Iterator[Proof]:
    """The proofs of an implementation: as a server, as a client, or as both; ``tree``: a path in the tree that declares it."""
    server, client = implementation.server, implementation.client
    known = known_to(tree, consent=True)
    here = Overrides(allow_commands=True, tree=tree)
    if server is not None:
        said = {*_said(server.honours), *([_RELOAD] if server.reload is not None else [])}
        patterns = (*server.log.refused, *_caused(server.start))
        yield Proof(
            implementation.name,
            "server",
            frozenset(said),
            patterns,
            server.log.facts,
            server.log.dialect,
            server.differs,
            load(_PROOF, replace(here, backend=implementation.name)),
            _catalogue(replace(here, backend=implementation.name), known.clients.default),
        )
    if client is not None:
        yield Proof(
            implementation.name,
            "client",
            frozenset(_said(client.honours)),
            (*client.refused, *_caused(client.start)),
            client.facts,
            client.dialect,
            client.differs,
            load(_PROOF, replace(here, tool=implementation.name)),
            _catalogue(replace(here, backend=known.backends.default.name), known.clients.named(implementation.name)),
        )


def _catalogue(overrides: Overrides, tool: ClientTraits) -> list[Plan]:
    return [plan_of(path, overrides, [tool]) for path in scenario_files()]


def _caused(patterns: Sequence[Pattern]) -> Iterator[Pattern]:
    return (pattern for pattern in patterns if not set(pattern.reasons) & set(_BY_CHANCE))


def _evidence(verdict: Verdict, path: str = "outcome") -> Iterator[str]:
    """What was expected, and what both ends saw, for people."""
    expected = [mismatch.expected for mismatch in verdict.mismatches if mismatch.path == path]
    yield f"expected: {', '.join(map(str, expected))}"
    if verdict.observation is not None:
        yield from map(one_line, verdict.observation.evidence)


def _as_meant(verdict: Verdict) -> bool:
    """It ended as the case says; of a fault it counts that it was refused, since each library has reasons of its own."""
    if verdict.status is Status.PASS:
        return True
    observed = verdict.observation.outcome if verdict.observation is not None else None
    paths = {mismatch.path for mismatch in verdict.mismatches}
    return observed in _REFUSED and "outcome" not in paths


def _said(honours: Honours) -> Iterator[str]:
    yield from (f"client_auth: {mode}" for mode in honours.client_auth)
    yield from (f"tls: {version}" for version in honours.tls)
    yield from (f"crl_check: {part}" for part in honours.crl_check)
    yield from honours.settings
    if honours.gaps:
        yield _GAPS
    if honours.alpn is None or honours.alpn:
        yield "alpn"


def _asked_of_server(server: ServerSpec) -> Iterator[str]:
    from mtls_runner.servers.declared.honours import given

    yield f"client_auth: {server.client_auth}"
    if server.crl_check is not RevocationCheck.NONE:
        yield f"crl_check: {server.crl_check}"
    if server.alpn:
        yield "alpn"
    yield from (setting for setting, wanted in given(server) if wanted)
    for host in server.hosts:
        yield from _asked_of_server(host.server)


def _asked_of_client(client: ClientSpec) -> Iterator[str]:
    from mtls_runner.clients.declared.honours import given

    if client.crl_check is not RevocationCheck.NONE:
        yield f"crl_check: {client.crl_check}"
    if client.alpn:
        yield "alpn"
    yield from (setting for setting, wanted in given(client) if wanted)
