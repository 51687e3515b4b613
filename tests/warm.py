"""mtls-run and pytest as processes of their own that need not import first: forked from one that has imported it all.

What such a process gets, does, prints and leaves is its own: arguments, environment, directory, streams, signals, threads,
what happens at its exit. What is not seen is what imports do, so tests of those start the program the ordinary way.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import IO, TYPE_CHECKING, Any, NoReturn, Self

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["WarmProcess", "fits", "run_warm"]

ROOT = Path(__file__).parents[1]


def fits(environment: Mapping[str, str]) -> bool:
    """Whether nothing in it speaks to Python's own start."""
    return not any(name.startswith("PYTHON") and name != "PYTHONWARNINGS" for name in environment)


class WarmProcess:
    """One that runs, with what tests use of ``subprocess.Popen[str]``; its standard input is empty.

    Args:
        program: ``"mtls-run"`` or ``"pytest"``.
        arguments, cwd, env, start_new_session: as Popen has them.
        stdout, stderr: descriptors, ``PIPE``, or for ``stderr`` ``STDOUT``.
        site: a directory whose distributions are installed, too.
    """

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int = PIPE,
        stderr: int = PIPE,
        start_new_session: bool = False,
        site: Path | None = None,
    ) -> None:
        self.args = [program, *arguments]
        self.returncode: int | None = None
        self.stdout, out = _stream(stdout)
        self.stderr, err = (None, out) if stderr == STDOUT else _stream(stderr)
        asked = {
            "program": program,
            "arguments": arguments,
            "cwd": str(cwd),
            "env": dict(env),
            "new": start_new_session,
        }
        self._told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, Path(os.devnull).open() as nothing:
            socket.send_fds(_forker(site), [json.dumps(asked).encode()], [nothing.fileno(), out, err, theirs.fileno()])
        for made in {number for number, asked_for in ((out, stdout), (err, stderr)) if asked_for == PIPE}:
            os.close(made)
        self.pid = int(self._told.recv(20))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait(60)

    def poll(self) -> int | None:
        """How it ended; ``None``: it has not."""
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float) -> int:
        """How it ended: an exit code, or the negative number of a signal."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(20))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout) from None
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """To it alone, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """By SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """All that it still writes, once it has ended; it is killed if that takes too long."""
        streams = [stream for stream in (self.stdout, self.stderr) if stream is not None and not stream.closed]
        with ThreadPoolExecutor(2) as readers:
            read = {stream: readers.submit(stream.read) for stream in streams}
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                os.kill(self.pid, signal.SIGKILL)
                raise
        for stream in streams:
            stream.close()
        out, err = (read[stream].result() if stream in read else "" for stream in (self.stdout, self.stderr))
        return out, err


def run_warm(
    program: str,
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: int = PIPE,
    timeout: float = 100,
    site: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    process = WarmProcess(program, arguments, cwd=cwd, env=env, stdout=stdout, site=site)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess([program, *arguments], process.wait(0), out, err)


def _stream(asked: int) -> tuple[IO[str] | None, int]:
    """What the tests read from, and the descriptor that the program gets."""
    if asked != PIPE:
        return None, asked
    ours, theirs = os.pipe()
    return os.fdopen(ours, encoding="utf-8"), theirs


@cache
def _forker(site: Path | None) -> socket.socket:
    """To the process that forks: one for all workers of a session. It ends when the last of them has."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    directory = Path(
        tempfile.gettempdir(), f"mtls-run-tests-{session[:16]}{site.parent.name if site is not None else ''}"
    )
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _locked(directory):
        try:
            ours.connect(str(directory / "forker"))
        except OSError:
            _start(directory / "forker", site)
            ours.connect(str(directory / "forker"))
    atexit.register(ours.close)  # before it waits: what was registered last comes first
    return ours


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """The directory is there, and nobody else in here."""
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if directory.exists():
            yield
        else:  # the last one who was in here has removed it
            with _locked(directory):
                yield
    finally:
        os.close(descriptor)


def _start(address: Path, site: Path | None) -> None:
    installed = {"PYTHONPATH": str(site)} if site is not None else {}
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(listener.fileno())],
            cwd=ROOT,
            env={**os.environ, **installed, "PYTHONWARNINGS": "error"},
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
    atexit.register(process.wait)


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models of the language."""
    for one in model.__subclasses__():
        if one.__module__.startswith("mtls_runner."):
            yield one
        yield from _below(one)


def _import_all() -> None:
    import _pytest
    from pydantic import BaseModel

    import mtls_runner

    for package in (mtls_runner, _pytest):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for plugin in entry_points(group="pytest11"):
        if plugin.name not in ("hypothesispytest", "anyio"):
            plugin.load()
    for model in _below(BaseModel):
        model.model_rebuild()  # which each would do by itself
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()


def _next(listener: socket.socket) -> dict[str, Any]:
    """In the process that forks it never returns; in each that becomes a program: what to become, its streams in place."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    address = Path(listener.getsockname())
    workers = [listener.accept()[0]]
    while workers:
        for ready in select.select([listener, *workers], [], [])[0]:
            if ready is listener:
                workers.append(listener.accept()[0])
                continue
            text, descriptors, _, _ = socket.recv_fds(ready, 1 << 20, 4)
            if not text:
                ready.close()
                workers.remove(ready)
            elif os.fork() == 0:
                for one in (listener, *workers):
                    one.close()
                _keep(socket.socket(fileno=descriptors.pop()), descriptors)
                for number, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, number)
                    os.close(descriptor)
                asked: dict[str, Any] = json.loads(text)
                return asked
            for descriptor in descriptors:
                os.close(descriptor)
        if not workers:
            with _locked(address.parent):  # who comes now finds nothing
                address.unlink(missing_ok=True)
                address.parent.rmdir()
            listener.setblocking(False)
            with suppress(BlockingIOError):
                workers.append(listener.accept()[0])  # who came just before
    os._exit(0)


def _keep(told: socket.socket, streams: Sequence[int]) -> None:
    """Fork once more, and return in the new process; tell its number, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with told:
        pid = os.fork()
        if pid == 0:
            return
        for descriptor in (0, 1, 2, *streams):
            os.close(descriptor)
        told.send(str(pid).encode())
        told.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())
    os._exit(0)


def _become(asked: Mapping[str, Any]) -> None:
    if asked["new"]:
        os.setsid()
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    command = Path(sys.executable).with_name(asked["program"])
    sys.argv = [str(command), *asked["arguments"]]
    if asked["program"] == "pytest":
        import pytest

        sys.path[0] = asked["cwd"]  # as python -m pytest has it
        _exit(pytest.main)
    from mtls_runner.cli import main

    sys.path[0] = str(command.parent)
    _exit(main)


def _exit(main: Callable[[], int]) -> NoReturn:
    """As ``sys.exit(main())``, but for what takes longest: that each module and all that is in it is taken down by hand."""
    try:
        code: object = main()
    except SystemExit as ended:
        code = ended.code or 0
    if not isinstance(code, int):
        sys.exit(str(code))
    # As an interpreter does at its end: it waits for threads first.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what nobody closed says so
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):
        sys.exit(code)  # which tells of it
    os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        _import_all()
        asked = _next(listener)
    _become(asked)
