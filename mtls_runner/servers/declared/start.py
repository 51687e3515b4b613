"""From a started program to a server that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import DeadlineExceeded, LabError
from mtls_runner.model.endpoint import Address
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.running import OTHERS_LOG_SECONDS, Instance
from mtls_runner.servers.declared.view import is_over
from mtls_runner.servers.readiness import HEAD_REQUEST, PROXY_PROTOCOL, Answer, Greeting, greet
from mtls_runner.tls.dialects import compiled
from mtls_runner.tls.messages import subject

__all__ = ["Greeted", "wait_until_ready"]

_PAUSES = (0.002, 0.004, 0.008, 0.016, 0.03)
_LOG_SECONDS = 5.0
_GREETING_SECONDS = 5.0
_SETTLED_SECONDS = 15.0
"""How long what is wrong, but may be of a start that goes on, has to become right: another certificate, no TLS, another port."""
_LOOKS_EVERY = 32
_LAST_WORDS = 5

Greeted = tuple[bytes, str | None]
"""What it hears before TLS (nothing, mostly), and the name that it is asked for; ``None``: none."""


def wait_until_ready(
    instance: Instance,
    declared: DeclaredServer,
    address: Address,
    certificate: bytes | None,
    log: ConnectionLog,
    deadline: Deadline,
    *,
    own: bool = False,
    listens_on: Callable[[], tuple[Address, ...]] = tuple,
    names: Sequence[str] = (),
) -> Greeted | None:
    """Until a handshake shows the lab's own certificate, and the log has told of that very handshake.

    Returns how it was greeted; ``None``: it has ended, or says that it can't serve. ``own``: the configuration is the author's,
    whose log may say nothing, and who may have it expect the PROXY protocol, or another of the ``names``. ``listens_on`` is asked
    where it listens instead.

    Raises:
        DeadlineExceeded: neither happened in time; which is shorter where it answers otherwise, or listens elsewhere, and nobody
            has declared how long it may take.
        LabError: it goes on, answers, and writes nothing.
    """
    tried, seen = 0, Greeting(Answer.NOTHING)
    ways: list[Greeted] = (
        [(first, name) for name in (None, *names) for first in (b"", PROXY_PROTOCOL)] if own else [(b"", None)]
    )
    failed = compiled(declared.reload.failed) if declared.reload is not None and declared.reload.failed else None
    while instance.exit_code() is None and not (failed and any(map(failed.search, instance.log.tail()))):
        before = log.count
        first, name = way = ways[tried % len(ways)]
        greeting = greet(address, deadline.within(_GREETING_SECONDS), HEAD_REQUEST, first=first, name=name)
        seen = max(greeting, seen, key=_telling)
        if _answers(greeting, certificate, guessed=bool(first)):
            if own:
                log.wait(None, before, lambda lines: is_over(declared, lines), deadline.within(OTHERS_LOG_SECONDS))
            elif not _proved(log, declared, greeting.port, before, deadline):
                if instance.exit_code() is None:
                    raise LabError(_silent(greeting.port, instance))
                return None
            return way
        wrong = greeting.certificate is not None or greeting.answer is Answer.OTHER
        if declared.starts_within is None and (
            wrong or (tried % _LOOKS_EVERY == 1 and greeting.port is None and listens_on())
        ):
            deadline = deadline.within(_SETTLED_SECONDS)
        if deadline.passed:
            limit = (
                "in time" if declared.starts_within is None else f"within {declared.starts_within:g} s (starts_within)"
            )
            raise DeadlineExceeded(
                f"no handshake showed the lab's own certificate at {address} {limit}: "
                + _instead(seen, listens_on())
                + _last_words(instance)
            )
        instance.log.wait_ended(deadline.within(_PAUSES[min(tried, len(_PAUSES) - 1)]))
        tried += 1
    return None


def _answers(greeting: Greeting, certificate: bytes | None, *, guessed: bool) -> bool:
    """Without a certificate seen (a name that it refuses, an interpreter that records nothing) an answer has to do; but who did
    not expect what was ``guessed`` answers that by an alert, too.
    """
    if greeting.certificate is None:
        return greeting.answer is Answer.TLS and not guessed
    return greeting.certificate == certificate


def _last_words(instance: Instance) -> str:
    said = "".join(f"\n  {line}" for line in instance.log.tail()[-_LAST_WORDS:])
    return f"; its last words:{said}" if said else ""


def _silent(port: int | None, instance: Instance) -> str:
    """Its log tells of no connection from this port."""
    return (
        f"it answers, but within {_LOG_SECONDS:g} s its log says nothing of a connection that was just made"
        + (f", from port {port}" if port is not None else "")
        + ": is its output buffered, or does `log.connection` not match what it writes?"
        + _last_words(instance)
    )


def _telling(greeting: Greeting) -> tuple[bool, ...]:
    return greeting.certificate is not None, greeting.answer is Answer.OTHER, greeting.port is not None


def _instead(greeting: Greeting, listens_on: tuple[Address, ...]) -> str:
    """What there was when somebody knocked."""
    if greeting.certificate is not None:
        return f"another one is shown there, {subject(greeting.certificate) or 'without a subject'}"
    if greeting.answer is Answer.OTHER:
        return "what answers there is no TLS"
    if greeting.port is not None:
        return "a connection ends there without an answer"
    return "nothing listens there" + (f", but on {' and '.join(map(str, listens_on))}" if listens_on else "")


def _proved(log: ConnectionLog, declared: DeclaredServer, port: int | None, before: int, deadline: Deadline) -> bool:
    """Whether what it writes comes at once, and not when a buffer is full; what it wrote of the greeting is then past."""
    if log.by_port:
        return bool(log.wait(port, before, bool, deadline.within(_LOG_SECONDS)))
    tells = declared.log.facts or declared.log.ended  # what is not awaited would be the first client's
    log.wait(None, before, lambda lines: is_over(declared, lines), deadline.within(_LOG_SECONDS if tells else 1))
    return True
