"""The dates at which something of a plan begins or ends, and what changes then, found by running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from mtls_runner.engine.lab import Lab
from mtls_runner.engine.moved import moved, stands_still
from mtls_runner.model.case import Action, Case, Plan
from mtls_runner.model.certificate import Moment
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.port import Report
from mtls_runner.model.verdict import Status
from mtls_runner.pki.keys import KeyPool

__all__ = ["Date", "Rehearsal", "RehearsedChange", "Seen", "dates", "rehearse"]

_MARGIN = timedelta(minutes=10)
"""Before and after a date: longer than a run may take."""

Seen = tuple[Outcome | None, tuple[Reason, ...]]


class Date(Struct, frozen=True):
    """When something begins or ends.

    Args:
        when: aware; of several, the first one's.
        last: the last one's.
        what: as a clause, of which several are joined ("``client`` expires").
    """

    when: datetime
    last: datetime
    what: tuple[str, ...]


class RehearsedChange(Struct, frozen=True):
    """What changes at a date: cases before it and after it.

    Args:
        date: which.
        sentences: what is otherwise from then on, each with the names of the cases that show it.
    """

    date: Date
    sentences: Mapping[str, tuple[str, ...]]


class Rehearsal(Struct, frozen=True):
    """A plan's dates, with what changes at each.

    Args:
        changes: in order, for every date one, also where nothing comes of it.
        skipped: names of cases that could not be moved in time, or run at all, each with its reason.
        broken: the first thing that broke the lab, or ``""``.
    """

    changes: tuple[RehearsedChange, ...]
    skipped: Mapping[str, str]
    broken: str = ""


def dates(plan: Plan, now: datetime, until: datetime) -> Iterator[Date]:
    """Of all that the plan's ends are given, in order; those that are too close to be told apart are one."""
    written = {(moment.resolve(now), what) for moment, what in _moments(plan)}
    found = sorted(written | set(_of_own_files(plan, now)) | set(_of_own_crls(plan)))
    group: list[tuple[datetime, str]] = []
    for when, what in (one for one in found if now < one[0] <= until):
        if group and when - group[-1][0] > 2 * _MARGIN:
            yield _date(group)
            group = []
        group.append((when, what))
    if group:
        yield _date(group)


def _date(group: list[tuple[datetime, str]]) -> Date:
    return Date(group[0][0], group[-1][0], tuple(what for _, what in group))


def _moments(plan: Plan) -> Iterator[tuple[Moment, str]]:
    for spec in plan.certificates.values():
        if spec.files is None:
            yield spec.not_before, f"`{spec.id}` becomes valid"
            yield spec.not_after, f"`{spec.id}` expires"
    for crl in plan.crls.values():
        if crl.file is None:
            yield crl.this_update, f"the CRL `{crl.id}` becomes valid"
            yield crl.next_update, f"the CRL `{crl.id}` runs out"
    for responder in {id(one): one for server in _servers(plan) for one in server.responders}.values():
        if responder.next_update is not None:
            yield responder.next_update, f"the answers of the responder `{responder.id}` run out"


def _of_own_files(plan: Plan, now: datetime) -> Iterator[tuple[datetime, str]]:
    if all(spec.files is None for spec in plan.certificates.values()):
        return
    from mtls_runner.pki.certificate_facts import facts
    from mtls_runner.pki.users_files import UsersFiles

    for id_, own in UsersFiles(plan.certificates, now).own.items():
        known = facts(own.certificate)
        if known.begin is not None:
            yield known.begin, f"`{id_}` becomes valid"
        if known.end is not None:
            yield known.end, f"`{id_}` expires"


def _of_own_crls(plan: Plan) -> Iterator[tuple[datetime, str]]:
    own = [(crl.id, crl.file) for crl in plan.crls.values() if crl.file is not None]
    if not own:
        return
    from mtls_runner.pki.crl import dates_of_own

    for id_, file in own:
        for begin, end in dates_of_own(file):
            yield begin, f"the CRL `{id_}` becomes valid"
            if end is not None:
                yield end, f"the CRL `{id_}` runs out"


def _servers(plan: Plan) -> Iterator[ServerSpec]:
    for case in plan.cases:
        for server, _ in case.meetings():
            yield from server.every_host


