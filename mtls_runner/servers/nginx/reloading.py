"""An nginx whose files are replaced while it runs, and that is told to read them again."""

from __future__ import annotations

from collections.abc import Callable

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.observation import HttpRequest
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.instance import NginxInstance, workers_of
from mtls_runner.servers.nginx.log.lines import parse_line
from mtls_runner.servers.nginx.log.start_failure import start_failure
from mtls_runner.servers.nginx.prepare import Prepared
from mtls_runner.servers.nginx.running import RunningNginx

__all__ = ["ReloadableNginx"]


class ReloadableNginx(RunningNginx):
    """Waits until nginx serves what it has read.

    Args:
        address, upstream, check, warnings, proxied: as for its base.
        instance: its own, shared with no other server.
        prepared: what it was given.
        prepare: what it would be given for another description.
    """

    replaceable = reloadable = True

    def __init__(
        self,
        address: Address,
        instance: NginxInstance,
        prepared: Prepared,
        prepare: Callable[[ServerSpec], Prepared],
        upstream: Callable[[], HttpRequest | None] | None = None,
        check: Callable[[], None] | None = None,
        warnings: tuple[str, ...] = (),
        proxied: bool = False,
    ) -> None:
        super().__init__(address, instance.log, prepared.log_is_whole, upstream, check, warnings, proxied)
        self._instance = instance
        self._prepared = prepared
        self._prepare = prepare
        self._files = {file.path: file for file in prepared.files}

    def replace(self, server: ServerSpec) -> None:
        """Put the files in place that differ; nginx goes on with what it has read.

        Raises:
            MaterialError: something can't be made.
            EngineError: the engine does not put it there.
        """
        self._prepared = self._prepare(server)
        changed: list[ContainerFile] = [file for file in self._prepared.files if self._files.get(file.path) != file]
        self._instance.replace(changed)
        self._files.update((file.path, file) for file in changed)

    def reload(self, deadline: Deadline) -> None:
        """SIGHUP, and then until every worker of before is gone: from then on only the new configuration answers.

        Raises:
            ServerUnusable: nginx says why it can't use what it has read; it goes on as before.
            LabError: it says nothing in time.
        """
        with self._state.one_at_a_time:
            before = workers_of(self._instance)
            self._instance.signal("HUP")
            said: list[str] = []
            reads, started, gone = False, False, 0
            while gone < before or not started:
                text = self._instance.log.take(deadline)
                if text is None:
                    raise LabError(
                        "nginx does not say that it has read its files again" + "".join(f"\n  {s}" for s in said)
                    )
                line = parse_line(text)
                reads = reads or line.rereads
                if not reads:
                    continue
                said.append(text)
                if not started and line.is_fatal:
                    raise start_failure(said, self._prepared, None)
                started = started or line.starts_worker
                gone += line.ends_worker
            self._state.unsettled = True
