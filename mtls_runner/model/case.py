"""A case: what to run, what to expect, and where in the file it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.client import ClientSpec
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.expectation import Expectation
from mtls_runner.model.revocation import CrlSpec
from mtls_runner.model.server import ServerSpec
from mtls_runner.span import Diagnostic, Span

__all__ = ["Action", "Case", "Plan", "Step"]


class Action(StrEnum):
    """What a step does."""

    CONNECT = "connect"
    START = "start"
    """The server starts, or does not: its own expectation."""
    WAIT = "wait"
    REPLACE = "replace"
    """The files that the server was given are replaced, as by rename; it reads them when it is reloaded."""
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case.

    Args:
        name: as people are told it (``connect``, ``resume``, ``replace crl``, or the author's own); ``""``: it is all that its
            case does, and goes by the case's name.
        action: what is done.
        span: where it is written.
        client: who connects; only of a connection.
        expect: what must be seen of a connection, of a start, or of a reload.
        resume: number of the step, from 0, whose session is offered; ``None``: none is.
        reuse: number of the step, from 0, whose connection it goes on with; ``None``: it makes one.
        seconds: how long it waits.
        until_expired: id of a certificate that it waits for to expire, instead.
        server: what the server's files say from now on; only where they are replaced.
        tls: the one version that it is planned to speak; ``None`` when several are possible, or none.
    """

    name: str
    action: Action
    span: Span
    client: ClientSpec | None = None
    expect: Expectation = field(default_factory=Expectation)
    resume: int | None = None
    reuse: int | None = None
    seconds: float = 0.0
    until_expired: str | None = None
    server: ServerSpec | None = None
    tls: TlsVersion | None = None


_OPEN = Expectation()


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to run: steps, one after the other, on one server; mostly a single one.

    Args:
        id: ``path::case name[client.tls=TLSv1.3,client.tool=curl]``, or ``path::server`` for a server's own expectation.
        name: the case name with its parameters, as the console shows it.
        server: the server it needs.
        steps: at least one, each with its own expectation.
        span: where the case begins.
        tags: of the file.
    """

    id: str
    name: str
    server: ServerSpec
    steps: tuple[Step, ...]
    span: Span
    tags: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it is one step, written without any."""
        return len(self.steps) == 1 and not self.steps[0].name

    @property
    def client(self) -> ClientSpec | None:
        """The first that connects; ``None`` when nobody does: the case is the server's own expectation."""
        return next((step.client for step in self.steps if step.client is not None), None)

    @property
    def expect(self) -> Expectation:
        """What must be seen, where there is but one step to be seen; else each has its own, and this is empty."""
        return self.steps[0].expect if self.plain else _OPEN

    @property
    def tls(self) -> TlsVersion | None:
        """The one version that all of its connections are planned to speak; ``None`` when several are possible, or none."""
        versions = {step.tls for step in self.steps if step.client is not None}
        return versions.pop() if len(versions) == 1 else None

    def meetings(self) -> Iterator[tuple[ServerSpec, ClientSpec | None]]:
        """Every server that its steps come to, as it is described by then, each with whom it meets."""
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
        """The same with another client in every connection."""
        return replace(
            self,
            steps=tuple(replace(step, client=client) if step.client is not None else step for step in self.steps),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole scenario file, resolved.

    Args:
        path: as given on the command line (ids start with it).
        certificates: authorities and leaves by id; issuers before those they issue where there is no cycle.
        cases: in the file's order, matrices expanded.
        lines: the file's text, for snippets.
        warnings: unused certificates and the like; errors under ``--strict``.
        crls: by id, those that a server or client loads.
        files: every other file that the scenario names, absolute; they may not be there.
        not_run: other cases of the file, which were not chosen; what they expect still counts as known of the servers.
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
    not_run: tuple[Case, ...] = ()
