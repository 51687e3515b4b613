"""A case of several steps: connections, and what is done to the server between them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from mtls_runner.explain.expected import expected
from mtls_runner.explain.requests import answer_for
from mtls_runner.explain.steps import presents, steps
from mtls_runner.explain.words import TextLine, quoted
from mtls_runner.model import plural
from mtls_runner.model.case import Action, Case, Plan, Step
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.step_changes import changes

__all__ = ["seen_by", "sequence"]

_INDENT = 4


def seen_by(case: Case) -> Case:
    """The case with the host that its client asks for by name in the server's place."""
    name = case.client.server_name if case.client is not None else None
    return replace(case, server=case.server.host(name)) if case.server.hosts else case


def sequence(plan: Plan, case: Case, now: datetime) -> Iterator[TextLine]:
    """A paragraph for each step.

    Args:
        plan: the case's.
        case: one with steps.
        now: relative times count from it; aware.
    """
    server = pending = case.server
    renewed = held = None
    for number, step in enumerate(case.steps, 1):
        mark = f"step {number}   "
        if step.action is Action.CONNECT:
            if held is not None and step.client is not None:
                step = replace(step, client=replace(step.client, certificate=held))
            one = replace(case, server=server, steps=(replace(step, name=""),))
            yield TextLine(f"{step.name}: {_connection(plan, seen_by(one), step, now)}", _INDENT, mark)
        elif step.action is Action.WAIT:
            yield TextLine(f"{_wait(step)}.", _INDENT, mark)
        elif step.action is Action.REPLACE:
            before, pending = pending, step.server or pending
            said = "; ".join(changes(before, pending)) or "the server's files change"
            yield TextLine(f"{step.name}: {said}. The server has not read it yet.", _INDENT, mark)
        elif step.action is Action.RENEW:
            renewed = step.renewed
            yield TextLine(f"{step.name}. A client that lives on has not read them yet.", _INDENT, mark)
        elif step.action is Action.RESTART:
            held = renewed
            yield TextLine(f"{step.name}: the client is started anew, and reads its files.", _INDENT, mark)
        else:
            reads = expected(case.alone(number - 1))
            refused = reads.reason is not None
            server = server if refused else pending
            told = "the server reads its files again"
            if reads.reason is Reason.UNNOTICED:
                told = "nothing tells the server that its files are others, and it does not look: it goes on with what it had"
            elif refused:
                told += f", which fails ({reads.reason}), so that it goes on with what it had"
            yield TextLine(f"{step.name}: {told}.", _INDENT, mark)


def _connection(plan: Plan, case: Case, step: Step, now: datetime) -> str:
    wanted = expected(case)
    if step.reuse is not None:
        asks = case.client.says if case.client is not None else ""
        why = ", since nobody looks at certificates again" if wanted.outcome is Outcome.ACCEPTED else ""
        response = answer_for(case.server, case.client) if case.client is not None else None
        if response is not None and response.client_auth is not None:
            why = ", and is asked for a certificate for that, once the handshake is done"
        return f"Another request on the connection of step {step.reuse + 1}: {asks}. Expected: {wanted.sentence}{why}."
    offered = f" It offers the session of step {step.resume + 1}." if step.resume is not None else ""
    told = f"{presents(plan, case.client)}." if case.client is not None else ""
    if wanted.resumed:
        return f"{told}{offered} Expected: {wanted.sentence}, since the session is resumed, where nobody looks at certificates."
    last = next((each.text for each in steps(plan, case, wanted, now) if each.ends), "")
    return f"{told}{offered} Expected: {wanted.sentence}. {last}".rstrip()


def _wait(step: Step) -> str:
    if step.until_expired is not None:
        return f"Time passes until {quoted(step.until_expired)} has expired"
    return f"Time passes: {plural(1, 'second') if step.seconds == 1 else f'{step.seconds:g} seconds'}"
