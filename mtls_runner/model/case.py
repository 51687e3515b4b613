"""A case: what to run, what to expect, and where in the file it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    WAIT = "wait"
    REPLACE = "replace"
    """The files that the server was given are replaced, as by rename; it reads them when it is reloaded."""
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case.

    Args:
        name: as people are told it (``connect``, ``resume``, ``replace crl``, or the author's own).
        action: what is done.
        span: where it is written.
        client: who connects; only of a connection.
        expect: what must be seen of a connection, or of a reload.
        resume: number of the step, from 0, whose session is offered; ``None``: a fresh connection.
        seconds: how long it waits.
        until_expired: id of a certificate that it waits for to expire, instead.
        server: what the server's files say from now on; only where they are replaced.
        tls: as :attr:`Case.tls`.
    """

    name: str
    action: Action
    span: Span
    client: ClientSpec | None = None
    expect: Expectation = field(default_factory=Expectation)
    resume: int | None = None
    seconds: float = 0.0
    until_expired: str | None = None
    server: ServerSpec | None = None
    tls: TlsVersion | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to run.

    Args:
        id: ``path::case name[client.tls=TLSv1.3,client.tool=curl]``, or ``path::server`` for a server's own expectation.
        name: the case name with its parameters, as the console shows it.
        server: the server it needs.
        client: ``None`` when the case is the server's own expectation.
        expect: what must be seen.
        span: where the case begins.
        tls: the one version that it is planned to speak; ``None`` when several are possible, or none.
        tags: of the file.
        steps: done one after the other, each with its own expectation; then ``expect`` has no checks, and ``client`` is what
            they have in common.
    """

    id: str
    name: str
    server: ServerSpec
    client: ClientSpec | None
    expect: Expectation
    span: Span
    tls: TlsVersion | None = None
    tags: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


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
