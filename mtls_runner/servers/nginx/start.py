"""From an nginx that was started to one that answers, or to the reason why it doesn't."""

from __future__ import annotations

from mtls_runner.deadline import Deadline
from mtls_runner.errors import ServerUnusable
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import Reason
from mtls_runner.servers.nginx.instance import Instance
from mtls_runner.servers.nginx.log.lines import parse_line
from mtls_runner.servers.nginx.log.start_failure import start_failure
from mtls_runner.servers.nginx.prepare import Prepared
from mtls_runner.servers.readiness import Answer, knock

__all__ = ["wait_until_ready"]

# Listening sockets are bound before the first worker starts (ngx_init_cycle, then ngx_master_process_cycle).
_WORKERS = "start worker process"
_PAUSE = 0.05
_GIVE_UP_AFTER = 10
"""Handshakes that got nothing from an nginx whose workers run: nothing listens on that port."""


def wait_until_ready(nginx: Instance, prepared: Prepared, port: int, deadline: Deadline) -> Address:
    """Until a TLS handshake gets an answer; returns where.

    Raises:
        ServerUnusable: nginx ended, or does not listen on ``port``.
        DeadlineExceeded: neither happened in time.
    """
    workers = False
    unanswered = 0
    while True:
        line = nginx.log.take(deadline.within(_PAUSE))
        if line is not None:
            workers = workers or parse_line(line).message.startswith(_WORKERS)
            if not workers:
                continue
        if nginx.log.ended or nginx.address is None:
            raise start_failure(nginx.log.tail(), prepared.files, nginx.exit_code(), prepared.names)
        if knock(nginx.address, deadline.within(2)) is not Answer.NOTHING:
            return nginx.address
        deadline.check("waiting for nginx to answer")
        workers = workers or any("nginx: worker" in command for command in nginx.processes())
        unanswered += workers and line is None  # as many pauses, however many lines came
        if unanswered >= _GIVE_UP_AFTER:
            raise ServerUnusable(
                f"nginx runs, but nothing listens on port {port}{_listens(prepared)}",
                reason=Reason.BAD_CONFIG,
                log=nginx.log.tail(),
            )


def _listens(prepared: Prepared) -> str:
    return f"; the configuration has listen {', '.join(prepared.listens)}" if prepared.listens else ""
