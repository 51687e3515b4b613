"""Programs as processes of this machine: started in a session of their own, and gone with the lab, however it ends."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from mtls_runner.deadlines import Deadline, ended_by
from mtls_runner.errors import DeadlineExceeded, LabError
from mtls_runner.model.endpoint import Address
from mtls_runner.runtimes import supervisor
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.runtimes.processes import listening, with_variable

__all__ = ["Finished", "Program", "Unfinished", "ended", "find_program", "finish", "start"]

# $1 is what the program reads as its standard input. It waits until the supervisor knows of it; a lab that ends before that
# closes the pipe instead.
_WAIT_AND_RUN = """\
read -r _ || exit 125
exec <"$1"
shift
exec "$@"
"""
_SHELL = "/bin/sh"
_MORE_PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where servers lie; Debian leaves these out of the PATH of anyone but root."""
_STOP_SECONDS = 3.0
_STRAYS_ROUNDS = 5
_LAST_WORDS_SECONDS = 1.0
_CHUNK = 65536


def find_program(name: str) -> str | None:
    """The absolute path of a command: on PATH, where servers lie, or among the scripts of this Python (programs from PyPI)."""
    places = (os.environ.get("PATH", os.defpath), sysconfig.get_path("scripts"), *_MORE_PLACES)
    found = shutil.which(name, path=os.pathsep.join(places))
    return os.path.abspath(found) if found else None  # noqa: PTH100 - a link of a virtual environment's is not followed


def ended(exit_code: int) -> str:
    """How a program did, for people."""
    name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else ""
    return f"was ended by {name}" if name else f"ended with exit code {exit_code}"


