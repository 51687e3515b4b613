"""Hand-made plans and verdicts, as the engine would send them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from mtls_runner.engine.compare import whole
from mtls_runner.errors import Diagnostic, Severity, Span
from mtls_runner.model.case import Action, Case, Check, Expectation, Match, Matcher, Plan, Step, Versions, bracketed
from mtls_runner.model.endpoint import ClientSpec, ServerSpec, TlsVersion
from mtls_runner.model.observation import (
    Alert,
    ClientView,
    Direction,
    HttpRequest,
    HttpResponse,
    Message,
    Observation,
    Outcome,
    Phase,
    Reason,
    ServerView,
)
from mtls_runner.model.verdict import (
    CaseFinished,
    CaseStarted,
    Event,
    Mismatch,
    PlanFinished,
    PlanStarted,
    RunFinished,
    RunStarted,
    Status,
    Verdict,
)
from mtls_runner.registry import registry

TEXT = """\
name: sample
server: {certificate: server}
cases:
  - name: one
    client: client
    expect: {server-refused: expired}
"""

ACCEPTED = Observation(
    Outcome.ACCEPTED,
    summary="server accepted the client: 200",
    evidence=("client: a whole answer, status 200", "server: verified the client certificate"),
    status=200,
    headers=(("content-length", "3"),),
    body=b"hi\n",
    curl_exit=0,
    ssl_verify_result=0,
    server_verify_code=0,
    tls_version="TLSv1.3",
    cipher="TLS_AES_256_GCM_SHA384",
    client_chain=("client",),
    handshake=("ClientHello", "ServerHello"),
    resumed=False,
    client=ClientView(
        "curl",
        "7.88.1",
        Phase.DONE,
        exit_code=0,
        messages=(Message(Direction.SENT, "ClientHello", 512), Message(Direction.RECEIVED, "ServerHello", 122)),
        tls_version="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        response=HttpResponse(200, (("content-length", "3"),), b"hi\n"),
        local_port=40000,
        command="curl -K case.curlrc https://localhost:1/",
    ),
    server=ServerView(
        "python ssl",
        handshake_complete=True,
        client_subject="CN=client",
        client_verify="SUCCESS",
        verify_code=0,
        request=HttpRequest("GET", "/", (("host", "localhost"),)),
        log=("a line",),
    ),
)
REFUSED = Observation(
    Outcome.SERVER_REFUSED,
    (Reason.UNKNOWN_CA,),
    summary="server refused the client: unknown-ca (alert unknown_ca)",
    hint="add the issuer to trust",
    evidence=("client: received alert unknown_ca (48)", "server: verify code 20"),
    curl_exit=56,
    alert="unknown_ca",
    alert_from="server",
    client=ClientView(
        "python",
        "3.11.7",
        Phase.REQUEST,
        alerts=(Alert(Direction.RECEIVED, "unknown_ca", 48),),
        command="curl -K case.curlrc https://localhost:1/",
    ),
)


def span(line: int = 4, column: int = 5, length: int = 4, path: str = "labs/sample.yaml") -> Span:
    return Span(Path(path), line, column, line, column + length)


def case(
    name: str = "one",
    *,
    path: str = "labs/sample.yaml",
    backend: str = "python",
    tool: str | None = "curl",
    tls: TlsVersion | None = None,
    checks: Sequence[Check] = (),
    line: int = 4,
    **parameters: str,
) -> Case:
    """``parameters``: of a matrix, behind the name, with ``_`` for the dot in theirs (``client_tls``)."""
    expect = Expectation(tuple(checks) or (check("outcome", "server-refused"), check("reason", "expired")))
    client = ClientSpec(registry().clients[tool]) if tool is not None else None
    action = Action.CONNECT if client is not None else Action.START
    step = Step("", action, span(line, path=path), client=client, expect=expect, tls=tls)
    server = ServerSpec("server", registry().backends[backend], "server", None)
    variant = tuple((axis.replace("_", "."), value) for axis, value in parameters.items())
    name += bracketed(variant)
    return Case(f"{path}::{name}", name, server, (step,), step.span, ("smoke",), variant)


def judged(of: Case, status: Status, seen: Observation | None, wrong: tuple[Mismatch, ...] = ()) -> Verdict:
    """A plain case's verdict, as the engine makes it of its only step's."""
    return whole(of, [Verdict(of, status, seen, wrong, step=of.steps[0])])


def check(path: str, *values: str | int | tuple[str, ...], kind: Match = Match.EQUALS, tool_version: str = "") -> Check:
    return Check(path, tuple(Matcher(kind, value) for value in values), span(6, 14), Versions(tool_version))


def plan(*cases: Case, path: str = "labs/sample.yaml", warnings: tuple[Diagnostic, ...] = ()) -> Plan:
    return Plan(Path(path), "sample", "What it shows.\nMore of it.", ("smoke",), {}, cases, TEXT, warnings)


def warning(message: str) -> Diagnostic:
    return Diagnostic(message, span(2, 1), severity=Severity.WARNING)


def passed(of: Case, duration: float = 0.01) -> Verdict:
    return replace(judged(of, Status.PASS, ACCEPTED), duration=duration)


def failed(of: Case, *mismatches: Mismatch) -> Verdict:
    wrong = mismatches or (Mismatch("reason", "expired", "unknown-ca", span(6, 30, 7)),)
    return replace(judged(of, Status.FAIL, REFUSED, wrong), duration=0.02)


def skipped(of: Case, reason: str = "Python's ssl has no verify depth") -> Verdict:
    return Verdict(of, Status.SKIP, skip_reason=reason)


def broken(of: Case, error: str = "no container engine\nstart one with: dockerd") -> Verdict:
    return Verdict(of, Status.ERROR, error=error)


def events(
    plans: Sequence[Plan], verdicts: Sequence[Verdict], *, interrupted: bool = False, error: str = "", kept: str = ""
) -> Iterator[Event]:
    """What the engine yields for these verdicts, each of which is a case of one of the plans."""
    yield RunStarted(tuple(plans), sum(len(each.cases) for each in plans))
    for each in plans:
        yield PlanStarted(each)
        for verdict in verdicts:
            if verdict.case in each.cases:
                yield CaseStarted(verdict.case)
                yield CaseFinished(verdict)
        yield PlanFinished(each, Path(kept) if kept else None)
    counts = Counter(verdict.status for verdict in verdicts)
    versions = {"python": "3.11.7", "openssl": "3.0.19", "curl": "7.88.1"}
    yield RunFinished(counts, 0.5, interrupted, error, versions)
