"""What nginx makes of a scenario's clients: it is started and asked, and places are guarded where it tells them apart."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct, field

from mtls_runner.errors import UsageError
from mtls_runner.init.nginx_scenario import NginxCase, NginxScenario
from mtls_runner.language import Overrides
from mtls_runner.language.emit import scalar
from mtls_runner.model.observation import Observation, Outcome
from mtls_runner.model.verdict import Event, RunFinished
from mtls_runner.record.recorded import Recorded, record
from mtls_runner.servers.nginx.log.meaning import meaning
from mtls_runner.servers.nginx.read.reachable import NginxPlace

__all__ = ["Findings", "observe"]

_ITS_OWN = re.compile(r"\bnginx\b")
"""What versions are of nginx: its own, and those of what it is built on."""

_LONGEST = 80
"""Characters of an answer's body by which it is told from others."""


class Findings(Struct):
    """What was found while nginx was asked, beside the expectations themselves.

    Args:
        by: versions of what was asked.
        unproved: sentences: guarded places without an accepted or without a refused client.
        looks: what to look at first.
        left_out: cases for which nothing could be recorded, and why.
    """

    by: str = ""
    unproved: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def observe(scenario: NginxScenario, overrides: Overrides, listener: Callable[[Event], None] | None = None) -> Findings:
    """Run it, write down in its cases what happened, and leave out those that say nothing new.

    Args:
        scenario: its cases get their expectations; places that everybody enters alike keep two clients.
        overrides: how to run it.
        listener: is told of all events.

    Raises:
        UsageError: nginx does not start with it; in nginx's words.
        LabError: the lab is broken.
    """
    findings = Findings()

    def listening(event: Event) -> None:
        if isinstance(event, RunFinished):
            findings.by = ", ".join(
                f"{name} {version}" for name, version in event.versions.items() if _ITS_OWN.search(name)
            )
        if listener is not None:
            listener(event)

    seen = _recorded(scenario, overrides, listening)
    forms = {server.id: _refusal(scenario, server.id, seen) for server in scenario.servers}
    if any(forms.values()):
        for server in scenario.servers:
            server.refusal = forms[server.id]
            _leave_out_pages(scenario, server.id, seen)
        seen = _recorded(scenario, overrides, listening)
    _judge(scenario, seen, findings)
    return findings


def _recorded(
    scenario: NginxScenario, overrides: Overrides, listener: Callable[[Event], None]
) -> dict[str, Observation]:
    with tempfile.TemporaryDirectory(prefix="mtls-run-") as name:
        directory = Path(name)
        for file, text in scenario.beside.items():
            (directory / file).write_text(text, encoding="utf-8")
        path = directory / f"{scenario.name}.yaml"
        for case in scenario.cases:
            case.expect = case.look = ""
        path.write_text(scenario.text(directory), encoding="utf-8")
        result = record(path, overrides, listener=listener)
    found: dict[str, Observation] = {}
    cases = {case.name: case for case in scenario.cases}
    for one in result.cases:
        case = cases[one.name]
        case.expect, case.look, case.why = one.written, one.look, one.why
        if one.cells and one.cells[0].seen:
            found[one.name] = one.cells[0].seen[0]
    if not found:
        raise _no_start(scenario, result)
    return found


def _no_start(scenario: NginxScenario, result: Recorded) -> UsageError:
    why = next((one.why for one in result.cases if one.why), "nothing came of it")
    hint = meaning(why)
    return UsageError(f"{scenario.main}: {why}{f' ({hint})' if hint else ''}. Nothing was written")


def _by_place(scenario: NginxScenario) -> Iterator[tuple[NginxPlace, list[NginxCase]]]:
    places: dict[NginxPlace, list[NginxCase]] = {}
    for case in scenario.cases:
        places.setdefault(case.place, []).append(case)
    yield from places.items()


