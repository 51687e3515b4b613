"""One attempt: the connection with the material as it is, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.diagnosis.cause import Cause, Certainty, ranked
from mtls_runner.diagnosis.client_side import refused_by_client, unusable
from mtls_runner.diagnosis.commands import Commands
from mtls_runner.diagnosis.common_ground import no_agreement, no_connection
from mtls_runner.diagnosis.compared import Compared, compared
from mtls_runner.diagnosis.evidence import Evidence
from mtls_runner.diagnosis.inputs import AttemptInputs, plan
from mtls_runner.diagnosis.inventory import inventory
from mtls_runner.diagnosis.server_log import LogFile
from mtls_runner.diagnosis.server_side import refused_by_server
from mtls_runner.engine.lab import Lab
from mtls_runner.errors import LabError
from mtls_runner.model import HINTS, MEANINGS, sentence
from mtls_runner.model.case import Case
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import ClientView, Conclusion, Observation, Outcome, Phase, Reason, ServerView
from mtls_runner.model.port import RunningServer
from mtls_runner.pki.users_files import UsersFiles
from mtls_runner.registry import registry
from mtls_runner.servers.external import ExternalBackend
from mtls_runner.tls import verify_reason
from mtls_runner.tls.rules import same_answer

__all__ = ["Attempt", "attempt"]

_ASK_SECONDS = 5.0
_ERRORS = 400
_FEW = 4
"""Reasons that are worth being listed for no other cause than that the evidence allows them."""
_AGREEMENT = (Outcome.NO_AGREEMENT, Outcome.PROTOCOL_ERROR)
_CONNECTION = (Outcome.NO_CONNECTION, Outcome.TIMED_OUT)
_REFUSED = (Outcome.SERVER_REFUSED, Outcome.ANSWERED)


class Attempt(Struct, frozen=True):
    """An attempt at an endpoint, and what came of it.

    Args:
        inputs: what was typed.
        case: what was run.
        observation: what happened, seen from both ends as far as that goes.
        notes: what a person should know of the files though it stops nothing.
        compared: what was held against what.
        causes: the most likely first; empty where all is well.
        remarks: what else was found out, as sentences.
        without: what came of the same request without a certificate; ``None``: nobody asked.
    """

    inputs: AttemptInputs
    case: Case
    observation: Observation
    notes: tuple[str, ...] = ()
    compared: tuple[Compared, ...] = ()
    causes: tuple[Cause, ...] = ()
    remarks: tuple[str, ...] = ()
    without: Observation | None = None

    @property
    def accepted(self) -> bool:
        """Whether the client was let in, and got what it asked for."""
        status = self.observation.status
        return self.observation.outcome is Outcome.ACCEPTED and (status is None or status < _ERRORS)


def attempt(inputs: AttemptInputs, log: LogFile | None = None) -> Attempt:
    """Connect once, and again in other ways where that tells why it failed.

    Args:
        inputs: what to try.
        log: what the server writes, if that is at hand.

    Raises:
        UsageError: what was typed is wrong.
        LabError: the lab is broken: the client is not installed, there is no place to work in.
    """
    tried = plan(inputs, (lambda: ExternalBackend(log.lines)) if log is not None else None)
    (case,) = tried.cases
    client = case.client
    if client is None:
        raise LabError("a case without a client")
    with Lab(tried) as lab:
        reason = lab.cannot(case)
        if reason is not None:
            raise LabError(reason)
        notes = lab.notes()
        running = lab.server(case.server)
        tool = lab.tool(client.tool)
        (met,) = lab.meet(
            client, tool, running, lambda limit: [tool.probe(client, running.address, lab.material, limit)]
        )
        seen = lab.discreet(lab.observed(case, client, running, met))
        # who brings no authorities does not want to hear which ones of the system's are old
        files = lab.material.users_files
        silent = {note for one in client.trust for note in files.notes_on(one)} if inputs.ca is None else set()
        notes = tuple(note for note in notes if note not in silent)
        seen = replace(seen, evidence=tuple(one for one in seen.evidence if one not in silent))
        without: Observation | None = None
        if inputs.certificate is not None and seen.client is not None and seen.client.response is not None:
            without = _by(replace(client, certificate=None, passphrase=None), lab, case, running)
        telling = seen
        python = registry().clients.default
        if _lost(seen) and client.tool is not python:
            # which reads the alert that a server sends before it resets the connection
            telling = _by(replace(client, tool=python), lab, case, running)
        earlier = log.earlier if log is not None else None
        judged = _judged(inputs, case, client, telling, _again(lab, running), notes, files, without, earlier)
        if telling is not seen:
            read = f"The same by the Python client, which loses no alert to a reset: {telling.summary}."
            judged = replace(judged, observation=seen, remarks=(read, *judged.remarks))
        return judged


def _by(client: ClientSpec, lab: Lab, case: Case, running: RunningServer) -> Observation:
    """What comes of the case by another client; the server is not asked."""
    view = lab.tool(client.tool).probe(client, running.address, lab.material, Deadline.after(client.timeout))
    return lab.discreet(lab.observed(case.by(client), client, running, (view, None)))


def _lost(seen: Observation) -> bool:
    """Whether a reset or an end may have taken an alert away, once the client's own handshake was done."""
    ended = seen.outcome is Outcome.NO_CONNECTION and seen.reason in (Reason.RESET, Reason.CLOSED)
    return ended and seen.client is not None and seen.client.received_chain is not None


