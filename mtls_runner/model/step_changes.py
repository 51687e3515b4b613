"""What a step that connects to nobody does, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtls_runner.model import plural
from mtls_runner.model.case import Action, Case, Step
from mtls_runner.model.endpoint import ServerSpec

__all__ = ["changes", "what_was_done"]


def changes(before: ServerSpec, after: ServerSpec) -> Iterator[str]:
    """What a server's files say from now on, in the place of what."""
    for what, old, new in (
        ("its certificate", before.certificate, after.certificate),
        ("who is trusted", before.trust, after.trust),
        ("the CRLs", before.crl, after.crl),
        ("client_auth", before.client_auth, after.client_auth),
    ):
        if old != new:
            yield f"{what}: from {_ids(old)} to {_ids(new)}"


def _ids(value: str | Sequence[str] | None) -> str:
    *front, last = [f"`{one}`" for one in ([value] if isinstance(value, str) else value or ())] or ["nothing"]
    return f"{', '.join(front)} and {last}" if front else last


def what_was_done(case: Case, step: Step) -> str:
    """As people are told it behind the step's name: of one that waits, replaces files, or starts the client anew."""
    match step.action:
        case Action.WAIT:
            if step.until_expired is not None:
                return f"`{step.until_expired}` has expired"
            return plural(1, "second") if step.seconds == 1 else f"{step.seconds:g} seconds"
        case Action.REPLACE if step.server is not None:
            before = case.server
            for one in case.steps[: case.steps.index(step)]:
                before = one.server or before
            return "; ".join(changes(before, step.server)) or "the server's files change"
        case Action.RENEW:
            return f"the client's files hold `{step.renewed}`"
        case Action.RESTART:
            return "the client is started anew"
    return "done"
