"""A plan as if it were run at another time: instead of the clock, every date that the lab writes is moved the other way.

This works for every server and client, wherever it gets the time from. What the lab does not write (people's own files,
servers that run already) can't be moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

from mtls_runner.errors import Diagnostic, Span
from mtls_runner.model.case import Case, Expectation, Plan
from mtls_runner.model.certificate import Moment
from mtls_runner.model.chain import lineage
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.traits import BackendTraits, ClientTraits, Runtime

__all__ = ["by_clocks", "moved", "needs_clocks", "stands_still", "written"]

_DATELESS = (str, bytes, int, float, Span, Diagnostic, Expectation, BackendTraits, ClientTraits)
_T = TypeVar("_T")


def moved(plan: Plan, by: timedelta) -> Plan:
    """The plan as if it were run that much later (negative: earlier) than now."""
    return replace(_Shift(by).of(plan), moved=plan.moved + by)


class _Shift:
    def __init__(self, by: timedelta) -> None:
        self._by = by
        self._made: dict[int, tuple[object, object]] = {}

    def of(self, value: _T) -> _T:
        """The value with all moments in it moved. Without any it is the same object; an object that occurs twice stays one."""
        if value is None or isinstance(value, _DATELESS):
            return value
        known = self._made.get(id(value))
        if known is None:
            known = self._made[id(value)] = (value, self._of(value))
        return known[1]  # type: ignore[return-value]

    def _of(self, value: object) -> object:
        if isinstance(value, Moment):
            absolute = value.absolute - self._by if value.absolute is not None else None
            return Moment(value.offset - self._by, absolute)
        if isinstance(value, tuple):
            items = [self.of(item) for item in value]
            return tuple(items) if any(new is not old for new, old in zip(items, value, strict=True)) else value
        if isinstance(value, Mapping):
            return {key: self.of(item) for key, item in value.items()}
        if isinstance(value, Struct):
            changed = {name: new for name, old in asdict(value).items() if (new := self.of(old)) is not old}
            return replace(value, **changed) if changed else value
        return value


class _Written(_Shift):
    def _of(self, value: object) -> object:
        if isinstance(value, Moment):
            return Moment(value.offset, value.absolute + self._by if value.absolute is not None else None)
        return super()._of(value)


def written(value: _T, by: timedelta) -> _T:
    """A moved plan, or a part of one, with moments that resolve to the dates that the file gives.

    They are resolved as of the time moved to (``start + by``), which is right for relative ones as they are.
    """
    return _Written(by).of(value)


class _Clock(_Shift):
    """Moves the clocks of both ends instead of dates."""

    def _of(self, value: object) -> object:
        if isinstance(value, Moment):
            return value
        made = super()._of(value)
        return replace(made, clock=self._by) if isinstance(made, ServerSpec | ClientSpec) else made


def by_clocks(plan: Plan) -> Plan:
    """A moved plan with the dates that the file gives, and with its programs' clocks moved instead."""
    plain = replace(moved(plan, -plan.moved), moved=timedelta(0), clock=plan.moved)
    return _Clock(plan.moved).of(plain)


def needs_clocks(case: Case, plan: Plan) -> bool:
    """Whether its ends are given certificates or CRLs of the user's own, whose dates can't be moved."""
    return bool(_own(case, plan))


def stands_still(case: Case, plan: Plan) -> str | None:
    """What can't be moved in time, as the reason why the case is skipped; ``None``: it can be run."""
    if any(server.backend.runs_already for server, _ in case.meetings()):
        return "a server that runs already has a clock of its own: only what the lab makes is moved in time"
    own = _own(case, plan)
    if not own:
        return None
    of = f"{', '.join(own)}: own files have the dates that they have, so that the clocks of both ends would have to move;"
    for server, client in case.meetings():
        container = (server.runtime or server.backend.runtime) is Runtime.CONTAINER
        for end, inside in ((server.backend, container), (client.tool if client is not None else None, False)):
            why = end.clock(inside) if end is not None else None
            if why is not None:
                return f"{of} {end}: {why}"
    return None


def _own(case: Case, plan: Plan) -> list[str]:
    """Ids of the user's own certificates and CRLs among what a case's ends are given."""
    found: list[str] = []
    for meant, client in case.meetings():
        ids: set[str] = set()
        crls: set[str] = set()
        for end in (*meant.every_host, client):
            if end is None:
                continue
            ids.update(filter(None, (end.certificate, *end.trust, *end.chain.ids)))
            crls.update(end.crl)
        for id_ in list(ids):
            ids.update(spec.id for spec in lineage(plan.certificates, id_))
        own = sorted(id_ for id_ in ids if id_ in plan.certificates and plan.certificates[id_].files is not None)
        own += sorted(id_ for id_ in crls if id_ in plan.crls and plan.crls[id_].file is not None)
        found += own
    return list(dict.fromkeys(found))
