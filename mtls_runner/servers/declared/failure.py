"""Why a declared server can't start, or can't use what it has read, from what it and its check wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import dropwhile

from mtls_runner.errors import ServerUnusable
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Material
from mtls_runner.runtimes.process import ended
from mtls_runner.runtimes.shared_settings import has_encrypted_key
from mtls_runner.tls.dialects import Told, told

__all__ = ["start_failure"]

_TELL_MOST: Mapping[Reason | None, int] = {Reason.WRONG_PASSPHRASE: 0, Reason.PASSPHRASE_NEEDED: 1}
"""Reasons that come before any other, in this order: what else is said follows from them."""


_SEVERE = re.compile(r"\[(?:\w+:)?(?:alert|emerg|crit|critical)\]|\bSyntax error\b", re.IGNORECASE)
"""In a line about what is wrong, of which others follow (HAProxy, Apache, Envoy)."""


def _telling(lines: Sequence[str]) -> str:
    """The line that says most: the first severe one, or else the last."""
    severe = list(dropwhile(lambda line: not _SEVERE.search(line), lines))[:2]
    if severe:
        return "it says: " + (" ".join(severe) if severe[0].endswith(":") else severe[0]).strip()
    return "its last words: " + next((line for line in reversed(lines) if line), "nothing")


def start_failure(
    title: str,
    declared: DeclaredServer,
    lines: Sequence[str],
    exit_code: int | None,
    server: ServerSpec,
    material: Material,
) -> ServerUnusable:
    """The error to raise, from what the program and its check wrote.

    Args:
        title, declared: of what can't start.
        lines, exit_code: what it wrote, and how it ended.
        server, material: what it was given.
    """
    # of a configuration of the author's own, nobody knows
    passphrase = server.passphrase is not None or bool(server.option("config"))
    openable = passphrase or has_encrypted_key(server, material)
    patterns = (*declared.start, *declared.log.dialect.start)

    def reason_of(said: Told) -> Reason | None:
        return said.unusable(passphrase=openable)

    found = [said for line in lines if (said := told(patterns, [line], lambda said: reason_of(said) is not None))]
    if not found:
        what = "does not use what it was given" if exit_code is None else ended(exit_code)
        if exit_code == 0:
            what += ", and has to stay in the foreground"
        return ServerUnusable(
            f"{title} {what}; {_telling(lines)}",
            reason=Reason.BAD_CONFIG if lines else Reason.EXITED,
            log=tuple(lines),
        )
    said = min(found, key=lambda said: _TELL_MOST.get(reason_of(said), len(_TELL_MOST)))
    reason = reason_of(said)
    if reason is Reason.WRONG_PASSPHRASE and not passphrase:
        reason = Reason.PASSPHRASE_NEEDED
    return ServerUnusable(said.line.strip(), reason=reason or Reason.BAD_CONFIG, log=tuple(lines))