def _again(lab: Lab, running: RunningServer) -> Callable[[ClientSpec], ClientView]:
    """Makes more connections, with the client that can be told most."""
    traits = registry().clients.default
    python = lab.tool(traits)

    def connect(spec: ClientSpec) -> ClientView:
        try:
            return python.probe(spec, running.address, lab.material, Deadline.after(_ASK_SECONDS))
        except LabError as error:
            return ClientView(traits.name, "", Phase.PREPARE, error=str(error))

    return connect


def _judged(
    inputs: AttemptInputs,
    case: Case,
    client: ClientSpec,
    observation: Observation,
    again: Callable[[ClientSpec], ClientView],
    notes: tuple[str, ...],
    files: UsersFiles,
    without: Observation | None,
    earlier: ServerView | None,
) -> Attempt:
    view = observation.client or ClientView(client.tool.name, "", Phase.PREPARE)
    evidence = Evidence(
        inputs=inputs,
        client=client,
        observation=observation,
        view=view,
        inventory=inventory(inputs, client, view, files.own),
        commands=Commands(inputs),
        now=datetime.now(UTC),
        again=again,
        without=without.client if without is not None else None,
        earlier=earlier,
        problem=files.problem(client.certificate, client.passphrase) if client.certificate is not None else None,
    )
    likely = _narrowed(observation, earlier)
    causes = tuple(_causes(evidence))
    causes += tuple(_otherwise(evidence, causes, likely.reasons))
    return Attempt(
        inputs=inputs,
        case=case,
        observation=observation,
        notes=notes,
        compared=tuple(compared(evidence, causes)),
        causes=ranked(causes, likely) if evidence.refused else (),
        remarks=tuple(_remarks(evidence)),
        without=without,
    )


def _causes(evidence: Evidence) -> Iterator[Cause]:
    seen = evidence.observation
    if seen.outcome is Outcome.CLIENT_UNUSABLE:
        yield from unusable(evidence)
    elif seen.outcome in _CONNECTION:
        yield from no_connection(evidence)
    elif seen.outcome in _AGREEMENT:
        yield from no_agreement(evidence)
    yield from refused_by_client(evidence)
    yield from refused_by_server(evidence)


def _narrowed(seen: Observation, earlier: ServerView | None) -> Conclusion:
    """The reasons that both the evidence and an earlier line of the log allow; the evidence alone where there is none."""
    if earlier is None:
        return seen
    code = verify_reason(earlier.verify_code) if earlier.verify_code else None
    told = frozenset((code,)) if code is not None else earlier.reasons
    if earlier.error_symbol == "PEER_DID_NOT_RETURN_A_CERTIFICATE" or earlier.client_verify == "NONE":
        told |= {Reason.NO_CERTIFICATE}
    both = tuple(reason for reason in seen.reasons if reason in told)
    return Conclusion(seen.outcome, both) if both else seen


def _otherwise(evidence: Evidence, causes: tuple[Cause, ...], reasons: tuple[Reason, ...]) -> Iterator[Cause]:
    """What is left of the reasons that the evidence allows, in general words."""
    seen = evidence.observation
    known = {cause.reason for cause in causes}
    for reason in reasons if len(reasons) <= _FEW else ():
        if seen.outcome is not None and reason not in known:
            lines = (evidence.commands.request(),)
            yield Cause(
                seen.outcome, reason, sentence(MEANINGS[reason]), HINTS.get(reason, ""), lines, Certainty.POSSIBLE
            )


def _remarks(evidence: Evidence) -> Iterator[str]:
    view, without = evidence.view, evidence.without
    if view.certificate_requested is False and evidence.inputs.certificate is not None and not evidence.refused:
        yield "The server never asked for a certificate: whoever comes is answered, with one or without."
    elif (
        without is not None
        and view.response is not None
        and without.phase is Phase.DONE
        and without.response is not None
    ):
        if same_answer(without.response, view.response):
            yield f"Without a certificate the same request is answered alike (HTTP {without.response.status})."
        else:
            yield f"Without a certificate the same request is answered by HTTP {without.response.status}."
    elif without is not None and evidence.observation.outcome is Outcome.ACCEPTED:
        yield "Without a certificate the same request is refused: the certificate is what lets it in."
    if evidence.refused and evidence.earlier is not None:
        yield f"The log says nothing of this connection. What it said last ({evidence.earlier.source}): {evidence.earlier.error}"
    elif evidence.refused and evidence.observation.outcome in _REFUSED and evidence.observation.server is None:
        yield "Only the server knows for sure: its log says why, at nginx with `error_log … info` (--log FILE reads it)."


def log_of(text: str | None) -> LogFile | None:
    """``-`` is standard input; ``None``: there is none.

    Raises:
        UsageError: it can't be read.
    """
    return None if text is None else LogFile(None if text == "-" else Path(text))
