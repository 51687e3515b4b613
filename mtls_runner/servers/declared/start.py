"""From a started program to a server that answers."""

from __future__ import annotations

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import DeadlineExceeded, LabError
from mtls_runner.model.endpoint import Address
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.running import OTHERS_LOG_SECONDS, Instance
from mtls_runner.servers.declared.view import is_over
from mtls_runner.servers.readiness import HEAD_REQUEST, PROXY_PROTOCOL, Answer, Greeting, greet
from mtls_runner.tls.dialects import compiled

__all__ = ["wait_until_ready"]

_PAUSES = (0.002, 0.004, 0.008, 0.016, 0.03)
_LOG_SECONDS = 5.0
_GREETING_SECONDS = 5.0
_LAST_WORDS = 5


def wait_until_ready(
    instance: Instance,
    declared: DeclaredServer,
    address: Address,
    certificate: bytes | None,
    log: ConnectionLog,
    deadline: Deadline,
    *,
    own: bool = False,
) -> bytes | None:
    """Until a handshake shows the lab's own certificate, and the log has told of that very handshake.

    Returns what it wants to hear before TLS (nothing, mostly); ``None``: it has ended, or says that it can't serve. ``own``: the
    configuration is the author's, whose log may say nothing, and who may have it expect the PROXY protocol.

    Raises:
        DeadlineExceeded: neither happened in time.
        LabError: it answers, and writes nothing.
    """
    tried = 0
    failed = compiled(declared.reload.failed) if declared.reload is not None and declared.reload.failed else None
    while instance.exit_code() is None and not (failed and any(map(failed.search, instance.log.tail()))):
        before = log.count
        first = PROXY_PROTOCOL if own and tried % 2 else b""
        greeting = greet(address, deadline.within(_GREETING_SECONDS), HEAD_REQUEST, first=first)
        if _answers(greeting, certificate, guessed=bool(first)):
            if own:
                log.wait(None, before, lambda lines: is_over(declared, lines), deadline.within(OTHERS_LOG_SECONDS))
            else:
                _proved(log, declared, greeting.port, before, deadline)
            return first
        if deadline.passed:
            said = "".join(f"\n  {line}" for line in instance.log.tail()[-_LAST_WORDS:])
            raise DeadlineExceeded(
                f"time limit passed while waiting for a handshake that shows the lab's own certificate at {address}"
                + (f"; its last words:{said}" if said else "")
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


def _proved(log: ConnectionLog, declared: DeclaredServer, port: int | None, before: int, deadline: Deadline) -> None:
    """That what it writes comes at once, and not when a buffer is full; what it wrote of the greeting is then past."""
    if not log.by_port:
        log.wait(None, before, lambda lines: is_over(declared, lines), deadline.within(1))
        return
    if not log.wait(port, before, bool, deadline.within(_LOG_SECONDS)):
        raise LabError(
            f"it answers, but within {_LOG_SECONDS:g} s its log says nothing of a connection that was just made: is its output "
            "buffered, or `log.connection` wrong?"
        )
