"""From an nginx that was started to one that answers, or to the reason why it doesn't."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import ServerUnusable
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import Reason
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.nginx.instance import NginxInstance, workers_of
from mtls_runner.servers.nginx.log.lines import parse_line
from mtls_runner.servers.nginx.log.start_failure import start_failure
from mtls_runner.servers.nginx.prepare import Prepared
from mtls_runner.servers.readiness import PROXY_PROTOCOL, Answer, knock

__all__ = ["Ready", "check_listens", "wait_until_ready"]

_OLD_FORM = " is deprecated"
"""Of directives that the lab writes in the form that every nginx takes."""
_PAUSE = 0.05
_LATE = 5.0
"""Seconds for lines that nginx has written before it answered."""
_GIVE_UP_AFTER = 10
"""Handshakes that got nothing from an nginx whose workers run: nothing listens on that port."""


class Ready(Struct, frozen=True):
    """Where an nginx answers, and what it warned of while it read its configuration."""

    address: Address
    warnings: tuple[str, ...]


def wait_until_ready(nginx: NginxInstance, prepared: Prepared, port: int, deadline: Deadline) -> Ready:
    """Until a TLS handshake gets an answer.

    Raises:
        ServerUnusable: nginx ended, or does not listen on ``port``.
        DeadlineExceeded: neither happened in time.
    """
    workers = heard = False
    unanswered = 0
    warned: dict[str, None] = {}

    def told(line: str) -> bool:
        """Whether workers come now, as the log has it."""
        read = parse_line(line)
        if read.is_warning and not (prepared.old_forms and _OLD_FORM in read.message):
            warned[prepared.renamed(read.message)] = None
        return read.starts_worker

    while True:
        line = nginx.log.take(deadline.within(_PAUSE))
        if line is not None:
            heard = told(line) or heard
            workers = workers or heard
            if not workers:
                continue
        if nginx.log.ended or nginx.address is None:
            raise start_failure(nginx.log.tail(), prepared, nginx.exit_code())
        if _answers(nginx.address, prepared, port, deadline):
            if not heard and workers_of(nginx):
                _hear_out(nginx.log, told, deadline.within(_LATE))
            return Ready(nginx.address, tuple(warned))
        deadline.check("waiting for nginx to answer")
        workers = workers or bool(workers_of(nginx))
        unanswered += workers and line is None  # as many pauses, however many lines came
        if unanswered >= _GIVE_UP_AFTER:
            raise _nothing_listens(port, prepared, nginx.log)


def check_listens(address: Address, prepared: Prepared, port: int, log: LogStream, deadline: Deadline) -> None:
    """Of another port of an nginx that answers on one: it listens on all of its ports before it does.

    Raises:
        ServerUnusable: nothing listens there.
    """
    if not _answers(address, prepared, port, deadline):
        raise _nothing_listens(port, prepared, log)


def _answers(address: Address, prepared: Prepared, port: int, deadline: Deadline) -> bool:
    first = PROXY_PROTOCOL if port in prepared.proxy_ports else b""
    return knock(address, deadline.within(2), first) is not Answer.NOTHING


def _hear_out(log: LogStream, last: Callable[[str], bool], deadline: Deadline) -> None:
    """An engine can bring lines later than nginx answers: take them up to the one that is the last of its start."""
    while (line := log.take(deadline)) is not None and not last(line):
        pass


def _nothing_listens(port: int, prepared: Prepared, log: LogStream) -> ServerUnusable:
    listens = f"; the configuration has listen {', '.join(prepared.listens)}" if prepared.listens else ""
    said = f"nginx runs, but nothing listens on port {port}{listens}"
    return ServerUnusable(said, reason=Reason.BAD_CONFIG, log=log.tail())