def _environment(directory: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The lab's own, with messages in English and temporary files below the program's directory."""
    return {**os.environ, "LC_ALL": "C", "TMPDIR": str(directory), **more, **supervisor().environment}


def _popen(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    standard_input: Path | None,
    output: int,
    errors: int,
    inherited: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    waiting = [_SHELL, "-c", _WAIT_AND_RUN, "mtls-run", str(standard_input or os.devnull), *command]
    try:
        process = subprocess.Popen(
            waiting,
            cwd=directory,
            env=_environment(directory, environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            pass_fds=tuple(inherited),
        )
    except OSError as error:
        raise LabError(f"{command[0]} can't be started: {error.strerror}") from error
    supervisor().watch(process.pid)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as gate:
            gate.write(b"go\n")
    return process


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    """The program first, by its own signal, so that it can put away what it made; then all of its group."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    supervisor().forget(process.pid)


def _end_strays(directory: Path) -> None:
    """What has left its group and session, as a daemon does: known by the directory, which is no other program's."""
    for _ in range(_STRAYS_ROUNDS):  # one may be starting another
        found = with_variable("TMPDIR", str(directory))
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


class Program:
    """A program that runs. Its log is what it writes to standard output and error."""

    def __init__(
        self, process: subprocess.Popen[bytes], name: str, listener: Callable[[str | None], None] | None = None
    ) -> None:
        self._process = process
        self.name = name
        self.log = LogStream(_chunks(process), f"mtls-run-{name}-log", listener)

    @property
    def pid(self) -> int:
        """The process id of the program, which leads its group and session."""
        return self._process.pid

    def listens_on(self) -> tuple[Address, ...]:
        """Where it and its children listen, as the kernel has it; nothing is known without a ``/proc``."""
        return listening(self.pid)

    def exit_code(self) -> int | None:
        """``None`` while it runs; negative: the number of the signal that ended it."""
        return self._process.poll()

    def wait(self, seconds: float) -> int:
        """Until it has ended, at most so long; its exit code, or what there will be when it is killed then."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL

    def signal(self, name: str) -> None:
        """Send a signal (``HUP``) to the program.

        Raises:
            LabError: it has ended.
        """
        if (code := self.exit_code()) is not None:
            raise LabError(f"{self.name} {ended(code)}")
        self._process.send_signal(signal.Signals[f"SIG{name}"])


def _chunks(process: subprocess.Popen[bytes]) -> Iterator[tuple[bytes | None, bytes | None]]:
    """What it writes, until a moment after its end: what it has left behind may hold the pipe open for ever."""
    try:
        end = os.pidfd_open(process.pid)  # now, while its number is nobody else's
    except (AttributeError, OSError):  # not Linux, or an old one: until nobody holds the pipe open
        end = None
    return _read(process, end)


def _read(process: subprocess.Popen[bytes], end: int | None) -> Iterator[tuple[bytes | None, bytes | None]]:
    with contextlib.ExitStack() as stack:
        sources = select.poll()  # select() takes no descriptor above 1023
        if end is not None:
            stack.callback(os.close, end)
            sources.register(end, select.POLLIN)
        if process.stdout is None:
            return
        pipe = stack.enter_context(process.stdout).fileno()
        sources.register(pipe, select.POLLIN)
        last: Deadline | None = None
        while True:
            ready = dict(sources.poll(last.remaining() * 1000 if last is not None else None))
            if end is not None and end in ready:
                sources.unregister(end)
                last = Deadline.after(_LAST_WORDS_SECONDS)
            elif not ready or not (data := os.read(pipe, _CHUNK)):
                return
            else:
                yield data, None


@contextlib.contextmanager
def start(
    command: Sequence[str],
    directory: Path,
    *,
    environment: Mapping[str, str] | None = None,
    standard_input: Path | None = None,
    stop: str = "TERM",
    inherited: Sequence[int] = (),
    listener: Callable[[str | None], None] | None = None,
) -> Iterator[Program]:
    """Run a program until the block ends. It is started, not ready: that is for the caller to find out.

    Args:
        command: the program's absolute path and its arguments; never a secret.
        directory: its working directory, private to it.
        environment: variables beside the lab's own.
        standard_input: a file or FIFO; nothing is there to read when not given.
        inherited: descriptors that it gets, under their own numbers; the caller closes its own.
        stop: the signal that ends it; what does not end by it within three seconds is killed.
        listener: told each line that it writes, instead of ``log.take``.

    Raises:
        LabError: it can't be started.
    """
    process = _popen(
        command, directory, environment or {}, standard_input, subprocess.PIPE, subprocess.STDOUT, inherited
    )
    try:
        program = Program(process, Path(command[0]).name, listener)
        try:
            yield program
        finally:
            _end(process, signal.Signals[f"SIG{stop}"])
            _end_strays(directory)
            program.log.join(_STOP_SECONDS)
    finally:
        if process.returncode is None:
            _end(process, signal.SIGKILL)


class Finished(Struct, frozen=True):
    """A program that has ended: its exit code (negative: the signal's number), what it wrote, and the seconds it took."""

    exit_code: int
    output: bytes
    errors: bytes
    seconds: float

    def text(self) -> str:
        """All that it wrote, for people."""
        return "\n".join(part.decode("utf-8", "replace").strip() for part in (self.output, self.errors) if part.strip())


def finish(
    command: Sequence[str],
    directory: Path,
    deadline: Deadline,
    *,
    environment: Mapping[str, str] | None = None,
    standard_input: Path | None = None,
    most: int = 1 << 26,
) -> Finished:
    """Run a program to its end.

    Args:
        command, directory, environment, standard_input: as for :func:`start`.
        deadline: when it is killed.
        most: bytes of each stream that are read.

    Raises:
        LabError: it can't be started.
        Unfinished: it did not end in time.
    """
    streams = tuple(directory / f".{name}-{os.urandom(6).hex()}" for name in ("output", "errors"))
    try:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(os.fdopen(_private(path), "wb")) for path in streams]
            process = _popen(
                command, directory, environment or {}, standard_input, files[0].fileno(), files[1].fileno()
            )
            began = time.monotonic()
            try:
                with ended_by(process.kill):
                    code = process.wait(max(deadline.remaining(), 0.001))
            except subprocess.TimeoutExpired:
                code = None
            finally:
                took = time.monotonic() - began
                _end(process, signal.SIGKILL)
        output, errors = (_content(path, most) for path in streams)
    finally:
        for path in streams:
            path.unlink(missing_ok=True)
    if code is None:
        raise Unfinished(Path(command[0]).name, Finished(-signal.SIGKILL, output, errors, took))
    return Finished(code, output, errors, took)


class Unfinished(DeadlineExceeded):
    """A program that was killed, since its time was over; ``partial`` is what it had written."""

    def __init__(self, name: str, partial: Finished) -> None:
        self.partial = partial
        super().__init__(f"time limit passed while waiting for {name} to end")


def _private(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _content(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)
