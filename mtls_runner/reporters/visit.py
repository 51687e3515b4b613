"""One connection, in a line: who came, and what became of it."""

from __future__ import annotations

from mtls_runner.model import because
from mtls_runner.model.observation import Conclusion, Outcome, Reason, ServerView
from mtls_runner.reporters import Piece, Style, one_line
from mtls_runner.tls.classify import Facts, classify

__all__ = ["visit"]

_WORDS = {
    Outcome.ACCEPTED: ("accepted", Style.PASS),
    Outcome.SERVER_REFUSED: ("refused", Style.FAIL),
    Outcome.CLIENT_REFUSED: ("the client refused the server", Style.FAIL),
    Outcome.NO_AGREEMENT: ("no agreement", Style.FAIL),
    Outcome.NO_CONNECTION: ("came and went", Style.WARNING),
    Outcome.PROTOCOL_ERROR: ("broke the protocol", Style.FAIL),
}
_ENDED = ("came and went", Style.WARNING)


def visit(view: ServerView) -> list[Piece]:
    """A line about one connection, as far as its server can tell; or its log's own, where that says nothing else."""
    if not view.telling:
        return [("log: ", Style.DIM), (one_line(view.log[-1].strip()), Style.TEXT)]
    judged = classify(Facts(None, None, None, view))
    word, style = _WORDS.get(judged.outcome, _ENDED) if judged.outcome is not None else _ENDED
    pieces: list[Piece] = [(_who(view, judged.reason), Style.STRONG), ("  ", Style.TEXT), (word, style)]
    if judged.reasons or not judged.determined:
        pieces.append((f": {_because(judged)}", style))
    elif judged.outcome is None and view.error:
        pieces.append((f": {one_line(view.error)}", style))
    elif judged.outcome is Outcome.ACCEPTED and view.request is None:
        pieces.append((", and asked for nothing", Style.TEXT))
    if judged.alert is not None and judged.outcome is not Outcome.NO_CONNECTION:
        pieces.append((f" (alert {judged.alert.name} from the {judged.alert_from})", Style.TEXT))
    elif view.refused_status is not None:
        pieces.append((f" (HTTP {view.refused_status})", Style.TEXT))
    facts = [view.tls_version, view.cipher]
    facts += [f"for {view.server_name}"] if view.server_name else []
    facts += [f"{view.request.method} {view.request.path}"] if view.request is not None else []
    told = "  ".join(one_line(fact) for fact in facts if fact)
    return [*pieces, (f"  {told}" if told else "", Style.DIM)]


def _who(view: ServerView, reason: Reason | None) -> str:
    who = view.presented or view.client_subject
    if who:
        return one_line(who)
    return (
        "somebody without a certificate"
        if view.client_verify == "NONE" or reason is Reason.NO_CERTIFICATE
        else "somebody"
    )


def _because(judged: Conclusion) -> str:
    why = because(judged.reasons)
    return (
        why.replace("its certificate", "the server's certificate") if judged.outcome is Outcome.CLIENT_REFUSED else why
    )
