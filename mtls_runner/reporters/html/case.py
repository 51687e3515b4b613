"""One case as HTML: what was said of it, its chains, its ladder, its transcript."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from jinja2 import Template
from msgspec.structs import replace

from mtls_runner.errors import Diagnostic
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.observation import Observation
from mtls_runner.model.verdict import Status, Verdict
from mtls_runner.reporters import headline, one_line, told_mismatches
from mtls_runner.reporters.failure import typed_again
from mtls_runner.reporters.html.chains import Break, chains
from mtls_runner.reporters.html.drawing import Drawings
from mtls_runner.reporters.html.environment import Lines, underlined
from mtls_runner.reporters.html.overview import WORDS, File, RenderedCase
from mtls_runner.reporters.html.spool import Spool
from mtls_runner.reporters.html.stages import last_seen, stages
from mtls_runner.reporters.transcript import transcript
from mtls_runner.snippet.rendering import render

__all__ = ["CasePage"]

_MOST_LOG = 6000
"""Characters of a server's log that are shown, the last ones."""
_FIXED = 2000
"""Bytes that a case takes about, without transcript and log."""
_LEAST = _FIXED + 600
"""Bytes that it takes at least with them: below, they are not even made."""
_SPEAKING = frozenset(("client.tls", "server.tls", "client.tool", "server.backend"))
"""Parameters whose values speak for themselves."""
"""Matrix parameters whose values say what they are."""


class CasePage:
    """Renders cases.

    Args:
        template: for one case.
        drawings: where equal ladders are kept once.
        now: for chains of which no material was made; aware.
        spool: where what is rendered is put.
    """

    def __init__(self, template: Template, drawings: Drawings, now: datetime, spool: Spool) -> None:
        self._spool = spool
        self._template = template
        self._drawings = drawings
        self._now = now
        self.typed: tuple[str, ...] = ()
        """As ``RunStarted`` has it."""
        self.commands = False
        """A command to type was shown."""

    def render(
        self, verdict: Verdict, file: File, number: int, *, opened: bool, room: int | None
    ) -> tuple[RenderedCase, tuple[Break, ...]]:
        """One case, and where its chains broke.

        Args:
            verdict: what to tell.
            file: the case's.
            number: of the case in the page.
            opened: it stands open.
            room: bytes that it may take; without transcript and log if it would take more. ``None``: any.
        """
        case, seen = verdict.case, verdict.observation
        name, variant = case.written, _variant(case)
        plan = file.plan
        said = _said(verdict)
        last = last_seen(verdict)
        if last is not None:
            seen = verdict.steps[last].observation
        shown = chains(plan, case if last is None else case.alone(last), seen, verdict.dated or self._now)
        client = seen.client if seen is not None else None
        # The words at the top are the last step's, if there somebody connected.
        told_last = last is None or last == len(verdict.steps) - 1
        done = tuple(stages(verdict, self._drawings))
        only = done[0] if case.plain else None
        self.commands |= client is not None and bool(client.command)
        log = told = ""
        omitted = seen is not None and room is not None and room < _LEAST
        if not omitted:
            log, told = _log(verdict), Lines("\n".join(_transcripts(verdict, plan)))
            omitted = room is not None and _FIXED + len(told) + len(log) > room
        html = self._template.generate(
            status=verdict.status,
            word=WORDS[verdict.status],
            opened=opened,
            name=name,
            variant=variant,
            said=said,
            number=number,
            file=file.number,
            summary=_summary(verdict) if told_last else "",
            hint=seen.hint if seen is not None and told_last else "",
            trouble=underlined(_trouble(verdict, plan.text)),
            held=only.held if only is not None else (),
            stages=done if only is None else (),
            step="" if last is None or only is not None else f"of step {last + 1}",
            chains=shown,
            anchors=file.anchors,
            evidence=seen.evidence if seen is not None else (),
            drawing=only.drawing if only is not None else None,
            client_name=f"{client.tool} {client.tool_version}" if client is not None else "",
            server_name=case.server.backend.name,
            omitted=omitted,
            transcript="" if omitted else told,
            log="" if omitted else log,
            command=client.command if client is not None else "",
            again=typed_again(case, self.typed),
        )
        passed = verdict.status is Status.PASS
        breaks = tuple(replace(chain.broken, expected=passed) for chain in shown if chain.broken is not None)
        return RenderedCase(number, name, variant, verdict.status, said, self._spool.keep(html), file.path), breaks


def _variant(case: Case) -> str:
    """The values of its matrix's parameters, for people."""
    told = (value if name in _SPEAKING else f"{name}={value}" for name, value in case.parameters)
    return " · ".join(told)


def _said(verdict: Verdict) -> str:
    seen = verdict.observation
    if verdict.status is not Status.PASS or seen is None or seen.outcome is None:
        return headline(verdict)
    if verdict.undetermined is not None:
        return f"{seen.outcome}: {' or '.join(verdict.undetermined.expected)}, undetermined"
    return seen.written


def _summary(verdict: Verdict) -> str:
    if verdict.observation is not None and verdict.observation.summary:
        return verdict.observation.summary
    return headline(verdict) if verdict.status is Status.SKIP else ""


def _trouble(verdict: Verdict, text: str) -> str:
    """The scenario's lines that did not hold, or why there is no verdict."""
    if verdict.mismatches:
        return "\n".join(
            render(Diagnostic(f"{each.path} does not hold", each.span), text) for each in told_mismatches(verdict)
        )
    if verdict.status is Status.FAIL:
        return headline(verdict)
    return verdict.error.strip()


def _transcripts(verdict: Verdict, plan: Plan) -> Iterator[str]:
    """The transcript of every step, under the step's name where there are several."""
    case = verdict.case
    for number, (step, done) in enumerate(zip(case.steps, verdict.steps, strict=False)):  # others were not done
        if done.observation is None or (done.observation.client is None and not case.plain):
            continue
        if not case.plain:
            yield f"{'' if number == 0 else chr(10)}{number + 1} {one_line(step.name)}"
        yield from _transcript(case.alone(number), done.observation, plan)


def _transcript(case: Case, seen: Observation, plan: Plan) -> Iterator[str]:
    """The transcript without what the page shows elsewhere: the command, the log, and certificates that are in the tree."""
    client, server = seen.client, seen.server
    if client is not None:
        sent = None if _known(seen.client_chain, plan) else client.sent_chain
        received = None if _known(seen.server_chain, plan) else client.received_chain
        client = replace(client, command="", sent_chain=sent, received_chain=received)
    if server is not None and server.log:
        server = replace(server, log=())
    return (line for line, _ in transcript(case, replace(seen, client=client, server=server)))


def _known(chain: tuple[str, ...] | None, plan: Plan) -> bool:
    return bool(chain) and all(name in plan.certificates for name in chain or ())


def _log(verdict: Verdict) -> str:
    observations = [done.observation for done in verdict.steps]
    servers = [seen.server for seen in observations if seen is not None and seen.server is not None]
    text = "\n".join(line for server in servers for line in server.log)
    return Lines(text if len(text) <= _MOST_LOG else f"…{text[-_MOST_LOG:]}")
