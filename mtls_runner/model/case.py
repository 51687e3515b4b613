"""A case: what to run, what to expect, and where in the file it was written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from mtls_runner.errors import Diagnostic, Span
from mtls_runner.model.certificate import CertificateSpec, Moment
from mtls_runner.model.endpoint import ClientSpec, ServerSpec, TlsVersion
from mtls_runner.model.revocation import CrlSpec

__all__ = [
    "Action",
    "Case",
    "Check",
    "Expectation",
    "Match",
    "Matcher",
    "Observed",
    "Plan",
    "Step",
    "Versions",
    "meet_briefly",
    "satisfies",
]

Observed = str | int | bool | tuple[str, ...] | None


class Match(StrEnum):
    """How an expected value is compared with an observed one."""

    EQUALS = "equals"
    CONTAINS = "contains"
    """A substring; for a list, a member."""
    MATCHES = "matches"
    """A regular expression found anywhere (``re.search``)."""
    IN_ORDER = "in-order"
    """All listed members occur, in this order, others between them."""


class Matcher(Struct, frozen=True):
    """One alternative. ``value`` is what the author wrote: text, integer, boolean, ``None``, or a tuple of texts."""

    kind: Match
    value: str | int | bool | tuple[str, ...] | None

    def fits(self, value: Observed, *, lines: bool = False) -> bool:
        """Whether an observed value is the wanted one; ``None``: it was absent.

        Args:
            value: what was observed.
            lines: a list is searched line by line, not for a member.

        Raises:
            DeadlineExceeded: a regular expression gives no answer in time.
        """
        wanted = self.value
        if value is None:
            return wanted is None and self.kind is Match.EQUALS
        match self.kind:
            case Match.EQUALS:
                # True == 1 in Python, but not for the author of a scenario.
                return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
            case Match.IN_ORDER:
                return isinstance(value, tuple) and isinstance(wanted, tuple) and _in_order(wanted, value)
            case Match.CONTAINS:
                if isinstance(value, tuple):
                    return any(str(wanted) in line for line in value) if lines else str(wanted) in value
                return str(wanted) in str(value)
            case Match.MATCHES:
                texts = value if isinstance(value, tuple) else (str(value),)
                from mtls_runner.regular_expressions import occurs  # few expectations have one

                return occurs(str(wanted), texts)


def _in_order(wanted: Sequence[str], seen: Iterable[str]) -> bool:
    rest = iter(seen)
    return all(any(item == other for other in rest) for item in wanted)


_RELEASE = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_CLAUSE = re.compile(rf"\s*(>=|<=|==|!=|>|<|)\s*({_RELEASE.pattern})\s*")
_COMPARED = {">=": ge, "<=": le, "==": eq, "": eq, "!=": ne, ">": gt, "<": lt}


@lru_cache(maxsize=256)
def satisfies(version: str, condition: str) -> bool:
    """Whether ``7.88.1-DEV`` satisfies ``>=7.80,<8.16``: the release counts (PEP 440), nothing behind it.

    Args:
        version: as the program says it; one without a number satisfies nothing.
        condition: clauses, separated by commas: a version, or one behind ``>=``, ``<=``, ``==``, ``!=``, ``>`` or ``<``.
    """
    release = _RELEASE.match(version)
    clauses = [_CLAUSE.fullmatch(clause) for clause in condition.split(",")]
    return release is not None and all(
        clause is not None and _COMPARED[clause[1]](_numbers(release[0]), _numbers(clause[2])) for clause in clauses
    )


def _numbers(release: str) -> tuple[int, ...]:
    """1.2 and 1.2.0 are the same release (PEP 440)."""
    return tuple(int(number) for number in re.sub(r"(?:\.0+)+$", "", release).split("."))


class Versions(Struct, frozen=True):
    """Versions, or ranges of versions (``>=8.16``, PEP 440 style), of a connection's two programs and their TLS libraries.

    Args:
        tool, tool_library: of the client.
        backend, library: of the server.
    """

    tool: str = ""
    backend: str = ""
    tool_library: str = ""
    library: str = ""

    def __bool__(self) -> bool:
        return bool(self.tool or self.backend or self.tool_library or self.library)

    def __str__(self) -> str:
        told = (
            ("version", self.tool),
            ("server's version", self.backend),
            ("client's TLS library", self.tool_library),
            ("server's TLS library", self.library),
        )
        return ", ".join(f"{what} {text}" for what, text in told if text)

    @property
    def as_written(self) -> dict[str, str]:
        """Those that are known, by the keys of ``when:``."""
        return {f"{name}_version": text for name in self.__struct_fields__ if (text := getattr(self, name))}

    def within(self, ranges: Versions) -> bool:
        """Whether each satisfies its range; where there is none, any does."""
        if not ranges:  # mostly, and of every check
            return True
        have = self.as_written
        return all(satisfies(have.get(name, ""), wanted) for name, wanted in ranges.as_written.items())


class Check(Struct, frozen=True):
    """One line of an expectation.

    Args:
        path: a field of :class:`~mtls_runner.model.observation.Observation`; ``headers.<name>`` and
            ``upstream_headers.<name>`` (lower case) look inside. A ``None`` value there means absent.
        alternatives: any one of them will do.
        span: where the value was written.
        only_for: ranges that the versions have to satisfy for the check to apply; without any it always does.
            Of several checks of one path that apply, only the last counts.
    """

    path: str
    alternatives: tuple[Matcher, ...]
    span: Span
    only_for: Versions = Versions()


class Expectation(Struct, frozen=True):
    """All checks of a case, ``outcome`` and ``reason`` among them, in order."""

    checks: tuple[Check, ...] = ()


class Action(StrEnum):
    """What a step does."""

    CONNECT = "connect"
    START = "start"
    """The server starts, or does not: its own expectation."""
    WAIT = "wait"
    REPLACE = "replace"
    """The files that the server was given are replaced, as by rename; it reads them when it is reloaded."""
    RELOAD = "reload"
    RENEW = "renew"
    """The files that the client was given get another certificate and its key, as by rename."""
    RESTART = "restart"
    """The client is started anew: it has no connection, and reads its files."""


class Step(Struct, frozen=True):
    """One step of a case.

    Args:
        name: for people (``connect``, ``resume``, ``replace crl``, or the author's own); ``""``: it is the only step, and the
            case's name will do.
        action: what is done.
        span: where it is written.
        client: who connects; only of a connection.
        expect: what must be seen of a connection, of a start, or of a reload.
        resume: number of the step, from 0, whose session is offered; ``None``: none is.
        reuse: number of the step, from 0, whose connection it goes on with; ``None``: it makes one.
        seconds: how long it waits.
        renewed: id of the certificate that the client's files hold from now on; only where they are replaced.
        until_expired: id of a certificate that it waits for to expire, instead.
        server: what the server's files say from now on; only where they are replaced.
        tls: the one version that it is planned to speak; ``None`` when several are possible, or none.
    """

    name: str
    action: Action
    span: Span
    client: ClientSpec | None = None
    expect: Expectation = Expectation()
    resume: int | None = None
    reuse: int | None = None
    seconds: float = 0.0
    until_expired: str | None = None
    renewed: str | None = None
    server: ServerSpec | None = None
    tls: TlsVersion | None = None


_OPEN = Expectation()


def bracketed(parameters: Sequence[tuple[str, str]]) -> str:
    """``[client.tls=TLSv1.3,client.tool=curl]``, as a case's name ends; ``""`` where there are none."""
    return f"[{','.join(f'{name}={value}' for name, value in parameters)}]" if parameters else ""


class Case(Struct, frozen=True):
    """One thing to run: steps, one after the other, on one server; mostly a single one.

    Args:
        id: ``path::case name[client.tls=TLSv1.3,client.tool=curl]``, or ``path::server`` for a server's own expectation.
        name: the case name with its parameters, as the console shows it.
        server: the server it needs.
        steps: at least one, each with its own expectation.
        span: where the case begins.
        tags: of the file.
        parameters: the matrix's, each with its value in words (``client.tls``, ``TLSv1.3``).
    """

    id: str
    name: str
    server: ServerSpec
    steps: tuple[Step, ...]
    span: Span
    tags: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def written(self) -> str:
        """Its name as it stands in the file, which all variants of a matrix share."""
        return self.name.removesuffix(bracketed(self.parameters))

    @property
    def plain(self) -> bool:
        """Whether it is one step, written without any."""
        return len(self.steps) == 1 and not self.steps[0].name

    @property
    def client(self) -> ClientSpec | None:
        """The first client that connects; ``None``: the case is a server's own expectation."""
        return next((step.client for step in self.steps if step.client is not None), None)

    @property
    def expect(self) -> Expectation:
        """What must be seen, where only one step has an expectation; otherwise each step has its own, and this is empty."""
        return self.steps[0].expect if self.plain else _OPEN

    @property
    def tls(self) -> TlsVersion | None:
        """The one version that all of its connections are planned to speak; ``None`` when several are possible, or none."""
        versions = {step.tls for step in self.steps if step.client is not None}
        return versions.pop() if len(versions) == 1 else None

    def meetings(self) -> Iterator[tuple[ServerSpec, ClientSpec | None]]:
        """Every server that its steps connect to, as it is described by then, with the client."""
        server = self.server
        for step in self.steps:
            server = step.server or server
            if step.client is not None or step.action in (Action.REPLACE, Action.START):
                yield server, self.client if step.client is None else step.client

    def alone(self, number: int) -> Case:
        """A step, from 0, as a case of its own, on the server as that had last read its files."""
        server = written = self.server
        for step in self.steps[:number]:
            if step.action is Action.REPLACE and step.server is not None:
                written = step.server
            elif step.action is Action.RELOAD:
                server = written
        return replace(self, server=server, steps=(replace(self.steps[number], name=""),))

    def by(self, client: ClientSpec) -> Case:
        """The same case with another client in every connection."""
        return replace(
            self,
            steps=tuple(replace(step, client=client) if step.client is not None else step for step in self.steps),
        )


class Plan(Struct, frozen=True):
    """A whole scenario file, resolved.

    Args:
        path: as given on the command line (ids start with it).
        certificates: authorities and leaves by id; issuers before those they issue where there is no cycle.
        cases: in the file's order, matrices expanded.
        text: the file's, for snippets.
        warnings: unused certificates and the like; errors under ``--strict``.
        crls: by id, those that a server or client loads.
        files: every other file that the scenario names, absolute; they may not be there.
        moved: how much later than now it is there; its dates are moved the other way already.
        clock: how much later it is to its programs, whose clocks are moved; its dates are as they are written.
        not_run: other cases of the file, which were not chosen; what they expect still counts as known of the servers.
        places: where certificates (``certificate``), servers (``server``), CRLs (``crl``) and their keys are written: (kind,
            id, key), with ``""`` for the whole.
    """

    path: Path
    name: str
    description: str
    tags: tuple[str, ...]
    certificates: Mapping[str, CertificateSpec]
    cases: tuple[Case, ...]
    text: str
    warnings: tuple[Diagnostic, ...] = ()
    crls: Mapping[str, CrlSpec] = field(default_factory=dict)
    files: frozenset[Path] = frozenset()
    moved: timedelta = timedelta(0)
    clock: timedelta = timedelta(0)
    not_run: tuple[Case, ...] = ()
    places: Mapping[tuple[str, str, str], Span] = field(default_factory=dict)

    @property
    def every_case(self) -> tuple[Case, ...]:
        """Those that were not chosen, too."""
        return (*self.cases, *self.not_run)


def meet_briefly(server: ServerSpec, client: ClientSpec | None, plan: Plan) -> bool:
    """Whether a certificate, CRL or OCSP response that two need begins or ends within an hour, relative to the run."""
    return any(moment.brief for moment in _moments(server, client, plan))


def _moments(meant: ServerSpec, client: ClientSpec | None, plan: Plan) -> Iterator[Moment]:
    servers = meant.every_host
    wanted = [id_ for server in servers for id_ in _of_server(server)]
    crls = [id_ for server in servers for id_ in server.crl]
    if client is not None:
        wanted += _of_client(client)
        crls += client.crl
    met: set[str] = set()
    while wanted:
        spec = plan.certificates.get(wanted.pop())
        if spec is None or spec.id in met or spec.files is not None:
            continue
        met.add(spec.id)
        wanted += [spec.issuer] if spec.issuer is not None else []
        yield from (spec.not_before, spec.not_after)
    for crl in filter(None, map(plan.crls.get, crls)):
        yield from (crl.this_update, crl.next_update)
    for server in servers:
        staple = server.stapling.file if server.stapling is not None else None
        for responder in filter(None, (*server.responders, staple)):
            yield from filter(None, (responder.this_update, responder.next_update))


def _of_server(server: ServerSpec) -> Iterator[str]:
    yield from filter(None, (server.certificate, *server.other_certificates))
    yield from (*server.trust, *(server.advertise or ()), *server.chain.ids)
    yield from (file.certificate for file in server.files if file.own is None)


def _of_client(client: ClientSpec) -> Iterator[str]:
    yield from filter(None, (client.certificate, client.key.id if client.key is not None else None))
    yield from (*client.trust, *client.chain.ids)
