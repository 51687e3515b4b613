"""What there is to go by when causes are looked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from mtls_runner.diagnosis.commands import Commands
from mtls_runner.diagnosis.inputs import AttemptInputs
from mtls_runner.diagnosis.inventory import Inventory
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import ClientView, Observation, Outcome, Phase, ServerView
from mtls_runner.tls.context import Problem

__all__ = ["Evidence"]

_ERRORS = 400
_FORBIDDEN = (401, 403)


class Evidence(Struct, frozen=True):
    """All that is known of one attempt.

    Args:
        inputs: what was typed.
        client: the description that it made.
        observation: what happened.
        view: what the client saw of it.
        inventory: the certificates.
        commands: lines to type.
        now: aware.
        again: makes another connection, with another description of the client.
        earlier: what the server's log said last, where it says nothing of this connection.
        problem: what the lab's own reading of the client's certificate and key found wrong.
        without: what came of the same request without a certificate; ``None``: nobody asked.
    """

    inputs: AttemptInputs
    client: ClientSpec
    observation: Observation
    view: ClientView
    inventory: Inventory
    commands: Commands
    now: datetime
    again: Callable[[ClientSpec], ClientView]
    without: ClientView | None = None
    earlier: ServerView | None = None
    problem: Problem | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status of the answer."""
        return self.view.response.status if self.view.response is not None else None

    @property
    def shaken(self) -> bool:
        """Whether the client came through its own handshake: only then is it known that nothing was asked of it."""
        return self.view.shaken

    @property
    def refused(self) -> bool:
        """Whether it did not end well: an error that nobody's certificate has a part in is none of the lab's refusals."""
        return self.observation.outcome is not Outcome.ACCEPTED or (self.status or 0) >= _ERRORS

    @property
    def leaf(self) -> str:
        """Id of the client's certificate; ``""``: it has none."""
        return self.inventory.sent[0] if self.inventory.sent else ""

    @property
    def forbidden(self) -> bool:
        """Whether the answer says that who asks may not (RFC 9110 §15.5.2, §15.5.4)."""
        return self.status in _FORBIDDEN

    @property
    def taken(self) -> bool:
        """Whether the certificate is known to have been taken: with it comes an answer, and without it none."""
        without = self.without
        refused = without is not None and without.response is None and without.phase is not Phase.PREPARE
        return refused and self.view.response is not None and bool(self.view.sent_chain)
