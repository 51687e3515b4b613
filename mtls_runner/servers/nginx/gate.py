"""A container that starts while its nginx's configuration is still to be made: the engine takes longer than all the forging.

The first file that nginx reads includes a FIFO, and then the configuration. To open a FIFO is to wait until somebody opens its
other end (fifo(7)), and nginx takes it for an empty file, since it has no size. Both lie in a directory that is mounted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline
from mtls_runner.servers.container.engine import Engine
from mtls_runner.servers.container.files import ContainerFile, lay
from mtls_runner.servers.container.spec import ContainerSpec
from mtls_runner.servers.nginx.surroundings import FOREGROUND, IN_CONTAINER

if TYPE_CHECKING:
    from mtls_runner.model.endpoint import Address
    from mtls_runner.runtimes.log_stream import LogStream
    from mtls_runner.servers.container.container import Container

__all__ = ["WaitingContainer"]

_FIRST_FILE = f"{IN_CONTAINER.directory}/first.conf"
_FIFO = "gate"


class Gate:
    """A FIFO at which a started container waits for its nginx's configuration.

    Args:
        directory: empty; to be mounted where the configuration is expected. Its parent keeps others out, for nginx's workers
            are to read in it what they need.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.chmod(0o755)
        os.mkfifo(directory / _FIFO, 0o600)
        first = f"include {IN_CONTAINER.directory}/{_FIFO}; include {IN_CONTAINER.main_file};\n"
        self.lay([ContainerFile(_FIRST_FILE, first.encode())])

    def lay(self, files: Sequence[ContainerFile]) -> None:
        """Put them there, each by rename."""
        for file in files:
            path = self.directory
            *folders, name = PurePosixPath(file.path).relative_to(IN_CONTAINER.directory).parts
            for folder in folders:
                path /= folder
                path.mkdir(exist_ok=True)
                path.chmod(0o755)
            lay(file, path / name)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Whoever waits goes on, and whoever comes does not wait."""
        descriptor = os.open(self.directory / _FIFO, os.O_RDWR | os.O_CLOEXEC)  # never waits, on Linux
        try:
            yield
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the directory with everything in it."""
        shutil.rmtree(self.directory, ignore_errors=True)


class GatedContainer:
    """Implements :class:`mtls_runner.servers.nginx.instance.NginxInstance`: its files are replaced in the mounted directory."""

    def __init__(self, container: Container, gate: Gate) -> None:
        self._gate = gate
        self._container = container
        self.exit_code, self.processes, self.signal = container.exit_code, container.processes, container.signal
        self.more, self.host, self.output_of = container.more, container.host, container.output_of

    @property
    def log(self) -> LogStream:
        """All that it writes."""
        return self._container.log

    @property
    def address(self) -> Address | None:
        """Where it is published."""
        return self._container.address

    def replace(self, files: Sequence[ContainerFile]) -> None:
        """Replace files by rename."""
        self._gate.lay(files)


class WaitingContainer:
    """A container that the engine was asked for, and whose nginx will wait once it is started.

    Args:
        engine: starts it.
        spec: what to run, but for its files.
        directory: of the run; nobody else can read in it.
        deadline: of the engine's answers.

    Raises:
        EngineError: the engine refuses.
        DeadlineExceeded: it took too long.
    """

    def __init__(self, engine: Engine, spec: ContainerSpec, directory: Path, deadline: Deadline) -> None:
        with contextlib.ExitStack() as stack:
            self._gate = Gate(Path(tempfile.mkdtemp(prefix="container-", dir=directory)))
            stack.callback(self._gate.remove)
            mounted = (*spec.mounts, (self._gate.directory, IN_CONTAINER.directory))
            command = ("-c", _FIRST_FILE, *FOREGROUND)
            gated = replace(spec, entrypoint=("nginx",), command=command, mounts=mounted)
            self._start = stack.enter_context(engine.begin(gated, deadline))
            self._stack = stack.pop_all()
        self._started: Callable[[], Container] | None = None

    def start(self) -> Callable[[], Container]:
        """As soon as the engine has made it, it is asked to start it, once; what is returned waits until it has.

        Raises:
            EngineError, DeadlineExceeded: as above.
        """
        if self._started is None:
            self._started = self._start()
        return self._started

    def close(self) -> None:
        """Nobody needs it."""
        self._stack.close()

    @contextlib.contextmanager
    def filled(self, files: Sequence[ContainerFile]) -> Iterator[GatedContainer | None]:
        """It has its files now; ``None``: it can't read them, and is to be started without this.

        Raises:
            EngineError, ServerUnusable, DeadlineExceeded: as :meth:`Engine.run`.
        """
        with self._stack:
            self._gate.lay(files)
            with self._gate.opened():
                container = self.start()()
                yield GatedContainer(container, self._gate) if container.reads_our_files else None
