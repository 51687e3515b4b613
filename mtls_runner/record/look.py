"""What to look at first in what was recorded: results that may be true, and should not be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from mtls_runner.model.case import Plan
from mtls_runner.model.observation import Outcome
from mtls_runner.model.standing import declared_open, objections
from mtls_runner.record.expectation import Cell

__all__ = ["kept_out", "suspicion"]

_ODD = {
    Outcome.ANSWERED: "nothing tells whether this answer is a refusal",
    Outcome.TIMED_OUT: "it timed out",
    Outcome.NO_CONNECTION: "there is no connection",
    Outcome.PROTOCOL_ERROR: "the other end broke the protocol",
}


def suspicion(cells: Iterable[Cell], plan: Plan, now: datetime) -> str:
    """Why a person should look at what happened in some cell of a case; ``""``: nothing is odd about it."""
    for cell in cells:
        client, seen = cell.step.client, cell.seen[0] if cell.seen else None
        if client is None or seen is None or seen.outcome is None:
            continue
        if seen.outcome in _ODD:
            return _ODD[seen.outcome]
        if seen.outcome is Outcome.ACCEPTED:
            server = cell.case.server.host(client.server_name)
            if declared_open(server, client):
                continue
            minded = objections(server, client, plan, now)
            if minded:
                return f"it gets in, though {' and '.join(minded)}"
        elif not seen.determined and not seen.reasons:
            return "nothing says why"
    return ""


def kept_out(cases: Sequence[Sequence[Cell]], plan: Plan, now: datetime) -> dict[int, str]:
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
            server = cell.case.server.host(client.server_name)
            good[id_] = good.get(id_, True) and refused and not objections(server, client, plan, now)
    return {
        first[id_]: f"nothing speaks against `{id_}`, and it is kept out everywhere" for id_, yes in good.items() if yes
    }
