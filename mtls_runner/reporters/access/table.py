"""Who gets in where: what was seen of each client at each door, and which doors nothing proves open or closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from mtls_runner.model.case import Case, Plan, Step
from mtls_runner.model.endpoint import ChainKind, ClientSpec, ServerSpec
from mtls_runner.model.objections import asks_nobody, objections
from mtls_runner.model.observation import Observation, Outcome
from mtls_runner.model.variants import Coordinates, coordinates, told_apart
from mtls_runner.model.verdict import Status, Verdict

__all__ = ["MISDIRECTED", "AccessTable", "Cell", "Door", "Entry", "Kind", "State", "access_table", "entries"]

MISDIRECTED = 421
"""RFC 9110 §15.5.20: the name of the handshake and that of the request are two, and the server does not go along with that."""
NOBODY = "none"
"""A client without a certificate."""


class Kind(StrEnum):
    """What a client meets at a door."""

    OPEN = "open"
    ALARM = "alarm"
    """Open to somebody whom nothing vouches for."""
    CLOSED = "closed"
    OTHER = "other"
    """Neither: the client refused the server, they have nothing in common, nobody can tell, …"""
    NOT_RUN = "not-run"


class State(Struct, frozen=True):
    """How a client fared.

    Args:
        kind: at a glance.
        text: the reason, or what else there is to say; ``""``: it was let in, and that is all.
        objections: what speaks against letting it in.
        unexpected: the scenario expects something else.
    """

    kind: Kind
    text: str = ""
    objections: tuple[str, ...] = ()
    unexpected: bool = False


class Entry(Struct, frozen=True):
    """One connection, or why there was none.

    Args:
        case, number: which, and the number of its step, from 0.
        seen: what came of it; ``None``: nothing.
        status: of its verdict.
    """

    case: Case
    number: int
    seen: Observation | None
    status: Status = Status.PASS

    @property
    def step(self) -> Step:
        """That step."""
        return self.case.steps[self.number]


def entries(verdicts: Iterable[Verdict]) -> Iterator[Entry]:
    """The connections of cases that were run, or skipped."""
    for verdict in verdicts:
        for number, step in enumerate(verdict.case.steps):
            if step.client is None:
                continue
            if number < len(verdict.steps):
                done = verdict.steps[number]
                yield Entry(verdict.case, number, done.observation, done.status)
            else:
                status = Status.ERROR if verdict.status is Status.ERROR and not verdict.steps else Status.SKIP
                yield Entry(verdict.case, number, None, status)


class Cell(Struct, frozen=True):
    """A client at a door: what was seen, each with where, if it differs; nothing: it was not tried."""

    states: tuple[tuple[State, str], ...] = ()

    @property
    def kind(self) -> Kind | None:
        """The one that counts: an alarm before all else; ``None``: it was not tried."""
        found = [state.kind for state, _ in self.states]
        return next((kind for kind in _WEIGHT if kind in found), None)


_WEIGHT = (Kind.ALARM, Kind.OTHER, Kind.OPEN, Kind.CLOSED, Kind.NOT_RUN)


class Door(Struct):
    """A place that clients ask for: server, name, method and path.

    Args:
        server: id of the server; ``""``: there is only one.
        name: the name that is asked for, where the server has several; ``""``: it has not.
        request: ``/path``, with the method where it is not GET.
        cells: by client.
        asks_nobody: its description says that it asks for no certificate.
        remark: what is not proved; ``""``: all that there is.
    """

    server: str
    name: str
    request: str
    cells: dict[str, Cell] = field(default_factory=dict)
    asks_nobody: bool = False
    remark: str = ""

    @property
    def proved(self) -> bool:
        """Whether somebody was let in, and somebody else was not."""
        return bool(self.by_kind(Kind.OPEN, Kind.ALARM) and self.by_kind(Kind.CLOSED))

    @property
    def label(self) -> str:
        """In one line."""
        return " ".join(part for part in (self.server, self.name, self.request) if part)

    def by_kind(self, *kinds: Kind) -> list[str]:
        """Clients that met one of these."""
        return [client for client, cell in self.cells.items() if any(state.kind in kinds for state, _ in cell.states)]


class AccessTable(Struct, frozen=True):
    """Who gets in where, of one scenario.

    Args:
        plan: of the scenario.
        clients: in the order in which they first come.
        doors: the same.
    """

    plan: Plan
    clients: tuple[str, ...]
    doors: tuple[Door, ...]

    @property
    def alarms(self) -> list[tuple[Door, str, tuple[str, ...]]]:
        """Who got in where, though something speaks against it, and what; each once."""
        found = {
            (door.label, client, state.objections): door
            for door in self.doors
            for client, cell in door.cells.items()
            for state, _ in cell.states
            if state.kind is Kind.ALARM
        }
        return [(door, client, minded) for (_, client, minded), door in found.items()]

    @property
    def unproved(self) -> list[Door]:
        """Doors that nothing proves open, or closed."""
        return [door for door in self.doors if door.remark]

    @property
    def public(self) -> list[Door]:
        """Doors that are open by what their description says."""
        return [door for door in self.doors if door.asks_nobody]


def access_table(plan: Plan, found: Iterable[Entry], now: datetime) -> AccessTable:
    """The table of a scenario.

    Args:
        plan: of the scenario.
        found: its connections, in the file's order.
        now: aware; for what speaks against a certificate.
    """
    return _Builder(plan, now).table(found)


class _Builder:
    def __init__(self, plan: Plan, now: datetime) -> None:
        self._plan = plan
        self._now = now
        self._known: dict[object, tuple[str, ...]] = {}

    def table(self, found: Iterable[Entry]) -> AccessTable:
        known = [entry for entry in found if entry.step.client is None or entry.step.client.protocol.asks]
        several = len({entry.case.server.id for entry in known}) > 1
        names: dict[str, set[str | None]] = {}
        for entry in known:
            if entry.step.client is not None:
                names.setdefault(entry.case.server.id, set()).add(entry.step.client.server_name)
        doors: dict[tuple[str, str, str], dict[str, list[Entry]]] = {}
        clients: dict[str, None] = {}
        for entry in known:
            client, server = entry.step.client, entry.case.server
            if client is None:
                continue
            named = bool(server.hosts) or len(names[server.id]) > 1
            key = (server.id if several else "", _name(client, named=named), _request(client))
            who = _who(client)
            clients.setdefault(who)
            doors.setdefault(key, {}).setdefault(who, []).append(entry)
        return AccessTable(self._plan, tuple(clients), tuple(self._door(key, by) for key, by in doors.items()))

    def _objections(self, server: ServerSpec, client: ClientSpec) -> tuple[str, ...]:
        """Once for each server and what it is shown, however many requests there are."""
        key = (id(server), client.certificate, client.chain, client.trust, client.insecure, client.tool)
        if key not in self._known:
            self._known[key] = objections(server, client, self._plan, self._now)
        return self._known[key]

    def _door(self, key: tuple[str, str, str], by_client: Mapping[str, list[Entry]]) -> Door:
        door = Door(*key, cells={client: self._cell(found) for client, found in by_client.items()})
        door.asks_nobody = all(_public(entry) for found in by_client.values() for entry in found)
        door.remark = "" if door.asks_nobody else _remark(door)
        return door

    def _cell(self, found: Sequence[Entry]) -> Cell:
        states = [self._state(entry) for entry in found]
        if len(set(states)) == 1:
            return Cell(((states[0], ""),))
        ran = [(entry, state) for entry, state in zip(found, states, strict=True) if state.kind is not Kind.NOT_RUN]
        if len({state for _, state in ran}) == 1:
            return Cell(((ran[0][1], ""),))
        told = told_apart([_parameters(entry) for entry, _ in ran], [state for _, state in ran])
        if told is not None:
            return Cell(tuple((state, " ".join("/".join(values) for _, values in when)) for when, state in told))
        labels: dict[State, dict[str, None]] = {}
        for entry, state in ran:
            labels.setdefault(state, {}).setdefault(_label(entry))
        return Cell(tuple((state, _some(list(names))) for state, names in labels.items()))

    def _state(self, entry: Entry) -> State:
        client, seen = entry.step.client, entry.seen
        wrong = entry.status is Status.FAIL
        if seen is None or seen.outcome is None or client is None:
            broken = entry.status is Status.ERROR
            return State(Kind.OTHER if broken else Kind.NOT_RUN, "the lab broke" if broken else "not run", (), wrong)
        if seen.outcome is Outcome.ACCEPTED:
            if seen.status == MISDIRECTED:
                return State(Kind.OTHER, f"HTTP {MISDIRECTED}: asked under another name", (), wrong)
            server = entry.case.alone(entry.number).server  # as it had read its files by then
            here = server.host(client.server_name)
            minded = () if asks_nobody(server, client) else self._objections(here, client)
            status = "" if seen.status in (None, 200) else f"HTTP {seen.status}"
            return State(Kind.ALARM if minded else Kind.OPEN, status, minded, wrong)
        reasons = " or ".join(seen.reasons) if seen.reasons else ("" if seen.determined else "nothing says why")
        if seen.outcome is Outcome.SERVER_REFUSED:
            return State(Kind.CLOSED, reasons, (), wrong)
        said = f"{seen.outcome.value}: {reasons}" if reasons else seen.outcome.value
        if seen.outcome is Outcome.ANSWERED:
            said = f"HTTP {seen.status}, nobody can tell"
        return State(Kind.OTHER, said, (), wrong)


def _remark(door: Door) -> str:
    let_in, refused = door.by_kind(Kind.OPEN, Kind.ALARM), door.by_kind(Kind.CLOSED)
    if let_in and refused:
        return ""
    if let_in:
        return "nobody is refused here, so that nothing proves it closed to anyone"
    return "nobody gets in here, so that its refusals prove nothing" if refused else "nobody was let in or refused here"


def _public(entry: Entry) -> bool:
    client = entry.step.client
    return client is not None and asks_nobody(entry.case.server, client)


def _name(client: ClientSpec, *, named: bool) -> str:
    """What is asked for by SNI, where that makes a difference, and by Host, where that is another name (RFC 9110 §7.4)."""
    host = client.request.host
    other = host is not None and host.partition(":")[0] != (client.server_name or "")
    asked = (client.server_name or "no name") if named or other else ""
    return f"{asked} (Host {host})" if other else asked


def _request(client: ClientSpec) -> str:
    request = client.request
    return request.path if request.method == "GET" else f"{request.method} {request.path}"


def _who(client: ClientSpec) -> str:
    """Whom the server sees: the certificate, and what differs from how it is usually presented."""
    if client.certificate is None:
        return NOBODY
    more = []
    if client.chain.kind is ChainKind.LEAF:
        more.append("leaf alone")
    elif client.chain.kind is ChainKind.IDS:
        more.append(f"with {', '.join(client.chain.ids) or 'nothing else'}")
    if client.key is not None:
        more.append("another key")
    return f"{client.certificate} ({', '.join(more)})" if more else client.certificate


def _parameters(entry: Entry) -> Coordinates:
    """As they are asked for, also where the two ends then speak no version at all."""
    backend, tool, spoken = coordinates(entry.case, entry.step)
    offered = entry.step.client.tls if entry.step.client is not None else ()
    return backend, tool, spoken or (offered[0].value if len(offered) == 1 else "")


def _label(entry: Entry) -> str:
    """The label of a connection whose parameters don't tell it apart from others."""
    if entry.case.plain:
        return entry.case.written
    return f"{entry.case.written}, step {entry.number + 1}"


_NAMED = 2


def _some(names: Sequence[str]) -> str:
    """The first, and how many more."""
    more = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
