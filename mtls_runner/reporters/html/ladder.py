"""The handshake of one case as the steps of a ladder diagram: client left, server right, in the order of the wire."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.model.case import Case
from mtls_runner.model.observation import (
    Alert,
    ClientView,
    Direction,
    HttpRequest,
    Message,
    Observation,
    Outcome,
    ServerView,
)
from mtls_runner.reporters import one_line, shortened

__all__ = ["LadderStep", "LadderStepKind", "Toward", "steps"]

_WIDEST = 34
"""Cells of a label; the line above an arrow has room for no more."""
_MILD = frozenset({"close_notify", "user_canceled", "no_renegotiation"})
"""Alerts that refuse nothing (RFC 8446 §6.1, RFC 5246 §7.2.2)."""
_CHANGE_CIPHER_SPEC = "ChangeCipherSpec"


class Toward(StrEnum):
    """Where a step's arrow points; ``NOBODY``: something that happened on the way."""

    SERVER = "server"
    CLIENT = "client"
    NOBODY = "nobody"


class LadderStepKind(StrEnum):
    """What a step is; the last two are where it fell."""

    HANDSHAKE = "handshake"
    NOTICE = "notice"
    """An alert that ended nothing."""
    HTTP = "http"
    ALERT = "alert"
    END = "end"
    """An HTTP answer that refuses the client, or an end without a word."""


class LadderStep(Struct, frozen=True):
    """One arrow, or one remark, of a ladder diagram.

    Args:
        toward: the arrow.
        kind: how it is drawn.
        label: a message's name, or words.
        server_only: the client never saw it: the server wrote it, and says so.
    """

    toward: Toward
    kind: LadderStepKind
    label: str
    server_only: bool = False


def steps(case: Case, seen: Observation) -> tuple[LadderStep, ...]:
    """The client's messages, what only the server saw between them, the request and the answer, and how it ended."""
    ladder = [_weighed(step, seen) for step in _merged(_client_steps(seen.client), _server_steps(seen.server))]
    request = _request(case, seen)
    if request is not None:
        ladder.insert(_after_handshake(ladder), LadderStep(Toward.SERVER, LadderStepKind.HTTP, _short(request)))
    if seen.client is not None and seen.client.response is not None:
        status = seen.client.response.status
        refused = seen.outcome is Outcome.SERVER_REFUSED and not any(
            step.kind is LadderStepKind.ALERT for step in ladder
        )
        answer = LadderStep(Toward.CLIENT, LadderStepKind.END if refused else LadderStepKind.HTTP, f"HTTP {status}")
        ladder.insert(_before_goodbye(ladder), answer)
    if seen.received:
        ladder.insert(
            _before_goodbye(ladder), LadderStep(Toward.CLIENT, LadderStepKind.HTTP, _short(repr(seen.received)[1:]))
        )
    ending = _ending(seen)
    if ending and not any(step.kind is LadderStepKind.ALERT for step in ladder):
        ladder.append(LadderStep(Toward.NOBODY, LadderStepKind.END, _short(ending)))
    return tuple(ladder)


def _client_steps(client: ClientView | None) -> list[LadderStep]:
    if client is None:
        return []
    return _steps(client.messages, client.alerts, {Direction.SENT: Toward.SERVER, Direction.RECEIVED: Toward.CLIENT})


def _server_steps(server: ServerView | None) -> list[LadderStep]:
    if server is None:
        return []
    return _steps(server.messages, server.alerts, {Direction.SENT: Toward.CLIENT, Direction.RECEIVED: Toward.SERVER})


def _steps(messages: Sequence[Message], alerts: Sequence[Alert], toward: dict[Direction, Toward]) -> list[LadderStep]:
    """The steps, from the messages, or from the alerts where an end tells only those."""
    if messages:
        return [
            LadderStep(toward[each.direction], _kind(each.name, alert=each.alert), _short(each.name))
            for each in messages
        ]
    return [LadderStep(toward[each.direction], _kind(each.name, alert=True), _short(each.name)) for each in alerts]


def _kind(name: str, *, alert: bool) -> LadderStepKind:
    if not alert:
        return LadderStepKind.HANDSHAKE
    return LadderStepKind.NOTICE if name in _MILD else LadderStepKind.ALERT


def _weighed(step: LadderStep, seen: Observation) -> LadderStep:
    """Only the alert that ended it refuses: one that answers the end of a connection is a notice."""
    decisive = seen.outcome is not Outcome.ACCEPTED and seen.alert in (None, step.label)
    return step if step.kind is not LadderStepKind.ALERT or decisive else replace(step, kind=LadderStepKind.NOTICE)


def _merged(client: Sequence[LadderStep], server: Sequence[LadderStep]) -> Iterator[LadderStep]:
    """The client's steps, and before each the server's that came earlier and that the client doesn't know.

    Each direction is a stream of its own (TCP keeps its order), so a step of the server's is known to the client when the
    client has as many of its name that way. OpenSSL's clients drop a TLS 1.3 server's ChangeCipherSpec unseen (RFC 8446 §5).
    """
    rest = list(server)
    known = list(client)
    for step in client:
        if step in rest:
            at = rest.index(step)
            yield from _unknown(rest[:at], known)
            del rest[: at + 1]
        if step in known:
            known.remove(step)
        yield step
    yield from _unknown(rest, known)


def _unknown(server: Sequence[LadderStep], known: Sequence[LadderStep]) -> Iterator[LadderStep]:
    for step in server:
        if step not in known and step.toward is Toward.CLIENT and step.label != _CHANGE_CIPHER_SPEC:
            yield LadderStep(step.toward, step.kind, step.label, server_only=True)


def _request(case: Case, seen: Observation) -> str | None:
    request: HttpRequest | None = seen.server.request if seen.server is not None else None
    if request is not None:
        return f"{request.method} {request.path}"
    if case.client is not None and seen.client is not None and seen.client.shaken:
        return case.client.says or None
    return None


def _after_handshake(ladder: Sequence[LadderStep]) -> int:
    """A request follows the last Finished, whichever side sent it."""
    finished = [number for number, step in enumerate(ladder) if step.label == "Finished"]
    return finished[-1] + 1 if finished else len(ladder)


def _before_goodbye(ladder: Sequence[LadderStep]) -> int:
    at = len(ladder)
    while at and ladder[at - 1].kind is LadderStepKind.NOTICE:
        at -= 1
    return at


def _ending(seen: Observation) -> str:
    """How it ended when nobody said a word."""
    if seen.client is not None and seen.client.timed_out:
        return f"time limit passed: {seen.client.phase}"
    if seen.outcome is Outcome.NO_CONNECTION:
        return f"connection ended: {seen.reason}" if seen.reason is not None else "connection ended"
    if seen.outcome is Outcome.PROTOCOL_ERROR:
        return f"protocol error: {seen.reason}"
    if seen.outcome is Outcome.CLIENT_UNUSABLE:
        return "no handshake was tried"
    return ""


@lru_cache(maxsize=1024)  # the same names in every handshake
def _short(text: str) -> str:
    return shortened(one_line(text), _WIDEST)
