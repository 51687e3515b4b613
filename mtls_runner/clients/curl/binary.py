"""Finds curl, asks it what it is, and runs it: no terminal, no settings of its user's, no way to outlive its time or the lab."""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

from msgspec import Struct

from mtls_runner.deadlines import Deadline, ended_by
from mtls_runner.errors import DeadlineExceeded, LabError
from mtls_runner.runtimes import supervisor

__all__ = ["CurlBinary", "CurlRun", "Kept", "Sink"]

Sink = Callable[[bytes], object]
"""Takes what comes, some at a time."""

_FIRST_LINE = re.compile(r"curl (\d+\.\d+\.\d+)\S* \([^)]*\) libcurl/\S+ (.*)")
#: What a child may inherit: where libraries and programs lie. Everything else could change an outcome (``SSL_CERT_FILE``,
#: ``CURL_CA_BUNDLE``, ``OPENSSL_CONF``, ``https_proxy``, ``SSLKEYLOGFILE``, …).
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_VERSION_LIMIT = 10.0
_GRACE = 1.0
_READ = 1 << 16
_WORDS = 1 << 20
"""Bytes of what curl says itself that are kept."""


class CurlRun(Struct, frozen=True):
    """How a run ended."""

    exit_code: int
    output: str
    errors: str


class Kept:
    """The first bytes of what comes, and how many came.

    Args:
        limit: how many are kept.
    """

    __slots__ = ("data", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self.limit = limit
        self.size = 0

    def add(self, data: bytes) -> None:
        """More of it."""
        self.size += len(data)
        self.data += data[: self.limit - len(self.data)]

    def text(self) -> str:
        """As UTF-8."""
        return self.data.decode("utf-8", "replace")


class CurlBinary(Struct, frozen=True):
    """The installed curl: its version, what it is built on, and how it is run.

    Args:
        path: the executable.
        version: its own (``7.88.1``).
        tls: the library that it is built on, as it names it (``OpenSSL/3.0.19``).
        features: from ``curl --version`` (``HTTP2``, …).
    """

    path: Path
    version: str
    tls: str
    features: frozenset[str]

    @classmethod
    def find(cls) -> CurlBinary:
        """The one that ``MTLS_RUN_CURL`` names, or the first on ``PATH``.

        Raises:
            LabError: there is none, or it can't be asked for its version.
        """
        wanted = os.environ.get("MTLS_RUN_CURL", "")
        found = shutil.which(wanted or "curl")
        if found is None:
            where = f"MTLS_RUN_CURL={wanted} names no program" if wanted else "no curl on PATH"
            raise LabError(
                f"curl is not installed: {where}. Install it (apt install curl, dnf install curl, brew install curl), "
                "point MTLS_RUN_CURL at one, or run with --tool python (pytest: --mtls-tool python)."
            )
        path = Path(found).absolute()
        told = _run(str(path), [["--version"]], _environment(), Deadline.after(_VERSION_LIMIT))
        lines = told.output.splitlines()
        first = _FIRST_LINE.match(lines[0]) if lines else None
        if told.exit_code != 0 or first is None:
            raise LabError(f"{path} --version gives no version of curl (exit {told.exit_code}): {told.errors.strip()}")
        features = next((line for line in lines if line.startswith("Features:")), "Features:")
        # A library in brackets is built in, but not the one that is used (multi-SSL builds).
        libraries = [word for word in first[2].split() if not word.startswith("(")]
        return cls(path, first[1], libraries[0] if libraries else "", frozenset(features.split()[1:]))

    @property
    def uses_openssl(self) -> bool:
        """Whether it speaks TLS through OpenSSL itself (not LibreSSL, BoringSSL, GnuTLS, …)."""
        return self.tls.startswith("OpenSSL/")

    def run(
        self,
        groups: Sequence[Sequence[str]],
        *,
        home: Path,
        settings: Path,
        deadline: Deadline,
        outputs: Mapping[str, Sink] | None = None,
        clock: timedelta = timedelta(0),
    ) -> CurlRun:
        """Run curl once with these arguments.

        Args:
            groups: curl's options for each of its requests.
            home: an empty directory.
            settings: an ``openssl.cnf``.
            deadline: when it is killed, somewhat later.
            outputs: what takes each output that an option with a file's name makes (``--trace``), read as it comes, so that
                no file and no memory has to hold it all.
            clock: how far ahead its clock is.

        Raises:
            LabError: it died by a signal.
            DeadlineExceeded: it did not stop in time although it was told to.
        """
        environment = {**_environment(), "HOME": str(home), "OPENSSL_CONF": str(settings)}
        if clock:
            from mtls_runner.runtimes.clock import moved_clock

            environment = dict(moved_clock(clock, environment))
        return _run(str(self.path), groups, environment, deadline, outputs or {})


def _environment() -> dict[str, str]:
    return {"LC_ALL": "C"} | {name: os.environ[name] for name in _INHERITED if name in os.environ}


def _run(
    program: str,
    groups: Sequence[Sequence[str]],
    environment: dict[str, str],
    deadline: Deadline,
    outputs: Mapping[str, Sink] | None = None,
) -> CurlRun:
    said, errors = Kept(_WORDS), Kept(_WORDS)
    with ExitStack() as pipes:
        sinks: dict[int, Sink] = {}
        inherited = []
        files: list[str] = []
        for option, sink in (outputs or {}).items():
            reading, writing = os.pipe()
            pipes.callback(os.close, reading)
            sinks[reading] = sink
            inherited.append(pipes.enter_context(os.fdopen(writing, "wb", buffering=0)))
            files += [option, f"/dev/fd/{writing}"]
        arguments = [program, "--disable"]
        for number, group in enumerate(groups):
            arguments += [*(["--next"] if number else []), *group, *files]
        try:
            process = subprocess.Popen(
                arguments,
                env={**environment, **supervisor().environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[pipe.fileno() for pipe in inherited],
                start_new_session=True,  # no terminal to ask on, and Ctrl-C is the lab's to handle
            )
        except OSError as error:
            raise LabError(f"{arguments[0]} can't be run: {error.strerror}") from error
        for pipe in inherited:
            pipe.close()
        # Not behind a shell that waits until the supervisor knows of it, as programs are that may run for ever: that is a tenth
        # of what a curl takes. Where a lab is killed before it has told, its environment tells it apart, or --max-time ends it.
        with supervisor().watching(process.pid), process, ended_by(process.kill):
            try:
                if process.stdout is not None and process.stderr is not None:
                    sinks |= {process.stdout.fileno(): said.add, process.stderr.fileno(): errors.add}
                _pump(sinks, deadline.remaining() + _GRACE)
                process.wait(_GRACE)
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                raise DeadlineExceeded(f"time limit passed, and {arguments[0]} did not stop by itself") from error
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode < 0:
        raise LabError(f"{arguments[0]} died by signal {-process.returncode}")
    return CurlRun(process.returncode, said.text(), errors.text())


def _pump(sinks: Mapping[int, Sink], seconds: float) -> None:
    """Read every descriptor to its end.

    Raises:
        TimeoutError: they are open for longer than that.
    """
    deadline = Deadline.after(seconds)
    with selectors.DefaultSelector() as selector:
        for descriptor in sinks:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            if deadline.passed:
                raise TimeoutError
            for key, _ in selector.select(deadline.remaining()):
                data = os.read(key.fd, _READ)
                if data:
                    sinks[key.fd](data)
                else:
                    selector.unregister(key.fd)
