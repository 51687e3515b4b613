"""From a started program to a server that answers."""

from __future__ import annotations

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address
from mtls_runner.model.implementation import DeclaredServer
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.running import OTHERS_LOG_SECONDS, Instance
from mtls_runner.servers.declared.view import is_over
from mtls_runner.servers.readiness import HEAD_REQUEST, Answer, greet

__all__ = ["wait_until_ready"]

_PAUSES = (0.002, 0.004, 0.008, 0.016, 0.03)
_LOG_SECONDS = 5.0
_GREETING_SECONDS = 5.0


def wait_until_ready(
    instance: Instance,
    declared: DeclaredServer,
    address: Address,
    certificate: bytes | None,
    log: ConnectionLog,
    deadline: Deadline,
    *,
    own: bool = False,
) -> bool:
    """Until a handshake shows the lab's own certificate, and the log has told of that very handshake.

    Returns whether it is ready; otherwise it has ended. ``own``: the configuration is the author's, whose log may say nothing.

    Raises:
        DeadlineExceeded: neither happened in time.
        LabError: it answers, and writes nothing.
    """
    tried = 0
    while instance.exit_code() is None:
        before = log.count
        greeting = greet(address, deadline.within(_GREETING_SECONDS), HEAD_REQUEST)
        shown = greeting.certificate is not None and greeting.certificate == certificate
        # Without a certificate seen (a name that it refuses, an interpreter that records nothing) an answer has to do.
        if shown or (greeting.certificate is None and greeting.answer is Answer.TLS):
            if own:
                log.wait(None, before, lambda lines: is_over(declared, lines), deadline.within(OTHERS_LOG_SECONDS))
            else:
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
