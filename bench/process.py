"""Whole processes, timed: interleaved with their peers, so that a busy moment of the machine hits both."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import BinaryIO

__all__ = ["Broken", "Command", "Run", "interleave", "medians", "mtls_run"]

_MIB = 1024.0 if sys.platform.startswith("linux") else 1024.0 * 1024.0  # getrusage(2): KiB, and bytes on macOS


class Broken(Exception):
    """A benchmark, or what it measures, doesn't work."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments, where to run it and what to add to its environment."""

    arguments: Sequence[str]
    directory: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """One process.

    Args:
        seconds: from before its start to its end.
        peak: MiB of memory that it held at most, children apart.
        output: its standard output.
    """

    seconds: float
    peak: float
    output: str


def mtls_run(directory: Path, *arguments: str) -> Command:
    """The console script of this interpreter's environment, with a key pool of the benchmark's own."""
    script = shutil.which("mtls-run", path=str(Path(sys.executable).parent)) or shutil.which("mtls-run")
    if script is None:
        raise Broken("mtls-run is not installed in this environment")
    return Command([script, *arguments], directory, {"XDG_CACHE_HOME": str(directory / "cache")})


def _environment() -> dict[str, str]:
    """Without what makes an interpreter run in another way than its user's: unbuffered, without compiled modules."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(command: Command) -> Run:
    """Run it to its end; it must succeed."""
    began = time.perf_counter()
    # Into files: a reader at the other end of a pipe would take turns with what is measured.
    with (command.directory / "output").open("w+b") as told, (command.directory / "errors").open("w+b") as errors:
        process = subprocess.Popen(
            command.arguments,
            cwd=command.directory,
            env={**_environment(), **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=errors,
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output, error = (_text(file) for file in (told, errors))
    if process.returncode != 0:
        raise Broken(f"{' '.join(command.arguments)} ended with {process.returncode}:\n{output[-4000:]}{error[-4000:]}")
    return Run(seconds, usage.ru_maxrss / _MIB, output)


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def interleave(commands: Sequence[Command], times: int) -> list[list[Run]]:
    """Each command ``times`` times, in turns, after one round that nobody times (file caches, compiled modules)."""
    for command in commands:
        run(command)
    rounds = [[run(command) for command in commands] for _ in range(times)]
    return [list(column) for column in zip(*rounds, strict=True)]


def medians(columns: Sequence[Sequence[Run]]) -> list[float]:
    """Of the seconds."""
    return [median(run.seconds for run in column) for column in columns]
