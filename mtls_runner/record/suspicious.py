"""What to look at first in what was recorded: results that may be true, and should not be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import combinations

from msgspec.structs import replace

from mtls_runner.model.case import Case, Plan, Step
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.objections import asks_nobody, objections
from mtls_runner.model.observation import Observation, Outcome, Reason
from mtls_runner.record.expectation import RecordedCell
from mtls_runner.reporters.access.grid import unproved as told_unproved
from mtls_runner.reporters.access.table import MISDIRECTED, Entry, access_table

__all__ = ["GETS_IN", "kept_out", "suspicion", "unproved"]

GETS_IN = "it gets in"
_ODD = {
    Outcome.ANSWERED: "nothing tells whether this answer is a refusal",
    Outcome.TIMED_OUT: "it timed out",
    Outcome.NO_CONNECTION: "there is no connection",
    Outcome.PROTOCOL_ERROR: "the other end broke the protocol",
}


def suspicion(cells: Iterable[RecordedCell], plan: Plan, now: datetime) -> str:
    """Why a person should look at what happened in some cell of a case; ``""``: nothing is odd about it."""
    for cell in cells:
        client, seen = cell.step.client, cell.seen[0] if cell.seen else None
        if client is None or seen is None or seen.outcome is None:
            continue
        if seen.outcome in _ODD:
            return _ODD[seen.outcome]
        if seen.outcome is Outcome.ACCEPTED:
            server = cell.case.alone(cell.number).server
            if asks_nobody(server, client) or seen.status == MISDIRECTED:
                continue
            minded = objections(server.host(client.server_name), client, plan, now)
            if minded:
                return f"{GETS_IN}, though {' and '.join(minded)}"
        elif not seen.determined and not seen.reasons:
            return "nothing says why"
    return ""


def kept_out(cases: Sequence[Sequence[RecordedCell]], plan: Plan, now: datetime) -> dict[int, str]:
    """Clients that nothing speaks against and that no server takes: the number of their first case, and the sentence.

    Args:
        cases: the cells of each.
        plan, now: as for :func:`suspicion`.
    """
    first: dict[str, int] = {}
    good: dict[str, bool] = {}
    for number, cells in enumerate(cases):
        for cell in cells:
            client, seen = cell.step.client, cell.seen[0] if cell.seen else None
            if client is None or client.certificate is None or seen is None:
                continue
            id_ = client.certificate
            first.setdefault(id_, number)
            refused = seen.outcome is Outcome.SERVER_REFUSED
            server = cell.case.alone(cell.number).server.host(client.server_name)
            good[id_] = good.get(id_, True) and refused and not objections(server, client, plan, now)
    return {
        first[id_]: f"nothing speaks against `{id_}`, and it is kept out everywhere" for id_, yes in good.items() if yes
    }


def unproved(plan: Plan, cells: Iterable[RecordedCell], ran: Iterable[Case], now: datetime) -> list[str]:
    """Doors that nothing proves open or closed, and servers that can't be told apart, one sentence each.

    Args:
        plan: of the file; of its cases that were not run, what they expect counts.
        cells: what was seen.
        ran: the cases that were run.
        now: aware.
    """
    chosen = {case.id for case in ran}
    known = [Entry(cell.case, cell.number, cell.seen[0]) for cell in cells if cell.seen]
    for case in plan.cases:
        for number, step in enumerate(case.steps):
            expected = _expected(step)
            if case.id not in chosen and step.client is not None and expected is not None:
                known.append(Entry(case, number, expected))
    table = access_table(plan, known, now)
    return [*(told_unproved(door) for door in table.unproved if not _changed(door.server)), *_alike(known)]


def _changed(server: str) -> bool:
    """Whether it is a server that one case describes anew (``edge.2``): that case alone can't prove much of it."""
    return server.rpartition(".")[2].isdigit()


def _expected(step: Step) -> Observation | None:
    """What an expectation says, where it says one thing."""
    values = {check.path: [way.value for way in check.alternatives] for check in step.expect.checks}
    outcomes = values.get("outcome", [])
    if len(outcomes) != 1:
        return None
    reasons = tuple(Reason(str(value)) for value in values.get("reason", []) if value is not None)
    return Observation(Outcome(str(outcomes[0])), reasons)


#: What makes a server take some clients and not others.
_DEMANDS = ("client_auth", "trust", "crl", "crl_check", "ocsp", "verify_depth", "verify_flags", "tls")


def _alike(known: Iterable[Entry]) -> Iterator[str]:
    """Servers that demand different things and are not seen to: whoever was tried at both fared alike."""
    servers: dict[str, ServerSpec] = {}
    fared: dict[str, dict[object, str]] = {}
    for entry in known:
        client, server = entry.step.client, entry.case.server
        if client is None or entry.seen is None or server.hosts or server.option("config") or _changed(server.id):
            continue
        servers.setdefault(server.id, server)
        fared.setdefault(server.id, {})[replace(client, trust=())] = entry.seen.written
    for one, other in combinations(servers, 2):
        differing = [name for name in _DEMANDS if getattr(servers[one], name) != getattr(servers[other], name)]
        both = fared[one].keys() & fared[other].keys()
        if differing and both and all(fared[one][client] == fared[other][client] for client in both):
            names = ", ".join(differing)
            yield f"{one} and {other} differ in {names}, and whoever was tried at both fared alike: nothing proves the difference"