def _answer(seen: Observation) -> tuple[object, ...]:
    fields = seen.headers or ()
    return seen.outcome, seen.status, next((value for name, value in fields if name.lower() == "location"), None)


def _refusal(scenario: NginxScenario, server: str, seen: dict[str, Observation]) -> str:
    """How it refuses by answers that are nobody else's: those of who has no certificate, where others read something else."""
    forms: dict[tuple[int, str], None] = {}
    refused: dict[tuple[int, str], None] = {}
    for place, cases in _by_place(scenario):
        if place.server != server or not (place.named or scenario.compares_bodies):
            continue
        shown = {
            case.client: seen[case.name] for case in cases if case.name in seen and not case.headers and not case.tls
        }
        for one in shown.values():
            if one.outcome is Outcome.SERVER_REFUSED and one.server is not None and one.server.refused_status is None:
                refused.update(dict.fromkeys(_form(one, ())))
        outsider = shown.pop("", None)
        if outsider is None or any(_answer(one) != _answer(outsider) for one in shown.values() if not _closed(one)):
            continue
        if outsider.outcome is Outcome.ACCEPTED:
            others = [
                one.body for one in shown.values() if one.outcome is Outcome.ACCEPTED and one.body != outsider.body
            ]
            forms.update(dict.fromkeys(_form(outsider, [body or b"" for body in others])) if others else {})
    if not forms:
        return ""
    statuses = sorted({status for status, _ in (*forms, *refused)})
    bodies = list(dict.fromkeys(text for _, text in (*forms, *refused)))
    contains = ", ".join(f"{{contains: {scalar(text)}}}" for text in bodies)
    return f"{{status: {statuses}, body: [{contains}]}}"


def _leave_out_pages(scenario: NginxScenario, server: str, seen: dict[str, Observation]) -> None:
    """Where everybody gets what those get who are refused elsewhere: it is the page that says so, and no place to enter."""
    pages = set()
    for place, cases in _by_place(scenario):
        accepted = [seen[case.name] for case in cases if case.name in seen and not _closed(seen[case.name])]
        bodies = {one.body for one in accepted}
        shown = next(iter(bodies)) if len(bodies) == 1 and place.server == server else None
        told = next((part for _, part in _form(accepted[0], ())), "") if shown else ""
        if told and f"{{contains: {scalar(told)}}}" in next(s.refusal for s in scenario.servers if s.id == server):
            pages.add(place)
    scenario.cases = [case for case in scenario.cases if case.place not in pages]


def _form(seen: Observation, others: Sequence[bytes]) -> Iterator[tuple[int, str]]:
    text = (seen.body or b"").decode("utf-8", "replace")
    for line in text.splitlines():
        part = line.strip()[:_LONGEST]
        if part and part not in ("<html>", "<!doctype html>") and not any(part.encode() in other for other in others):
            yield seen.status or 200, part
            return


def _closed(seen: Observation) -> bool:
    return seen.outcome is not Outcome.ACCEPTED


def _judge(scenario: NginxScenario, seen: dict[str, Observation], findings: Findings) -> None:
    kept: list[NginxCase] = []
    for place, cases in _by_place(scenario):
        told = [case for case in cases if case.expect]
        findings.left_out += [f"left out: {case.name}: {case.why}" for case in cases if not case.expect]
        answers = {_answer(seen[case.name]) for case in told if not case.tls}
        guarded = place.named or len(answers) > 1
        kept += told if guarded else [case for case in told if case.client in ("", "good") and not case.headers]
        doors = {_closed(seen[case.name]) for case in told if not case.tls}
        if guarded and len(doors) == 1:
            who = "nobody gets in" if True in doors else "nobody is refused"
            where = cases[0].name.rpartition(": ")[0]
            findings.unproved.append(f"{where}: {who}, so that nothing is proved there")
    findings.looks += [f"{case.name}: {case.look}" for case in kept if case.look]
    scenario.cases = kept