def rehearse(plan: Plan, until: timedelta, now: datetime, *, tell: Report | None = None) -> Rehearsal:
    """Run a plan just before and just after each of its dates.

    Args:
        plan: what to run.
        until: how far to look.
        now: aware.
        tell: told of what is being done, how many dates are done, and of how many.

    Raises:
        LabError: there is no place to work in.
    """
    found = tuple(dates(plan, now, now + until))
    skipped = {case.name: reason for case in plan.cases if (reason := stands_still(case, plan)) is not None}
    cases = [case for case in plan.cases if case.name not in skipped]
    pool = KeyPool.of_user()
    changes: list[RehearsedChange] = []
    for number, date in enumerate(found):
        if tell is not None:
            tell(f"rehearsing {date.when:%Y-%m-%d}", number, len(found))
        try:
            before = _seen(plan, date.when - now - _MARGIN, cases, pool, skipped)
            after = _seen(plan, date.last - now + _MARGIN, cases, pool, skipped)
        except _Broken as broken:
            return Rehearsal(tuple(changes), skipped, str(broken))
        changes.append(RehearsedChange(date, _told(cases, before, after)))
    return Rehearsal(tuple(changes), skipped)


class _Broken(Exception):
    """A case that says nothing, since the lab broke."""


def _seen(
    plan: Plan, by: timedelta, cases: list[Case], pool: KeyPool, skipped: dict[str, str]
) -> dict[tuple[str, int], Seen]:
    """By case and step, what came of it then.

    Raises:
        _Broken: something broke the lab.
    """
    later = moved(plan, by)
    wanted = {case.id for case in cases}
    seen: dict[tuple[str, int], Seen] = {}
    with Lab(later, pool=pool, dated=True) as lab:
        for case in later.cases:
            if case.id not in wanted:
                continue
            verdict = lab.run(case)
            if verdict.status is Status.SKIP:
                skipped[case.name] = verdict.skip_reason
            for number, one in enumerate(verdict.steps or (verdict,)):
                if (
                    one.status is Status.ERROR
                    and one.observation is None
                    and case.client is not None
                    and one.unusable is None
                ):
                    raise _Broken(f"{case.name}: {one.error}")
                if one.observation is not None:
                    seen[case.name, number] = (one.observation.outcome, one.observation.reasons)
                elif one.error:
                    seen[case.name, number] = (Outcome.SERVER_UNUSABLE, ())
    return seen


def _told(
    cases: list[Case], before: dict[tuple[str, int], Seen], after: dict[tuple[str, int], Seen]
) -> dict[str, tuple[str, ...]]:
    told: dict[str, list[str]] = {}
    for case in cases:
        for number, step in enumerate(case.steps):
            key = case.name, number
            old, new = before.get(key), after.get(key)
            if old == new or old is None or new is None:
                continue
            sentence = _sentence(case, step.client.certificate if step.client is not None else None, old, new)
            where = case.name if case.plain or step.action is Action.START else f"{case.name}, step {number + 1}"
            told.setdefault(sentence, []).append(where)
            break  # what comes after it follows from it
    return {sentence: tuple(names) for sentence, names in told.items()}


def _sentence(case: Case, client: str | None, old: Seen, new: Seen) -> str:
    who = f"`{client}`" if client is not None else "clients without a certificate"
    server = "the server" if case.server.id == "server" else f"`{case.server.id}`"
    served = f"`{case.server.certificate}`" if case.server.certificate is not None else server
    reasons = ", ".join(new[1])
    match old[0], new[0]:
        case _, Outcome.SERVER_UNUSABLE:
            return f"{server} no longer starts"
        case Outcome.SERVER_REFUSED, Outcome.SERVER_REFUSED:
            return f"{server} refuses {who} for another reason: {reasons} (before: {', '.join(old[1])})"
        case _, Outcome.SERVER_REFUSED:
            return f"{server} begins to refuse {who}: {reasons}"
        case Outcome.CLIENT_REFUSED, Outcome.CLIENT_REFUSED:
            return f"clients refuse {served} for another reason: {reasons} (before: {', '.join(old[1])})"
        case _, Outcome.CLIENT_REFUSED:
            return f"clients begin to refuse {served}: {reasons}"
        case Outcome.SERVER_REFUSED, Outcome.ACCEPTED:
            return f"{server} begins to accept {who}"
        case Outcome.CLIENT_REFUSED, Outcome.ACCEPTED:
            return f"clients begin to accept {served}"
    return f"{who} and {server}: {old[0]} becomes {new[0]}{f', {reasons}' if reasons else ''}"
