"""One connection of the client under test, as the server saw it."""

from __future__ import annotations

from mtls_runner.model.observation import Conclusion, HttpRequest, Outcome, Reason, ServerView
from mtls_runner.tls.classify import Facts, classify

__all__ = ["Connection"]


class Connection(Conclusion, frozen=True, kw_only=True):
    """What became of a connection. Outcomes and reasons are a scenario's words, and equal to their texts.

    ``outcome`` is who refused whom; ``accepted``: the handshake was completed and nobody was refused; ``None``: nothing that
    the lab recognises. ``reason`` is why, where the evidence allows one reason, and ``reasons`` all that it allows: of a client
    that refused, the server has the alert alone.

    Args:
        alert, alert_from: the fatal alert that ended it (RFC 8446 §6 name), and the end that sent it (``client``,
            ``server``).
        view: all that the server saw.
    """

    alert: str | None = None
    alert_from: str | None = None
    view: ServerView

    @classmethod
    def of(cls, view: ServerView) -> Connection:
        """What follows from a server's view alone."""
        judged = classify(Facts(None, None, None, view))
        alert = judged.alert.name if judged.alert is not None else None
        return cls(judged.outcome, judged.reasons, alert=alert, alert_from=judged.alert_from, view=view)

    @property
    def accepted(self) -> bool:
        """Whether the server let the client in."""
        return self.outcome is Outcome.ACCEPTED

    @property
    def refused_because(self) -> Reason | None:
        """Why the server refused the client; ``None``: it did not."""
        return self.reason if self.outcome is Outcome.SERVER_REFUSED else None

    @property
    def refused_by_client_because(self) -> Reason | None:
        """Why the client refused the server, where its alert allows one reason; ``None``: it allows several, or it did not."""
        return self.reason if self.outcome is Outcome.CLIENT_REFUSED else None

    @property
    def client_subject(self) -> str | None:
        """Subject of the client's certificate, RFC 4514; ``None``: the server has seen none that verified."""
        return self.view.client_subject

    @property
    def request(self) -> HttpRequest | None:
        """The HTTP request that came, of several the last one; ``None``: none did."""
        return self.view.request

    @property
    def server_name(self) -> str | None:
        """The name that the client asked for (SNI, RFC 6066 §3)."""
        return self.view.server_name

    @property
    def tls_version(self) -> str | None:
        """As negotiated (``TLSv1.3``); ``None``: it never came so far."""
        return self.view.tls_version

    def __str__(self) -> str:
        words = [self.written]
        if self.alert is not None:
            words.append(f" (alert {self.alert} from the {self.alert_from})")
        if self.view.error:
            words.append(f"; the server says: {self.view.error}")
        return "".join(words)

    def __repr__(self) -> str:
        """As an assertion shows it: all that a person looks for, in a line."""
        who = self.client_subject or self.view.presented
        facts = [str(self), *([who] if who else []), *([self.tls_version] if self.tls_version else [])]
        facts += [f"{self.request.method} {self.request.path}"] if self.request is not None else []
        return f"<connection: {', '.join(facts)}>"
