"""Control connections: how a server answers the same request by a client that the file says is accepted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from mtls_runner.errors import LabError
from mtls_runner.model.case import Case
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import ClientView, HttpResponse, Outcome, Phase
from mtls_runner.model.verdict import Verdict
from mtls_runner.tls.classify import Control

__all__ = ["Controls"]

_ERRORS = 400

_Connect = Callable[[ClientSpec], ClientView]


class Controls:
    """The control connections of one plan; each is made once for a server and request, by the first case that needs it.

    Args:
        cases: of the plan.
        run: runs one of them, or gives its verdict if it was run already: for requests that must not be made twice.
    """

    def __init__(self, cases: tuple[Case, ...], run: Callable[[Case], Verdict]) -> None:
        self._accepted = tuple(case for case in cases if expects_acceptance(case))
        self._run = run
        self._lock = threading.Lock()
        self._locks: dict[ClientSpec, threading.Lock] = {}
        self._made: dict[tuple[object, ClientSpec], HttpResponse | None] = {}

    def control(self, case: Case, client: ClientSpec, server: object, connect: _Connect) -> Control | None:
        """How an accepted client is answered; ``None``: the plan has none but this one, or it got no answer.

        Args:
            case, client: what was asked, and by whom; ``case.server`` is what the server has read.
            server: the running one; answers are kept for each.
            connect: makes one connection to it.
        """
        failed: Control | None = None
        for other in self._others(case, client):
            response = self._answer(case, other, client, server, connect)
            if response is None:
                continue
            who = f"certificate {other.client.certificate}" if other.client and other.client.certificate else "none"
            control = Control(who, response)
            if response.status < _ERRORS:
                return control  # a client that is only accepted elsewhere may be refused here; others are tried then
            failed = failed or control
        # an error is no control: two clients that only the file calls accepted can't vouch for each other
        return None if expects_acceptance(case) else failed

    def _others(self, case: Case, client: ClientSpec) -> Iterator[Case]:
        host = case.server.host(client.server_name)
        for other in self._accepted:
            there = other.client
            if (
                there is None
                or not there.protocol.encrypted
                or other.server != case.server
                or case.server.host(there.server_name) != host
            ):
                continue
            if (there.certificate, there.key, there.chain) != (client.certificate, client.key, client.chain):
                yield other

    def _answer(
        self, case: Case, other: Case, client: ClientSpec, server: object, connect: _Connect
    ) -> HttpResponse | None:
        if other.client is None:
            return None
        if not client.request.safe:
            if other.client.request != client.request or expects_acceptance(case):
                return None
            seen = self._run(other).observation
            return _whole(seen.client) if seen is not None else None
        asked = replace(
            other.client,
            protocol=client.protocol,
            request=client.request,
            server_name=client.server_name,
            connect=client.connect,
            repeat=1,
        )
        with self._lock:
            lock = self._locks.setdefault(asked, threading.Lock())
        with lock:
            key = (server, asked)
            if key not in self._made:
                try:
                    self._made[key] = _whole(connect(asked))
                except LabError:  # it can't connect at all: there is no control, and the case is no less sound for it
                    self._made[key] = None
            return self._made[key]


def expects_acceptance(case: Case) -> bool:
    """Whether the file says that the case's client is accepted."""
    said = [check for check in case.expect.checks if check.path == "outcome" and not check.only_for]
    return bool(said) and all(way.value == Outcome.ACCEPTED for check in said for way in check.alternatives)


def _whole(view: ClientView | None) -> HttpResponse | None:
    return view.response if view is not None and view.phase is Phase.DONE else None
