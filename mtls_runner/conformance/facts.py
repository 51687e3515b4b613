"""What is told of one cell, and how a fact that differs from place to place is told in few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mtls_runner.conformance.catalogue import Combination
from mtls_runner.conformance.measurement import MeasuredCell, Seen
from mtls_runner.model.observation import Outcome
from mtls_runner.registry import registry

__all__ = ["FACTS", "collapsed", "facts"]


def _server(name: str) -> str:
    """What people call it where a client has the same name."""
    return f"{name} server" if name in registry().clients else name


def _client(name: str) -> str:
    return f"{name} client" if name in registry().backends else name


_AXES: tuple[tuple[Callable[[Combination], str], Callable[[str], str]], ...] = (
    (lambda where: where.backend, _server),
    (lambda where: where.tls, lambda version: version.replace("TLSv", "TLS ")),
    (lambda where: where.tool, _client),
)

_CURL_EXIT = "curl exit"
_WITHOUT_HANDSHAKE = {
    Outcome.CLIENT_UNUSABLE: "no handshake",
    Outcome.SERVER_UNUSABLE: "it does not start",
    Outcome.SERVER_STARTED: "it starts",
}


def outcome(seen: Seen) -> str:
    """Outcome and reason, as a scenario writes them."""
    return seen.written


def how(seen: Seen) -> str:
    """How the other end learnt of it: by an alert, a status, or the end of the connection."""
    if seen.alert is not None:
        return f"alert {seen.alert}"
    if seen.status is not None:
        return f"HTTP {seen.status}"
    return _WITHOUT_HANDSHAKE.get(seen.outcome or Outcome.ACCEPTED, "-")


def curl_exit(seen: Seen) -> str:
    """What curl exits with; by another client's word where no curl was run."""
    if seen.curl_exit is None:
        return "-"
    return f"{seen.curl_exit} (predicted)" if seen.predicted else str(seen.curl_exit)


def verify_code(seen: Seen) -> str:
    """The refusing end's; curl's is what it writes."""
    return str(seen.verify_code) if seen.verify_code else "-"


#: Column → the fact in it.
FACTS: Mapping[str, Callable[[Seen], str]] = {
    "outcome": outcome,
    "how": how,
    _CURL_EXIT: curl_exit,
    "verify code": verify_code,
}


def facts(cells: Mapping[Combination, MeasuredCell], column: str) -> str:
    """One column of a case, told over all places where it was run."""
    seen = {where: cell.seen for where, cell in cells.items() if cell.seen is not None}
    if column == _CURL_EXIT:  # what was seen needs no prediction beside it
        seen = {where: one for where, one in seen.items() if not one.predicted} or seen
    return collapsed({where: FACTS[column](one) for where, one in seen.items()})


def collapsed(values: Mapping[Combination, str]) -> str:
    """A value that is the same everywhere stands alone; another one is told by what it hangs on.

    >>> collapsed({Combination("python", "curl", "TLSv1.2"): "35", Combination("nginx", "curl", "TLSv1.2"): "0"})
    '35 (python server), 0 (nginx)'
    """
    distinct = list(dict.fromkeys(values.values()))
    if len(distinct) <= 1:
        return distinct[0] if distinct else "-"
    for axis, label in _AXES:
        parts: dict[str, dict[Combination, str]] = {}
        for where, value in values.items():
            parts.setdefault(axis(where), {})[where] = value
        if len(parts) > 1 and all(len(set(part.values())) == 1 for part in parts.values()):
            return ", ".join(f"{collapsed(part)} ({label(name)})" for name, part in parts.items())
    for axis, label in _AXES:
        parts = {}
        for where, value in values.items():
            parts.setdefault(axis(where), {})[where] = value
        if len(parts) > 1:
            return "; ".join(f"{label(name)}: {collapsed(part)}" for name, part in parts.items())
    return " or ".join(distinct)
