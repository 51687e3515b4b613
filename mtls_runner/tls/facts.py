"""What is known of one exchange before anybody interprets it, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mtls_runner.model.client import ClientSpec
from mtls_runner.model.observation import (
    Alert,
    ClientView,
    Conclusion,
    HttpResponse,
    Outcome,
    Phase,
    Reason,
    ServerView,
)
from mtls_runner.model.server import ServerSpec

__all__ = ["Control", "Facts", "Found", "Judgement"]

Found = tuple[Outcome, Iterable[Reason]]
"""What a rule has to say: the outcome, and the reasons that are possible."""


@dataclass(frozen=True, slots=True)
class Control:
    """How a server answers the same request by a client that it accepts; ``who`` is that client, for people."""

    who: str
    response: HttpResponse


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one exchange.

    Args:
        server: what was declared, of the host that was meant; only used for what can't be seen (which versions could have
            been used, whether a certificate was asked for at all). ``None``: not known.
        client: the same (whether a certificate was configured that was then withheld). ``None``: somebody else's.
        seen: what the client saw; ``None``: it is somebody else's and says nothing to the lab.
        told: what the server saw; ``None``: it never saw the connection, or can't be asked.
        control: how the server answers the same request by a client that the file says is accepted; ``None``: nobody asked.
        notes: what is known of the user's own material that took part, as sentences.
        despite: what the server had to hold against a client that it let in, and why it did not, as sentences.
    """

    server: ServerSpec | None
    client: ClientSpec | None
    seen: ClientView | None
    told: ServerView | None
    control: Control | None = None
    notes: tuple[str, ...] = ()
    despite: tuple[str, ...] = ()

    @property
    def in_handshake(self) -> bool:
        """Whether it ended before the handshake was complete, as far as the end knows that can be asked."""
        if self.seen is not None:
            return self.seen.phase is Phase.HANDSHAKE
        return self.told is not None and not self.told.handshake_complete

    @property
    def timed_out(self) -> bool:
        """Whether a time limit passed: the client's, or the server's where only that can be asked."""
        view = self.seen if self.seen is not None else self.told
        return view is not None and view.timed_out

    @property
    def nothing_sent(self) -> bool:
        """Whether the client is known to have sent no certificate."""
        if self.seen is not None:
            return not self.seen.sent_chain
        return self.told is not None and self.told.presented is None and self.told.client_verify in (None, "NONE")

    @property
    def symbols(self) -> tuple[str, ...]:
        """OpenSSL's symbolic reasons, the server's first."""
        return tuple(view.error_symbol for view in (self.told, self.seen) if view is not None and view.error_symbol)


@dataclass(frozen=True, slots=True)
class Judgement(Conclusion):
    """What follows from the facts.

    Args:
        alert, alert_from: the fatal alert that ended it, and the end that sent it (``client``, ``server``).
    """

    alert: Alert | None = None
    alert_from: str | None = None
