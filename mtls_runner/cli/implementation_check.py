"""``mtls-run implementation check``: the catalogue of faults, and what it lacks, on one implementation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import click

from mtls_runner.cli.program import ExitCode
from mtls_runner.conformance.catalogue import plans
from mtls_runner.engine import RunOptions, run
from mtls_runner.language import Overrides, load
from mtls_runner.language.implementations.reading import DIRECTORY
from mtls_runner.model.case import Plan
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.implementation import Dialect, Honours, Implementation, Pattern
from mtls_runner.model.observation import Outcome
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.verdict import CaseFinished, Status, Verdict
from mtls_runner.registry import registry
from mtls_runner.tls.dialects import SEEN

__all__ = ["prove"]

_PROOF = DIRECTORY / "proof.yaml"
"""What the catalogue has no case for."""
_REFUSED = (Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED, Outcome.NO_AGREEMENT)


@dataclass(slots=True)
class _Proof:
    """What was seen of one end.

    Args:
        role: server or client.
        honours: what it says.
        patterns: that its lines are read by.
    """

    role: str
    honours: Honours
    patterns: tuple[Pattern, ...]
    ran: int = 0
    broken: list[str] = field(default_factory=list)
    proved: set[str] = field(default_factory=set)

    def told(self) -> Iterator[str]:
        """Unseen patterns and unproved settings, by name."""
        for pattern in self.patterns:
            if pattern not in SEEN:
                yield f"unseen pattern: {pattern.match}  {pattern.place}"
        for setting in sorted(set(_said(self.honours)) - self.proved):
            yield f"unproved setting: {setting}"


def prove(implementations: Sequence[Implementation], *, dialects: bool) -> ExitCode:
    """Run it all; the exit code is 1 where something was not seen, not proved, or broke.

    Args:
        implementations: which.
        dialects: whether each pattern of their dialects has to be seen by one of them, too.
    """
    SEEN.clear()
    whole = True
    spoken: dict[str, Dialect] = {}
    for implementation in implementations:
        click.echo(f"{implementation.name}:")
        server, client = implementation.server, implementation.client
        if server is not None:
            spoken[server.log.dialect.name] = server.log.dialect
            whole = _run(_Proof("server", server.honours, server.log.refused), _server_plans(implementation)) and whole
        if client is not None:
            spoken[client.dialect.name] = client.dialect
            whole = _run(_Proof("client", client.honours, client.refused), _client_plans(implementation)) and whole
    for dialect in spoken.values() if dialects else ():
        unseen = [pattern for pattern in dialect.lines if pattern not in SEEN]
        click.echo(f"dialect {dialect.name}: {len(unseen)} unseen patterns of {len(dialect.lines)}")
        for pattern in unseen:
            click.echo(f"  unseen pattern: {pattern.match}  {pattern.place}")
        whole = whole and not unseen
    return ExitCode.OK if whole else ExitCode.FAILED


def _server_plans(implementation: Implementation) -> Iterator[Plan]:
    own = load(_PROOF, Overrides(backend=implementation.name, allow_commands=True))
    for plan in (own, *plans([implementation.name], [registry().clients.default.name])):
        yield _with_python(plan)


def _client_plans(implementation: Implementation) -> Iterator[Plan]:
    yield load(_PROOF, Overrides(tool=implementation.name, allow_commands=True))
    yield from plans([registry().backends.default.name], [implementation.name])


def _with_python(plan: Plan) -> Plan:
    own = registry().clients.default
    cases = (case for case in plan.cases if case.client is None or case.client.tool is own)
    return replace(plan, cases=tuple(cases))


def _run(proof: _Proof, chosen: Iterable[Plan]) -> bool:
    for event in run(list(chosen), RunOptions(jobs=2)):
        if isinstance(event, CaseFinished):
            _look(proof, event.verdict)
    lines = [f"  {proof.role}: {proof.ran} cases", *(f"    {line}" for line in (*proof.broken, *proof.told()))]
    click.echo("\n".join(lines))
    unseen = sum("    unseen" in line for line in lines)
    unproved = sum("    unproved" in line for line in lines)
    click.echo(
        f"{proof.role}: {unseen} unseen patterns, {unproved} unproved settings, {len(proof.broken)} broken cases"
    )
    return len(lines) == 1


def _look(proof: _Proof, verdict: Verdict) -> None:
    if verdict.status is Status.SKIP:
        return
    proof.ran += 1
    if verdict.status is Status.ERROR:
        proof.broken.append(f"broken: {verdict.case.name}: {verdict.error.splitlines()[0]}")
        return
    if not _as_meant(verdict):
        return
    server = verdict.case.server
    if proof.role == "server":
        proof.proved |= set(_asked_of_server(server))
    elif verdict.case.client is not None:
        proof.proved |= set(_asked_of_client(verdict.case.client))


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
    if honours.alpn is None or honours.alpn:
        yield "alpn"


def _asked_of_server(server: ServerSpec) -> Iterator[str]:
    from mtls_runner.servers.declared.honours import given

    yield f"client_auth: {server.client_auth}"
    yield from (f"tls: {version}" for version in server.tls)
    if server.crl_check is not RevocationCheck.NONE:
        yield f"crl_check: {server.crl_check}"
    if server.alpn:
        yield "alpn"
    yield from (setting for setting, wanted in given(server) if wanted)
    for host in server.hosts:
        yield from _asked_of_server(host.server)


def _asked_of_client(client: ClientSpec) -> Iterator[str]:
    from mtls_runner.clients.declared.honours import given

    yield from (f"tls: {version}" for version in client.tls)
    if client.crl_check is not RevocationCheck.NONE:
        yield f"crl_check: {client.crl_check}"
    if client.alpn:
        yield "alpn"
    yield from (setting for setting, wanted in given(client) if wanted)
