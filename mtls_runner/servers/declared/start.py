"""From a started program to a server that answers, or to the reason why it doesn't."""

from __future__ import annotations

from collections.abc import Sequence

from mtls_runner.deadline import Deadline
from mtls_runner.errors import LabError, ServerUnusable
from mtls_runner.model.endpoint import Address
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.model.observation import Reason
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.running import Instance
from mtls_runner.servers.declared.view import is_over
from mtls_runner.servers.readiness import Answer, greet
from mtls_runner.tls.dialects import Told, told
from mtls_runner.tls.openssl_errors import ERRNO_REASONS, SYSTEM_LIBRARY, UNUSABLE

__all__ = ["start_failure", "wait_until_ready"]

_PAUSES = (0.002, 0.004, 0.008, 0.016, 0.03)
_LOG_SECONDS = 5.0
_GREETING_SECONDS = 5.0
_WORST_FIRST = (Reason.PASSPHRASE_NEEDED, Reason.WRONG_PASSPHRASE)


def wait_until_ready(
    instance: Instance,
    declared: DeclaredServer,
    address: Address,
    certificate: bytes | None,
    log: ConnectionLog,
    deadline: Deadline,
) -> bool:
    """Until a handshake shows the lab's own certificate, and the log has told of that very handshake.

    Returns whether it is ready; otherwise it has ended.

    Raises:
        DeadlineExceeded: neither happened in time.
        LabError: it answers, and writes nothing.
    """
    tried = 0
    while instance.exit_code() is None:
        before = log.count
        greeting = greet(address, deadline.within(_GREETING_SECONDS))
        own = greeting.certificate is not None and greeting.certificate == certificate
        # Without a certificate seen (a name that it refuses, an interpreter that records nothing) an answer has to do.
        if own or (greeting.certificate is None and greeting.answer is Answer.TLS):
            _proved(log, declared, greeting.port, before, deadline)
            return True
        deadline.check(f"waiting for a handshake that shows the lab's own certificate at {address}")
        instance.log.wait_ended(deadline.within(_PAUSES[min(tried, len(_PAUSES) - 1)]))
        tried += 1
    return False


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


def start_failure(
    title: str, declared: DeclaredServer, lines: Sequence[str], exit_code: int | None, *, passphrase: bool
) -> ServerUnusable:
    """The error to raise, from what the program and its check wrote; ``passphrase``: whether it was given one."""
    patterns = (*declared.start, *declared.log.dialect.start)
    found = [said for line in lines if (said := told(patterns, [line], _usable)) is not None]
    reasons = [(_reason(said), said) for said in found]
    for worst in _WORST_FIRST:
        reasons.sort(key=lambda pair, worst=worst: pair[0] is not worst)  # type: ignore[misc]
    if not reasons:
        last = lines[-1] if lines else "nothing"
        return ServerUnusable(
            f"{title} ended with exit code {exit_code}; its last words: {last}",
            reason=Reason.BAD_CONFIG if lines else Reason.EXITED,
            log=tuple(lines),
        )
    reason, said = reasons[0]
    if reason is Reason.WRONG_PASSPHRASE and not passphrase:
        reason = Reason.PASSPHRASE_NEEDED
    return ServerUnusable(said.line.strip(), reason=reason or Reason.BAD_CONFIG, log=tuple(lines))


def _usable(said: Told) -> bool:
    return _reason(said) is not None


def _reason(said: Told) -> Reason | None:
    if said.reasons:
        return said.reasons[0]
    if said.error is None:
        return None
    if said.error.library == SYSTEM_LIBRARY:
        return ERRNO_REASONS.get(said.error.reason)
    return UNUSABLE.get((said.error.library, said.error.reason))
