"""One nginx that was started, whatever it runs in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mtls_runner.model.endpoint import Address
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.container.files import ContainerFile

__all__ = ["NginxInstance", "workers_of"]


class NginxInstance(Protocol):
    """Implemented by :class:`mtls_runner.servers.container.container.Container`,
    :class:`mtls_runner.servers.nginx.gate.GatedContainer` and :class:`mtls_runner.servers.nginx.process.NginxProcess`.
    """

    @property
    def log(self) -> LogStream:
        """All that it writes."""
        ...

    @property
    def address(self) -> Address | None:
        """Where to connect; ``None``: it ended before that was known."""
        ...

    def exit_code(self) -> int | None:
        """``None`` while it runs."""
        ...

    def processes(self) -> tuple[str, ...]:
        """Command lines of its processes; empty when it no longer runs."""
        ...

    def replace(self, files: Sequence[ContainerFile]) -> None:
        """Put files in the place of others, as by rename."""
        ...

    def signal(self, name: str) -> None:
        """Send a signal (``HUP``) to the master."""
        ...


def workers_of(instance: NginxInstance) -> int:
    """How many worker processes there are, by the titles that they give themselves (``ngx_setproctitle``)."""
    return sum("nginx: worker process" in command for command in instance.processes())
